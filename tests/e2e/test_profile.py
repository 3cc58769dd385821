"""Profiles, status, doctor and completion, through the installed command."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tomllib
from pathlib import Path

import jsonschema
import pytest

from jupyterctl.core.session import Session
from tests.conftest import COMMAND, PATIENCE
from tests.terminal import conversation

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "profiles").glob("*.toml"))


@pytest.fixture
def folder(home: Path) -> Path:
    made = home / "config" / "profiles"
    made.mkdir(parents=True)
    return made


def editor(tmp_path: Path, text: str) -> dict[str, str]:
    """An editor that replaces the file's contents."""
    program = tmp_path / "editor"
    (tmp_path / "text").write_text(text)
    program.write_text(f'#!/bin/sh\ncp "{tmp_path}/text" "$1"\n')
    program.chmod(0o755)
    return {"EDITOR": str(program), "VISUAL": ""}


def test_without_any_profile_everything_is_well(cli):
    assert json.loads(cli("profile", "list", "--json").stdout) == {"profiles": []}
    assert json.loads(cli("status", "--json").stdout) == {"servers": [], "others": []}
    shown = cli("status")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert "jupyterctl start local" in shown.stderr


def test_this_machine_needs_no_profile(cli):
    shown = json.loads(cli("profile", "show", "local", "--json").stdout)

    assert (shown["name"], shown["kind"], shown["file"], shown["sources"]) == ("local", "local", None, {})
    assert shown["settings"]["environment"] == "auto"
    servers = json.loads(cli("status", "local", "--json").stdout)["servers"]
    assert servers == [
        {
            "name": "local",
            "kind": "local",
            "state": "stopped",
            "place": None,
            "link": dict.fromkeys(("state", "port", "url", "next_try", "round_trip", "way")),
            "health": {"way": None, "http": None, "kernels": None},
            "since": None,
            "error": None,
            "fix": None,
            "version": None,
            "root": None,
            "pid": None,
            "adopted": False,
            "facts": {},
            "events": [],
        }
    ]


def test_a_profile_is_made_by_flags_alone_and_says_what_each_setting_is(cli, folder):
    made = cli(
        *("profile", "new", "lab", "--kind", "local", "--no-input", "--environment", "venv:~/x"),
        *("--before", "one, two", "--before", "three", "--run-timeout", "8h", "--run-retries", 2),
        *("--run-env", "A=b=c", "--run-isolated", "--json"),
    )

    file = folder / "lab.toml"
    assert json.loads(made.stdout) == {"name": "lab", "kind": "local", "file": str(file), "error": None}
    text = file.read_text()
    assert tomllib.loads(text) == {
        "kind": "local",
        "environment": "venv:~/x",
        "server": {},
        "before": ["one, two", "three"],
        "run": {"timeout": "8h", "retries": 2, "isolated": True, "env": {"A": "b=c"}},
    }
    assert text.startswith("#:schema ./profile.schema.json\n")
    assert "# Longest time one cell may take\n# cell_timeout = " in text
    jsonschema.validate(tomllib.loads(text), json.loads((folder / "profile.schema.json").read_text()))
    assert stat.S_IMODE(file.stat().st_mode) & 0o077 == stat.S_IMODE(folder.stat().st_mode) & 0o066


def test_a_profile_is_replaced_only_with_yes(cli, folder):
    (folder / "lab.toml").write_text('kind = "local" # mine\n')
    new = ("profile", "new", "lab", "--kind", "local", "--no-input")

    refused = cli(*new)

    assert refused.returncode == 2
    assert "profile `lab` is there already" in refused.stderr
    assert "--yes" in refused.stderr
    assert "# mine" in (folder / "lab.toml").read_text()
    assert cli(*new, "--yes").returncode == 0
    assert "# mine" not in (folder / "lab.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("lab",), "needs a kind"),
        (("lab", "--environment", "auto"), "come with --kind"),
        (("lab", "--kind", "locla"), "there is no kind `locla`"),
        (("lab", "--kind", "local", "--run-retries", "-1"), "it must be a whole number, 0 or more"),
        (("lab", "--kind", "local", "--run-timeout", "soon"), 'it must be a text such as "90s"'),
        (("lab", "--kind", "local", "--run-env", "A"), "it must be NAME=VALUE"),
        (("../lab", "--kind", "local"), "`../lab` cannot name a profile"),
        ((".lab", "--kind=local"), "`.lab` cannot name a profile"),
    ],
)
def test_what_cannot_be_made_is_two_lines_and_writes_nothing(cli, folder, arguments, says):
    refused = cli("profile", "new", *arguments, "--no-input")

    assert refused.returncode == 2
    assert says in refused.stderr
    assert len(refused.stderr.splitlines()) == 2
    assert list(folder.iterdir()) == []


