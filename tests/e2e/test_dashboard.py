"""The dashboard as it is installed, in a real terminal: a tmux pane that keys are sent to and whose text is read."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import COMMAND, need, notebook, wait_for

need("tmux", shutil.which("tmux"), "there is no tmux")

WAITING = "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'):\n    time.sleep(0.05)"


class Pane:
    """A terminal of 110 by 32, on a tmux server of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.tmux("new-session", "-d", "-s", name, "-x", "110", "-y", "32", "-c", str(folder), "bash --norc")

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", "screens", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", self.name, "-l", text)

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", self.name, *keys)

    def text(self) -> str:
        return self.tmux("capture-pane", "-t", self.name, "-p")

    def shows(self, *words: str) -> str:
        """Wait until all words are on the screen; returns the screen."""
        try:
            return str(wait_for(lambda: (screen := self.text()) and all(word in screen for word in words) and screen))
        except AssertionError:
            raise AssertionError(f"{words} are not all on the screen:\n{self.text()}") from None

    def open(self) -> None:
        """Start the dashboard and wait for its first screen."""
        self.type(shlex.quote(str(COMMAND)))
        self.press("Enter")
        self.shows("1 Servers", "quit")

    def dashboard(self) -> psutil.Process:
        """The dashboard's process."""
        shell = psutil.Process(int(self.tmux("list-panes", "-t", self.name, "-F", "#{pane_pid}")))
        return next(child for child in shell.children(recursive=True) if "jupyterctl" in "".join(child.cmdline()))


@pytest.fixture
def panes(home: Path, tmp_path: Path) -> Iterator[Callable[[str], Pane]]:
    """Makes panes; all are gone afterwards."""
    made: list[Pane] = []

    def make(name: str) -> Pane:
        made.append(Pane(name, tmp_path))
        return made[-1]

    yield make
    for pane in made:
        subprocess.run(["tmux", "-L", "screens", "kill-session", "-t", pane.name], capture_output=True, check=False)


def test_a_run_from_the_form_and_back_to_the_shell(panes: Callable[[str], Pane], tmp_path: Path) -> None:
    notebook(tmp_path / "nb.ipynb", "# parameters\nword: str = 'x'  # what to say", "print(word * 3)")
    pane = panes("one")
    pane.open()
    pane.press("2")
    pane.shows("2 Runs")
    pane.press("n")
    pane.shows("New run")
    pane.type("nb.ipynb")
    pane.press("Enter")
    pane.shows("what to say")
    pane.press("C-s")
    pane.shows("succeeded")
    pane.press("q")
    pane.shows("bash-")
    pane.type("echo back at $((40 + 2))")
    pane.press("Enter")
    pane.shows("back at 42")


def test_killed_it_loses_nothing_and_a_second_one_shows_the_same(
    panes: Callable[[str], Pane], cli, tmp_path: Path
) -> None:
    path = notebook(tmp_path / "long.ipynb", WAITING, "2")
    run_id = cli("run", path, "--detach").stdout.strip()
    first, second = panes("first"), panes("second")
    for pane in (first, second):
        pane.open()
        pane.press("2")
        pane.shows(run_id, "running")
    os.kill(first.dashboard().pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    second.shows(run_id, "succeeded")
    first.type("reset")
    first.press("Enter")
    first.open()
    first.press("2")
    first.shows(run_id, "succeeded")


def test_it_ends_with_its_terminal(panes: Callable[[str], Pane]) -> None:
    """Even where whoever started it ignores the hang-up."""
    pane = panes("gone")
    pane.type("trap '' HUP")
    pane.press("Enter")
    pane.open()
    dashboard = pane.dashboard()
    pane.tmux("kill-session", "-t", pane.name)
    wait_for(lambda: not dashboard.is_running() or dashboard.status() == psutil.STATUS_ZOMBIE)


def test_without_a_terminal_it_prints_its_help(cli) -> None:
    shown = cli()
    assert shown.returncode == 0
    assert "Usage: jupyterctl" in shown.stdout
