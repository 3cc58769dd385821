"""`jupyterctl shell` at another machine, in a real terminal: over the login that is there."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import COMMAND, wait_for
from tests.e2e.test_dashboard import Pane, panes  # noqa: F401 - a fixture

from .box import NAME
from .conftest import Boxes
from .second_factor import CODE, METHODS, SecondFactor, second_factor

__all__ = ["second_factor"]
TRANSPORTS = ("paramiko", "openssh")
PROMPT = "bash-"
SHELL = f"{shlex.quote(str(COMMAND))} shell {NAME}"


def line(pane: Pane, text: str) -> None:
    """Type a line."""
    pane.type(text)
    pane.press("Enter")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_one_login_serves_it_and_its_second_factor_is_asked_once(
    transport: str,
    boxes: Boxes,
    second_factor: SecondFactor,
    panes: Callable[[str], Pane],  # noqa: F811
) -> None:
    box = boxes(sshd=METHODS, profile=f'transport = "{transport}"\n')
    pane = panes(f"factor-{transport}")
    pane.shows(PROMPT)
    line(pane, f"{SHELL}; echo ended with $?")
    pane.shows("Password:")
    pane.type(CODE)
    pane.press("Enter")
    pane.shows("~/work")
    line(pane, "echo $((6 * 7)) in $PWD at $HOME")
    pane.shows(f"42 in {box.work} at {box.home}"[:100])
    line(pane, "stty size; tty")
    pane.shows("32 110", "/dev/pts/")
    pane.tmux("resize-window", "-t", pane.name, "-x", "90", "-y", "20")
    wait_for(lambda: (line(pane, "clear; stty size"), "20 90" in pane.text())[1])
    line(pane, "sh -c 'echo it has $((1 + 0)) process; sleep 1000'")  # before that ^C would find the shell alone
    pane.shows("it has 1 process")
    pane.press("C-c")
    line(pane, "exit 7")
    pane.shows("ended with 7")
    line(pane, "stty -a | grep -o ' icanon\\| -icanon'")
    pane.shows(" icanon")
    line(pane, f"clear; {SHELL}")
    pane.shows("~/work")
    line(pane, "exit")
    assert second_factor.asked == 1
    assert box.logins() == 1


def test_a_lab_s_shell_is_a_window_of_its_session(boxes: Boxes, cli, panes: Callable[[str], Pane]) -> None:  # noqa: F811
    box = boxes()
    assert cli("start", NAME, "--no-open").returncode == 0
    pane = panes("window")
    pane.open()
    pane.shows(NAME, "running")
    pane.press("t")
    pane.shows("[jupyterct", "1:bash")
    line(pane, "echo here-$((40 + 2))")
    pane.shows("here-42")
    assert len(box.there("tmux", "list-windows", "-t", f"jupyterctl-{NAME}").splitlines()) == 2
    line(pane, "exit")
    wait_for(lambda: len(box.there("tmux", "list-windows", "-t", f"jupyterctl-{NAME}").splitlines()) == 1)
    pane.shows("1 Servers", "quit")
    assert box.logins() == 1


def test_the_terminal_is_as_it_was_when_the_machine_goes(boxes: Boxes, panes: Callable[[str], Pane]) -> None:  # noqa: F811
    box = boxes()
    pane = panes("gone")
    pane.shows(PROMPT)
    line(pane, f"{SHELL}; echo ended with $?")
    pane.shows("~/work")
    line(pane, "sleep 1000")
    box.sshd.stop()
    pane.shows("the connection closed while", "ended with 3")
    line(pane, "stty -a | grep -o ' icanon\\| -icanon'")
    pane.shows(" icanon")


def test_what_runs_in_it_ends_with_the_terminal(boxes: Boxes, panes: Callable[[str], Pane]) -> None:  # noqa: F811
    box = boxes()
    pane = panes("closed")
    pane.shows(PROMPT)
    line(pane, SHELL)
    pane.shows("~/work")
    line(pane, f"echo $$ >{box.home}/pid")
    pid = int(wait_for(lambda: (box.home / "pid").exists() and (box.home / "pid").read_text().strip()))
    pane.tmux("kill-session", "-t", pane.name)
    wait_for(lambda: not _lives(pid))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("lab", [False, True], ids=["alone", "beside a lab"])
def test_without_a_terminal_it_takes_lines_and_gives_bytes(boxes: Boxes, cli, *, lab: bool) -> None:
    boxes()
    assert not lab or cli("start", NAME, "--no-open").returncode == 0
    lines = "head -c 3000000 /dev/zero; test -t 0 || echo no terminal >&2; exit 5\n"
    done = subprocess.run([COMMAND, "shell", NAME], input=lines.encode(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 5, done.stderr
    assert done.stdout == bytes(3_000_000)
    assert b"no terminal" in done.stderr


def test_its_command_is_printed(boxes: Boxes, cli) -> None:
    boxes()
    printed = cli("shell", NAME, "--print").stdout
    done = subprocess.run(
        shlex.split(printed), input="echo from $0\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert "from /bin/bash" in done.stdout