def test_on_a_terminal_every_setting_is_asked_for(folder, tmp_path):
    code, seen = conversation(
        ["profile", "new", "lab"],
        {
            "Kind": ["9", "1"],
            "environment": ["conda:spark"],
            "before": ["module load x", "module load y"],
            "Set": ["y"],
            "run.timeout": ["soon", "2h"],
            "run.retries": ["1"],
            "run.isolated": ["y"],
            "run.env": ["A=1"],
        },
        tmp_path,
    )

    assert code == 0, seen
    assert "choose one of local" in seen
    assert "it must be a text such as" in seen
    assert tomllib.loads((folder / "lab.toml").read_text()) == {
        "kind": "local",
        "environment": "conda:spark",
        "before": ["module load x", "module load y"],
        "server": {},
        "run": {"timeout": "2h", "retries": 1, "isolated": True, "env": {"A": "1"}},
    }


def test_on_a_terminal_replacing_is_asked_for_by_name(folder, tmp_path):
    file = folder / "lab.toml"
    file.write_text('kind = "local"\n')

    code, seen = conversation(["profile", "new", "lab", "--kind", "local"], {"Replace": ["n"]}, tmp_path)

    assert code == 1, seen
    assert f"Replace profile `lab`, {file}?" in seen.replace("\r\n", "")
    assert "nothing was written" in seen
    assert "interrupted" not in seen
    assert file.read_text() == 'kind = "local"\n'


def test_a_broken_profile_is_reported_and_hides_no_other(cli, folder):
    (folder / "good.toml").write_text('kind = "local"')
    (folder / "syntax.toml").write_text('kind = "local"\nworkdir = ~/x\n')
    (folder / "typo.toml").write_text('kind = "local"\nenvironmnt = "auto"\n')
    (folder / "elsewhere.toml").write_text('kind = "moon"\n')

    listed = {entry["name"]: entry for entry in json.loads(cli("profile", "list", "--json").stdout)["profiles"]}
    servers = {entry["name"]: entry for entry in json.loads(cli("status", "--json").stdout)["servers"]}

    assert listed["good"] == {"name": "good", "kind": "local", "file": str(folder / "good.toml"), "error": None}
    assert "line 2, column 11 is not TOML" in listed["syntax"]["error"]
    assert (listed["typo"]["kind"], listed["elsewhere"]["kind"]) == ("local", "moon")
    assert "`environmnt` in" in listed["typo"]["error"]
    assert {name: entry["state"] for name, entry in servers.items()} == {
        "good": "stopped",
        "syntax": "unknown",
        "typo": "unknown",
        "elsewhere": "unknown",
    }
    assert all(servers[name]["error"] == listed[name]["error"] for name in listed)
    for arguments in (("status",), ("profile", "list")):
        shown = cli(*arguments)
        assert shown.returncode == 0
        assert "good" in shown.stdout
        assert "environmnt" in shown.stderr


def test_show_tells_the_file_of_each_value(cli, folder, tmp_path):
    (folder / "lab.toml").write_text('kind = "local"\nworkdir = "/far"\n[run]\ntimeout = "1h"\n')
    project = tmp_path / "work"
    near = project / ".jupyterctl" / "lab.toml"
    near.parent.mkdir(parents=True)
    near.write_text('workdir = "/near"\n')

    shown = cli("profile", "show", "lab", cwd=near.parent)
    record = json.loads(cli("profile", "show", "lab", "--json", cwd=project).stdout)

    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()}
    assert rows["workdir"] == ['"/near"', str(near)]
    assert rows["run.timeout"] == ['"1h"', str(folder / "lab.toml")]
    assert rows["environment"] == ['"auto"', "default"]
    assert record["file"] == str(near)
    assert record["sources"] == {
        "kind": str(folder / "lab.toml"),
        "workdir": str(near),
        "run.timeout": str(folder / "lab.toml"),
    }
    assert record["settings"]["run"]["timeout"] == "1h"


