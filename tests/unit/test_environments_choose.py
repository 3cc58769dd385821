"""From a spec or nothing at all to one environment, and what cannot be imported there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyterctl import paths
from jupyterctl.environments import choose, install_command, missing, resolve, spec_of
from jupyterctl.environments.environment import MARK, Environment, read
from jupyterctl.errors import NotFoundError, UsageError
from tests.conda_channel import make_environment
from tests.environment_fixtures import home, site, virtual

__all__ = ["home"]
RUNNING = "the Python that runs jupyterctl"


def environment(prefix: Path) -> Environment:
    found = read(prefix)
    assert found is not None
    return found


@pytest.fixture
def project(home: Path) -> Path:
    folder = home / "work"
    folder.mkdir()
    return folder


# -- choose ------------------------------------------------------------------------------------------------------------


def test_the_projects_own_is_taken_where_it_has_all_that_is_imported(project: Path) -> None:
    own = virtual(project / ".venv", "ipykernel", "pandas")

    chosen, reason = choose(project, "python", ["os", "pandas"])

    assert (chosen.prefix, reason) == (own, "the project's own `.venv`")


def test_a_module_that_the_first_has_not_sends_on_to_the_next(project: Path) -> None:
    virtual(project / ".venv", "ipykernel")

    chosen, reason = choose(project, "python", ["papermill"])

    assert chosen.prefix == Path(sys.prefix).resolve()
    assert reason == f"{RUNNING}: the project's own `.venv` has no `papermill`"


def test_one_without_a_kernel_is_passed_over_and_the_reason_says_so(project: Path) -> None:
    virtual(project / ".venv", "pandas")

    assert choose(project, "python", [])[1] == f"{RUNNING}: the project's own `.venv` has no `ipykernel`"


def test_where_none_has_everything_the_first_with_a_kernel_is_taken(project: Path) -> None:
    virtual(project / "venv", "numpy")
    own = virtual(project / ".venv", "ipykernel")

    chosen, reason = choose(project, "python", ["no_such_module"])

    assert (chosen.prefix, reason) == (own, "the project's own `.venv`: none has everything that is imported")


def test_another_language_needs_a_kernel_of_that_language(project: Path) -> None:
    virtual(project / ".venv", "ipykernel")
    spoken = virtual(project / "env")
    kernel = spoken / "share/jupyter/kernels/sindarin/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"language": "Sindarin", "argv": []}')

    assert choose(project, "sindarin", ["a_package_of_its_own"])[0].prefix == spoken
    with pytest.raises(NotFoundError, match="has a Quenya kernel"):
        choose(project, "Quenya", [])


# -- resolve -----------------------------------------------------------------------------------------------------------


def test_every_form_leads_to_its_environment(project: Path) -> None:
    own = virtual(project / "my env")

    for spec in (f"venv:{own}", "venv:my env", f"python:{own}/bin/python", f"{own}", "./my env", "my env"):
        assert resolve(spec, project).prefix == own, spec


def test_the_home_directory_may_be_a_tilde(project: Path, home: Path) -> None:
    own = virtual(home / "lab")

    assert resolve("venv:~/lab", project).prefix == own


def test_a_conda_environment_by_name_and_by_prefix(project: Path, home: Path) -> None:
    lab = make_environment(home / "mambaforge/envs/lab")
    virtual(project / "lab")

    assert resolve("conda:lab", project).prefix == resolve(f"conda:{lab}", project).prefix == lab


def test_a_bare_name_means_jupyterctls_own_before_any_other(project: Path, home: Path) -> None:
    own = virtual(paths.environments() / "lab")
    (own / MARK).write_text("{}")
    virtual(home / ".virtualenvs/lab")

    assert resolve("lab", project).prefix == own


def test_a_name_that_several_have_is_not_guessed(project: Path, home: Path) -> None:
    virtual(home / ".virtualenvs/lab")
    virtual(project / "lab")

    with pytest.raises(UsageError, match="2 environments are called `lab`") as caught:
        resolve("lab", project)
    assert caught.value.hint == "name one by its folder: ~/work/lab or ~/.virtualenvs/lab"


def test_an_interpreter_on_path_by_its_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = virtual(project / "lab")
    monkeypatch.setenv("PATH", f"{own}/bin:/usr/bin:/bin")

    assert resolve("python:python3", project).prefix == own


def test_a_script_that_starts_a_python_is_asked(project: Path, home: Path) -> None:
    own = virtual(home / "lab")
    script = project / "wrapped"
    script.write_text(f'#!/bin/sh\nexec {own}/bin/python "$@"\n')
    script.chmod(0o755)

    found = resolve("python:./wrapped", project)

    assert (found.prefix, found.python) == (own, script)


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("stas", "there is no environment `stas`", "did you mean `stats`?"),
        ("conda:stats", "there is no environment `stats`", "`jupyterctl env create NAME` makes one"),
        ("conda:~/work/stats", "`~/work/stats` is no conda environment", "`jupyterctl env list`"),
        ("venv:/usr", "`/usr` is no virtual environment", "`jupyterctl env list`"),
        ("venv:gone", "there is no folder `~/work/gone`", "`jupyterctl env list`"),
        ("./broken", "the Python of `~/work/broken` is gone", "make the environment anew"),
        ("python:/bin/ls", "is no Python that starts", "python:/usr/bin/python3"),
        ("python:/nowhere", "there is no Python `/nowhere`", "python:/usr/bin/python3"),
        ("docker:x", "`docker:x` stands for no environment", "write conda:NAME"),
        ("venv:", "`venv:` stands for no environment", "write conda:NAME"),
    ],
)
def test_what_leads_nowhere_is_told_with_what_would(project: Path, spec: str, message: str, hint: str) -> None:
    virtual(project / "stats")
    broken = virtual(project / "broken")
    for python in (broken / "bin").glob("python*"):
        python.unlink()

    with pytest.raises(UsageError) as caught:
        resolve(spec, project)

    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_profile_names_an_environment_so_that_it_is_found_again(project: Path, home: Path) -> None:
    named = make_environment(home / "miniforge3/envs/lab")
    elsewhere = make_environment(project / "conda")
    (elsewhere / MARK).unlink()

    for prefix in (named, elsewhere, virtual(project / ".venv")):
        assert resolve(spec_of(environment(prefix)), project).prefix == prefix


# -- missing -----------------------------------------------------------------------------------------------------------


def test_what_is_told_from_the_files_is_what_its_python_would_say(home: Path) -> None:
    lab = environment(make_environment(home / "lab"))
    names = [
        "json",
        "zmq",
        "google",
        "yaml",
        "_ctypes",
        "sys",
        "this_is_not_there",
        "debugpy",
        "attr",
        "ipykernel_launcher",
    ]
    code = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
    told = subprocess.run([lab.python, "-c", code, *names], capture_output=True, text=True, check=True, timeout=60)

    assert missing(lab, names) == sorted(told.stdout.split())


def test_kinds_of_modules(project: Path) -> None:
    prefix = virtual(project / ".venv")
    (site(prefix) / "single.py").touch()
    (site(prefix) / "namespace/inner").mkdir(parents=True)
    (site(prefix) / "compiled.abi3.so").touch()
    (site(prefix) / f"exact.cpython-{sys.version_info[0]}{sys.version_info[1]}-x86_64-linux-gnu.so").touch()
    (site(prefix) / "foreign.cpython-30-x86_64-linux-gnu.so").touch()

    names = ["single", "namespace", "compiled", "exact", "foreign", "inner"]

    assert missing(environment(prefix), names) == ["foreign", "inner"]


def test_folders_that_pth_files_add(project: Path) -> None:
    prefix = virtual(project / ".venv")
    (project / "source/mine").mkdir(parents=True)
    (site(prefix) / "mine.pth").write_text(f"# a comment\n{project}/source\n/nowhere\n")

    assert missing(environment(prefix), ["mine", "yours"]) == ["yours"]


def test_an_editable_install_by_a_finder_is_asked_of_its_python(project: Path) -> None:
    prefix = virtual(project / ".venv")
    (project / "hidden.py").touch()
    (site(prefix) / "_finder.py").write_text(f"import sys\nsys.path.append({str(project)!r})\n")
    (site(prefix) / "editable.pth").write_text("import _finder\n")

    assert missing(environment(prefix), ["hidden", "unseen"]) == ["unseen"]


def test_the_users_own_packages_count_but_not_in_a_virtual_environment(home: Path) -> None:
    user = home / f".local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/mine"
    user.mkdir(parents=True)
    lab, shared, alone = make_environment(home / "lab"), virtual(home / "s", shared=True), virtual(home / "a")

    assert [missing(environment(prefix), ["mine"]) for prefix in (lab, shared, alone)] == [[], [], ["mine"]]


def test_a_folder_named_by_pythonpath_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "extra/mine").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(project / "extra"))

    assert missing(environment(virtual(project / ".venv")), ["mine"]) == []


def test_a_python_that_does_not_answer_has_nothing(project: Path) -> None:
    prefix = virtual(project / ".venv")
    (site(prefix) / "editable.pth").write_text("import _finder\n")
    found = environment(prefix)
    (prefix / "bin/python").unlink()
    (prefix / "bin/python").symlink_to("/bin/false")

    assert missing(found, ["a_module"]) == ["a_module"]


# -- install_command ---------------------------------------------------------------------------------------------------


def test_the_command_names_packages_not_modules(project: Path) -> None:
    prefix = virtual(project / "my env")

    command = install_command(environment(prefix), ["sklearn", "numpy", "yaml"])

    assert command == f"'{prefix}/bin/python' -m pip install numpy pyyaml scikit-learn"
