"""A machine without tmux: labs and runs live in screen, and without that in sessions of their own; both is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import notebook, wait_for
from tests.e2e.test_dashboard import Pane, panes  # noqa: F401 - a fixture

from .box import NAME, Box, need_all
from .conftest import Boxes
from .test_shell import PROMPT, SHELL, line

SESSION = f"jupyterctl-{NAME}"


def sessions(box: Box) -> str:
    return box.there("screen", "-ls")


def test_a_lab_lives_in_screen_and_is_looked_at_there(
    boxes: Boxes,
    cli,
    panes: Callable[[str], Pane],  # noqa: F811
) -> None:
    need_all("screen")
    box = boxes(without=("tmux",))
    started = cli("start", NAME, "--no-open")
    assert started.returncode == 0, started.stderr
    assert f"screen session {SESSION}, for there is no tmux" in started.stderr
    assert f".{SESSION}\t" in sessions(box)
    (row,) = json.loads(cli("status", NAME, "--json").stdout)["servers"]
    assert row["place"] == f"{box.sshd.name}, screen session {SESSION}"
    assert "Jupyter Server" in cli("logs", NAME).stdout
    pane = panes("screen")
    pane.shows(PROMPT)
    line(pane, SHELL)
    pane.shows("~/work")
    line(pane, "echo in $STY at $((40 + 2))")
    pane.shows(f".{SESSION} at 42")
    line(pane, "exit")
    pane.shows("Jupyter Server")
    pane.press("C-a", "d")
    pane.shows("detached")
    assert json.loads(cli("status", NAME, "--json").stdout)["servers"][0]["pid"] == row["pid"]
    assert cli("restart", NAME).returncode == 0
    assert cli("stop", NAME).returncode == 0
    wait_for(lambda: SESSION not in sessions(box))


def test_a_run_lives_in_screen(boxes: Boxes, cli, tmp_path: Path) -> None:
    need_all("screen")
    box = boxes(without=("tmux",))
    go = box.home / "go"
    cell = f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.05)"
    run = cli("run", notebook(tmp_path / "nb.ipynb", cell), "-t", NAME, "--detach").stdout.strip()
    assert f".jupyterctl-run-{run}\t" in sessions(box)
    go.touch()
    assert cli("runs", "attach", run).returncode == 0
    wait_for(lambda: run not in sessions(box))


def test_without_both_it_is_said(boxes: Boxes, cli) -> None:
    boxes(without=("tmux", "screen"))
    started = cli("start", NAME, "--no-open")
    assert started.returncode == 0, started.stderr
    assert "a session of its own without a terminal, for there is neither tmux nor screen" in started.stderr
    assert "Jupyter Server" in cli("logs", NAME).stdout
    checks = json.loads(cli("profile", "check", NAME, "--json").stdout)["checks"]
    (check,) = [one for one in checks if one["name"] == "tmux" and one["target"] == NAME]
    assert check["state"] == "warn"
    assert "install tmux or screen" in check["fix"]