def test_a_projects_profile_is_written_beside_the_work_for_others_to_read(cli, home, tmp_path):
    project = tmp_path / "work"
    project.mkdir()
    project.chmod(0o755)
    old = os.umask(0o022)
    try:
        made = cli("profile", "new", "local", "--no-input", "--project", "--json", cwd=project)
    finally:
        os.umask(old)

    file = project / ".jupyterctl" / "local.toml"
    assert json.loads(made.stdout)["file"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert json.loads(cli("profile", "show", "local", "--json", cwd=project).stdout)["file"] == str(file)
    assert json.loads(cli("profile", "show", "local", "--json").stdout)["file"] is None


@pytest.mark.parametrize(("name", "nearest"), [("lba", "lab"), ("locl", "local"), ("bank", "")])
def test_a_name_that_stands_for_nothing_lists_the_names_nearest_first(cli, folder, name, nearest):
    (folder / "lab.toml").write_text('kind = "local"')

    refused = cli("status", name)

    assert refused.returncode == 2
    assert f"there is no profile `{name}`" in refused.stderr
    assert ("did you mean" in refused.stderr) == bool(nearest)
    hint = refused.stderr.splitlines()[1]
    assert "lab" in hint
    assert "local" in hint
    assert f"there are: {nearest}" in hint


def test_the_names_there_are_stand_by_name_after_the_nearest(cli, folder):
    for name in ("zeta", "gpu-02", "alpha", "gpu-01"):
        (folder / f"{name}.toml").write_text('kind = "local"')

    hint = cli("status", "zeat").stderr.splitlines()[1]

    names = hint.partition("there are: ")[2].split(", ")
    assert names[0] == "zeta"
    assert names[1:] == sorted(names[1:])


def test_a_kind_means_its_only_profile_and_else_its_default(cli, folder):
    def meant() -> str:
        return json.loads(cli("status", "local", "--json").stdout)["servers"][0]["name"]

    (folder / "lab.toml").write_text('kind = "local"')
    assert meant() == "lab"
    (folder / "attic.toml").write_text('kind = "local"')
    assert meant() == "local"
    (folder / "attic.toml").unlink()
    (folder / "lab.toml").write_text('kind = "local"\nnonsense = 1')
    assert "`nonsense` in" in cli("status", "local").stderr


def test_edit_opens_the_file_and_says_whether_it_is_valid(cli, folder, tmp_path):
    file = folder / "lab.toml"
    file.write_text('kind = "local"')

    good = cli("profile", "edit", "lab", env=editor(tmp_path, 'kind = "local"\nworkdir = "/x"\n'))
    assert (good.returncode, good.stderr) == (0, "`lab` is valid\n")
    assert 'workdir = "/x"' in file.read_text()

    bad = cli("profile", "edit", "lab", env=editor(tmp_path, 'kind = "local"\nworkdirs = "/x"\n'))
    assert bad.returncode == 2
    assert "did you mean `workdir`?" in bad.stderr

    for absent in ("nonesuch", "false"):
        none = cli("profile", "edit", "lab", env={"EDITOR": absent, "VISUAL": ""})
        assert none.returncode == 2
        assert none.stderr.startswith(
            f"error: the editor `{absent}` could not edit `{file}`\nhint: set VISUAL or EDITOR"
        )

    nothing = cli("profile", "edit", "nothing", env=editor(tmp_path, ""))
    assert nothing.returncode == 2
    assert "profile new nothing" in nothing.stderr


def test_edit_asks_which_file_where_there_are_several(cli, folder, tmp_path):
    near = tmp_path / ".jupyterctl" / "lab.toml"
    near.parent.mkdir()
    near.write_text("")
    (folder / "lab.toml").write_text('kind = "local"')
    env = editor(tmp_path, 'workdir = "/x"\n')

    refused = cli("profile", "edit", "lab", env=env)
    assert refused.returncode == 2
    assert "--project or --user" in refused.stderr
    assert cli("profile", "edit", "lab", "--project", env=env).returncode == 0
    assert near.read_text() == 'workdir = "/x"\n'
    assert (folder / "lab.toml").read_text() == 'kind = "local"'


def test_import_takes_files_over_with_their_comments(cli, folder, tmp_path):
    source = tmp_path / "from"
    source.mkdir()
    (source / "lab.toml").write_text('#:schema ../elsewhere.json\n# mine\nkind = "local"\n')
    (source / "broken.toml").write_text("kind = 3\n")

    listed = cli("profile", "import", source)
    assert listed.returncode == 0
    assert "nothing imported" in listed.stderr
    assert not (folder / "lab.toml").exists()

    taken = json.loads(cli("profile", "import", source, "--all", "--json").stdout)["profiles"]
    assert [(one["name"], one["file"]) for one in taken] == [("broken", None), ("lab", str(folder / "lab.toml"))]
    assert "`kind` in" in taken[0]["error"]
    assert (folder / "lab.toml").read_text() == '#:schema ./profile.schema.json\n# mine\nkind = "local"\n'

    (source / "lab.toml").write_text('# newer\nkind = "local"\n')
    assert "kept" in cli("profile", "import", source, "--all").stderr
    assert cli("profile", "import", source / "lab.toml", "lab").returncode == 2
    assert cli("profile", "import", source / "lab.toml", "lab", "--yes").returncode == 0
    assert "# newer" in (folder / "lab.toml").read_text()


def test_on_a_terminal_import_asks_which(folder, tmp_path):
    source = tmp_path / "from"
    source.mkdir()
    for name in ("one", "two", "three"):
        (source / f"{name}.toml").write_text('kind = "local"\n')

    code, seen = conversation(["profile", "import", str(source)], {"Import": ["one four", "one two"]}, tmp_path)

    assert code == 0, seen
    assert "`four` is not in the list" in seen
    assert {file.name for file in folder.glob("*.toml")} == {"one.toml", "two.toml"}


def test_on_a_terminal_a_broken_edit_can_be_mended_at_once(folder, tmp_path, monkeypatch):
    file = folder / "lab.toml"
    file.write_text('kind = "local"\n')
    program = tmp_path / "editor"
    program.write_text('#!/bin/sh\ngrep -q oops "$1" && echo \'kind = "local"\' > "$1" || echo oops > "$1"\n')
    program.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(program))

    code, seen = conversation(["profile", "edit", "lab"], {"Edit": ["y"]}, tmp_path)

    assert code == 0, seen
    assert "is not TOML" in seen
    assert "`lab` is valid" in seen


