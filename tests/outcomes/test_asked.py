"""What can be asked of a run beside its parameters: retries, secrets, and a result that grows where it was wanted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import Cli, notebook, wait_for

from .ground import Watcher, carry_out, gone, texts, valid

VALUE = 'hunter2 "xyzzy" \\ ünï'
COUNT = """
from pathlib import Path
file = Path("count")
number = int(file.read_text()) + 1 if file.exists() else 1
file.write_text(str(number))
print("attempt", number)
"""


def test_retries_until_it_succeeds(cli: Cli, tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "nb.ipynb", COUNT, "if number < 3:\n    raise ValueError(f'not yet: {number}')", "print('done')"
    )
    outcome = carry_out(cli, path, "--retries", "2")
    assert outcome.code == 0
    assert outcome.run["attempt"] == 3
    assert outcome.run["error"] is None
    assert outcome.run["cells"] == {"done": 3, "total": 3}
    assert [event["attempt"] for event in outcome.of("started")] == [1, 2, 3]
    retries = outcome.of("retry")
    assert [(retry["attempt"], retry["of"], retry["status"]) for retry in retries] == [
        (2, 3, "failed"),
        (3, 3, "failed"),
    ]
    assert [retry["error"]["value"] for retry in retries] == ["not yet: 1", "not yet: 2"]
    assert outcome.texts() == ["attempt 3\n", "", "done\n"]


def test_retries_until_there_are_no_more(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", COUNT, "raise ValueError(number)"), "--retries", "1")
    assert outcome.code == 1
    assert outcome.run["error"]["value"] == "2"
    assert len(outcome.of("retry")) == 1


def test_a_kernel_that_died_is_tried_again(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", COUNT, "import os\nif number == 1: os._exit(1)")
    outcome = carry_out(cli, path, "--retries", "3")
    assert outcome.code == 0
    assert [retry["status"] for retry in outcome.of("retry")] == ["kernel-died"]


def test_what_was_cancelled_is_not_tried_again(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "import time\nprint('begun', flush=True)\ntime.sleep(600)")
    watcher = Watcher(tmp_path, "run", path, "--json", "--retries", "5")
    watcher.printed("begun")
    cli("runs", "cancel", watcher.run, "--yes")
    outcome = watcher.outcome(cli)
    assert outcome.code == 4
    assert outcome.of("retry") == []


def test_all_attempts_share_the_runs_time(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "import time\ntime.sleep(600)")
    outcome = carry_out(cli, path, "--retries", "5", "--timeout", "3s")
    assert outcome.code == 5
    assert outcome.of("retry") == []


@pytest.mark.parametrize("reference", ["env:TOKEN_OF_MINE", "file:token.txt"])
def test_a_secret_is_nowhere(home: Path, cli: Cli, tmp_path: Path, reference: str) -> None:
    (tmp_path / "token.txt").write_text(VALUE + "\n", encoding="utf-8")
    (tmp_path / "token.txt").chmod(0o600)
    path = notebook(
        tmp_path / "nb.ipynb",
        "# parameters\ntoken = ''\nalpha = 1",
        f"import os\nassert token == os.environ['token'] and len(token) == {len(VALUE)}\n"
        "print(token)\nprint(repr(token)); token",
        "display({'application/json': {'a': token}, 'text/plain': token}, raw=True)\n"
        "from pathlib import Path\nimport time\nprint('begun', flush=True)\n"
        "while not Path('go').exists():\n    time.sleep(.01)",
        "raise ValueError(token)",
    )
    environment = {**os.environ, **({"TOKEN_OF_MINE": VALUE} if reference.startswith("env") else {})}
    watcher = Watcher(tmp_path, "run", path, "--json", "-s", f"token={reference}", "-p", "alpha", "2", env=environment)
    watcher.printed("begun")
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    session = f"jupyterctl-run-{watcher.run}"
    tmux = [
        ["show-environment", "-t", session],
        ["capture-pane", "-p", "-t", session],
        ["list-panes", "-a", "-F", "#{pane_start_command}"],
    ]
    for command in tmux:
        lines += subprocess.run(["tmux", *command], capture_output=True, text=True, check=True).stdout
    assert path.name in lines or watcher.run in lines
    (tmp_path / "go").touch()
    outcome = watcher.outcome(cli)
    assert outcome.code == 1
    assert outcome.run["error"]["value"] == "***"
    assert outcome.texts()[-3].startswith("***\n'***'\n")
    for verb in (["runs", "show"], ["runs", "logs"], ["runs", "logs", "--runner"], ["runs"]):
        done = cli(*verb)
        lines += done.stdout + done.stderr
    lines += watcher.out.read_text(encoding="utf-8") + outcome.stderr
    kept = b"\0".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
    assert b"***" in kept
    for part in ("hunter2", "xyzzy", "ünï", "\\u00fcn"):
        assert part not in lines.replace("token_of_mine", "")
        assert part.encode() not in kept
    assert f"token={reference}" in cli("runs", "show").stdout


def test_a_secret_goes_to_the_environment_only_where_it_is_no_parameter(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "import os; print(len(os.environ['TOKEN']))")
    outcome = carry_out(cli, path, "-s", "TOKEN=env:MINE", env={"MINE": "swordfish"})
    assert outcome.texts() == ["9\n"]
    assert len(outcome.notebook.cells) == 1


def test_a_secret_is_asked_for_again_by_rerun(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "import os; print(len(os.environ['TOKEN']))")
    assert cli("run", path, "-s", "TOKEN=env:MINE", env={"MINE": "swordfish"}).returncode == 0
    refused = cli("runs", "rerun")
    assert refused.returncode == 2
    assert "MINE" in refused.stderr
    assert cli("runs", "rerun", env={"MINE": "sword"}).returncode == 0
    assert cli("runs", "logs").stdout == "5\n"


def test_the_result_grows_where_it_was_asked_for(cli: Cli, tmp_path: Path) -> None:
    count = "import time\nfor number in range(60):\n    print('x' * 50_000, number, flush=True)\n    time.sleep(.05)"
    out = tmp_path / "out.ipynb"
    watcher = Watcher(tmp_path, "run", notebook(tmp_path / "nb.ipynb", "print('before')", count), "--json", "-o", out)
    sizes = set()

    def look() -> bool:
        if out.exists():
            sizes.add(len("".join(texts(valid(out)))))
        return watcher.process.poll() is not None

    wait_for(look)
    outcome = watcher.outcome(cli)
    assert outcome.code == 0
    assert outcome.run["output"] == str(out)
    assert len(sizes) > 2
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.ipynb"]
    assert outcome.texts()[1].endswith("x 59\n")


def test_the_result_is_named_by_parameters(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha = 1\nbeta = 'b'", "print(alpha)")
    (tmp_path / "results").mkdir()
    assert carry_out(cli, path, "-p", "alpha", "7", "-o", "{notebook}-{alpha}-{beta}.ipynb").code == 0
    assert valid(tmp_path / "nb-7-b.ipynb").cells[-1].outputs[0].text == "7\n"
    outcome = carry_out(cli, path, "-o", "results/")
    assert outcome.run["output"] == str(tmp_path / "results/nb.ipynb")


def test_what_stood_there_is_kept_until_there_is_a_result(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    notebook(out, "'yesterday'")
    refused = cli("run", notebook(tmp_path / "nb.ipynb", "import nothing_of_the_kind"), "-o", out)
    assert refused.returncode == 3
    assert valid(out).cells[0].source == "'yesterday'"


def test_the_runner_leaves_nothing_behind(home: Path, cli: Cli, tmp_path: Path) -> None:
    watcher = Watcher(
        tmp_path, "run", notebook(tmp_path / "nb.ipynb", "import os; print(os.getpid(), flush=True)"), "--json"
    )
    outcome = watcher.outcome(cli)
    pids = [int(outcome.texts()[0]), outcome.of("started")[0]["pid"]]
    wait_for(lambda: all(map(gone, pids)))
    sessions = subprocess.run(["tmux", "list-sessions"], capture_output=True, text=True, check=False).stdout
    assert watcher.run not in sessions
    mine = [process for process in psutil.process_iter() if str(home) in " ".join(_line(process))]
    assert mine == []


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
