"""A run ends as its notebook does: well, early, in an error, by the death of its kernel, or by its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli, notebook

from .ground import carry_out

STUBBORN = """
import time
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print("no")
"""


def three(tmp_path: Path, middle: str) -> Path:
    """A cell that prints, the one in question, and one that must not run."""
    return notebook(tmp_path / "nb.ipynb", "print('before')", middle, "print('after')")


def test_success(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, three(tmp_path, "40 + 2"))
    assert outcome.code == 0
    assert outcome.texts() == ["before\n", "42", "after\n"]
    assert outcome.run["cells"] == {"done": 3, "total": 3}
    assert outcome.run["error"] is None
    assert not outcome.run["early"]
    assert [event["status"] for event in outcome.of("cell-done")] == ["ok"] * 3


def test_an_error_names_the_cell_and_keeps_what_ran(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, three(tmp_path, "def halve(x):\n    return x / 0\nhalve(8)"))
    assert outcome.code == 1
    error = outcome.run["error"]
    assert (error["name"], error["value"], error["cell"]) == ("ZeroDivisionError", "division by zero", 1)
    assert any("halve" in line for line in error["traceback"])
    assert outcome.run["cells"] == {"done": 1, "total": 3}
    assert outcome.texts() == ["before\n", "ZeroDivisionError: division by zero", ""]
    assert outcome.notebook.cells[error["cell"]].source.startswith("def halve")
    shown = cli("runs", "show", outcome.run["id"]).stdout
    assert "failing cell [2]:\n    def halve(x):\n        return x / 0\n    halve(8)\n" in shown
    assert shown.count("ZeroDivisionError") >= 2


@pytest.mark.parametrize(
    "leave", ["import sys; sys.exit(0)", "import sys; sys.exit()", "raise SystemExit", "exit()", "quit()", "exit(0)"]
)
def test_leaving_early_is_a_good_end(cli: Cli, tmp_path: Path, leave: str) -> None:
    outcome = carry_out(cli, three(tmp_path, leave))
    assert outcome.code == 0
    assert outcome.run["early"] is True
    assert outcome.events[-1]["early"] is True
    assert outcome.run["error"] is None
    assert outcome.texts()[0] == "before\n"
    assert outcome.texts()[2] == ""
    assert "succeeded early" in cli("runs", "show", outcome.run["id"]).stdout


@pytest.mark.parametrize(
    ("leave", "value"),
    [
        ("import sys; sys.exit(3)", "3"),
        ("import sys; sys.exit('no data')", "no data"),
        ("exit(3)", "3"),
        ("quit('no data')", "no data"),
    ],
)
def test_leaving_with_a_code_is_a_failure(cli: Cli, tmp_path: Path, leave: str, value: str) -> None:
    outcome = carry_out(cli, three(tmp_path, leave))
    assert outcome.code == 1
    error = outcome.run["error"]
    assert (error["name"], error["value"], error["cell"]) == ("SystemExit", value, 1)
    assert outcome.run["early"] is False
    assert outcome.texts()[2] == ""


@pytest.mark.parametrize(
    ("death", "words"),
    [("import os; os.kill(os.getpid(), 9)", "SIGKILL"), ("import os; os._exit(5)", "code 5")],
)
def test_a_dead_kernel(cli: Cli, tmp_path: Path, death: str, words: str) -> None:
    outcome = carry_out(cli, three(tmp_path, f"print('last words', flush=True)\n{death}"))
    assert outcome.code == 6
    error = outcome.run["error"]
    assert (error["name"], error["cell"]) == ("KernelDied", 1)
    assert words in error["value"]
    assert outcome.of("cell-done")[-1]["status"] == "died"
    assert outcome.texts()[0] == "before\n"
    assert "after\n" not in outcome.texts()
    states = [cell.metadata.papermill.status for cell in outcome.notebook.cells]
    assert states == ["completed", "failed", "pending"]


def test_a_cell_that_takes_too_long(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(
        cli, three(tmp_path, "import time\nprint('begun', flush=True)\ntime.sleep(60)"), "--cell-timeout", "1s"
    )
    assert outcome.code == 5
    error = outcome.run["error"]
    assert (error["name"], error["cell"]) == ("CellTimeout", 1)
    assert "1 s" in error["value"]
    assert outcome.texts() == ["before\n", "begun\nKeyboardInterrupt: ", ""]
    assert outcome.of("cell-done")[-1]["status"] == "interrupted"


def test_a_run_that_takes_too_long(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, three(tmp_path, "import time\ntime.sleep(60)"), "--timeout", "4s")
    assert outcome.code == 5
    assert outcome.run["error"]["name"] == "RunTimeout"
    assert len(outcome.texts()) == 3


def test_a_run_whose_time_is_over_before_it_starts(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, three(tmp_path, "1"), "--timeout", "10ms")
    assert outcome.code == 5
    assert outcome.run["cells"]["done"] == 0


@pytest.mark.parametrize("flag", ["--cell-timeout", "--timeout"])
def test_a_cell_that_does_not_let_itself_be_interrupted(home: Path, cli: Cli, tmp_path: Path, flag: str) -> None:
    profile = home / "config/profiles/quick.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text('kind = "local"\n[run]\ngrace = "500ms"\n', encoding="utf-8")
    outcome = carry_out(cli, three(tmp_path, STUBBORN), "-t", "quick", flag, "4s")
    assert outcome.code == 5
    assert outcome.texts()[2] == ""


def test_a_failure_a_cell_expects_is_none(cli: Cli, tmp_path: Path) -> None:
    expected = {"source": "1 / 0", "tags": ["raises-exception"]}
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", "print('before')", expected, "print('after')"))
    assert outcome.code == 0
    assert outcome.run["error"] is None
    assert outcome.texts() == ["before\n", "ZeroDivisionError: division by zero", "after\n"]
    assert len(outcome.notebook.cells) == 3