def test_import_of_what_is_not_there_says_what_could_be(cli):
    for arguments, says in ((("nowhere",), "or a kind: local"), (("local", "nobody"), "`nobody` is not in the list")):
        refused = cli("profile", "import", *arguments)
        assert refused.returncode == 2
        assert says in refused.stderr


def test_check_and_doctor_say_the_same_and_end_with_three_where_something_fails(cli, folder, tmp_path):
    (folder / "gone.toml").write_text(f'kind = "local"\nenvironment = "venv:{tmp_path}/nowhere"\n')
    (folder / "broken.toml").write_text("kind = \n")

    checked = cli("profile", "check", "gone", "--json")
    assert checked.returncode == 3
    found = json.loads(checked.stdout)["checks"]
    assert [set(check) for check in found] == [{"target", "name", "state", "detail", "fix"}] * len(found)
    assert (found[0]["target"], found[0]["name"], found[0]["state"]) == ("gone", "profile", "ok")
    failed = [check for check in found if check["state"] == "fail"]
    assert failed
    assert all(check["fix"] for check in failed)
    assert json.loads(cli("doctor", "gone", "--json").stdout)["checks"][0] == found[0]

    shown = cli("profile", "check", "broken")
    assert shown.returncode == 3
    assert shown.stdout.startswith("✗ fail  profile broken")


def test_doctor_looks_at_the_installation_and_every_profile(cli, folder):
    (folder / "good.toml").write_text('kind = "local"')
    assert cli("doctor").returncode == 0
    (folder / "broken.toml").write_text("kind = \n")

    looked = cli("doctor", "--json")

    checks = {(check["target"], check["name"]): check for check in json.loads(looked.stdout)["checks"]}
    assert looked.returncode == 3
    assert {name for target, name in checks if target is None} == {
        *("python", "papermill", "ipykernel", "tmux", "state", "disk")
    }
    assert checks[None, "papermill"]["detail"][0].isdigit()
    assert checks["good", "profile"]["state"] == "ok"
    assert checks["broken", "profile"]["state"] == "fail"


def test_doctor_says_that_the_state_cannot_be_written(cli, home):
    (home / "state").write_text("a file in the way")

    looked = cli("doctor", "--json")

    (state,) = [check for check in json.loads(looked.stdout)["checks"] if check["name"] == "state"]
    assert looked.returncode == 3
    assert state["state"] == "fail"
    assert str(home / "state") in state["detail"]
    assert "JUPYTERCTL_HOME" in state["fix"]


def test_doctor_warns_where_there_is_no_tmux(cli, tmp_path):
    looked = cli("doctor", "--json", env={"PATH": str(tmp_path)})

    (tmux,) = [check for check in json.loads(looked.stdout)["checks"] if check["name"] == "tmux"]
    assert looked.returncode == 0
    assert (tmux["state"], tmux["detail"]) == ("warn", "not on the PATH")


def test_the_schema_in_the_documentation_is_the_programs(cli):
    assert cli("profile", "schema").stdout == (ROOT / "docs" / "profile.schema.json").read_text()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_valid_and_an_editor_agrees(example, home, tmp_path):
    (candidate,) = Session(tmp_path).candidates(str(example))
    assert candidate.error is None

    text = example.read_text()
    assert text.startswith("#:schema ../docs/profile.schema.json\n")
    schema = json.loads((ROOT / "docs" / "profile.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(text), schema)


def test_there_is_an_example_of_every_kind(home, tmp_path):
    session = Session(tmp_path)

    assert set(session.kinds()) == {tomllib.loads(file.read_text())["kind"] for file in EXAMPLES}


@pytest.mark.parametrize(
    "text",
    ['kind = "moon"', 'kind = "local"\nx = 1', 'kind = "local"\nrun.retries = -1', 'kind = "local"\nworkdir = 3'],
)
def test_the_schema_refuses_what_the_program_refuses(text):
    schema = json.loads((ROOT / "docs" / "profile.schema.json").read_text())

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), schema)


def test_the_schema_lets_a_file_without_a_kind_be_laid_over_another():
    schema = json.loads((ROOT / "docs" / "profile.schema.json").read_text())

    jsonschema.validate({"workdir": "/x"}, schema)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(cli, shell):
    printed = cli("completion", shell)

    assert printed.returncode == 0
    assert "_JUPYTERCTL_COMPLETE" in printed.stdout


def test_the_tab_key_offers_targets_and_a_kinds_flags(cli, folder):
    (folder / "lab.toml").write_text("broken, and offered all the same")
    (folder / "other.toml").write_text("")

    def offered(words: str) -> list[str]:
        typed = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        answer = cli(env={**typed, "_JUPYTERCTL_COMPLETE": "bash_complete"})
        return [line.partition(",")[2] for line in answer.stdout.split()]

    assert offered("jupyterctl status l") == ["lab", "local"]
    assert offered("jupyterctl profile edit l") == ["lab"]
    assert offered("jupyterctl profile new x --kind lo") == ["local"]
    assert offered("jupyterctl profile new x --kind local --run-t") == ["--run-timeout"]
    assert offered("jupyterctl profile new x --kind nosuch --run-t") == []


def test_a_working_directory_that_is_gone_is_an_error_of_two_lines(home, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()

    refused = subprocess.run(
        ["sh", "-c", f'rmdir "{gone}"; exec "{COMMAND}" status'],
        cwd=gone,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert refused.returncode == 2
    assert "error: the working directory no longer exists" in refused.stderr.splitlines()  # sh may have its say before


def test_showing_profiles_imports_nothing_heavy(cli, folder):
    (folder / "lab.toml").write_text('kind = "local"')
    heavy = {"asyncio", "importlib.metadata", "papermill", "nbformat", "jupyter_client", "rich", "IPython", "zmq"}

    for arguments in (("status", "--json"), ("profile", "list", "--json"), ("profile", "show", "lab")):
        listed = cli(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
        imported = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
        assert "jupyterctl.config" in imported
        assert not heavy & imported, arguments
