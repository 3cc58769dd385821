"""GNU screen on this machine: the second choice where there is no tmux."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import TargetError

_TRIES = 100


def available() -> bool:
    """Whether there is a screen program."""
    return shutil.which("screen") is not None


def spawn(session: str, script: list[str], directory: Path, log: Path | None = None) -> None:
    """Run a script in a new detached session of that name, or in a new window where there is one; as `tmux.spawn`.

    What it writes is appended to the log from soon after its start on.
    """
    window = f"w{os.urandom(4).hex()}"
    found = _address(session)
    command = ["-S", found, "-X", "screen"] if found else ["-dmS", session]
    done = _screen(*command, "-t", window, *script, cwd=directory)
    if done.returncode:
        raise TargetError(f"screen could not start `{session}`: {_said(done)}", "`screen -wipe` may help")
    if log is not None:
        _log(session, window, log)


def shell_command(session: str, command: list[str], directory: str) -> list[str]:
    """Open a window with that command in a session, and show the session to the person."""
    found, window = _address(session) or session, f"w{os.urandom(4).hex()}"
    inside = f"cd {shlex.quote(directory)}; exec {shlex.join(command)}"
    opened = shlex.join(["screen", "-S", found, "-X", "screen", "-t", window, "sh", "-c", inside])
    return ["sh", "-c", f"unset STY; {opened} && exec screen -x {shlex.quote(found)} -p {window}"]


def _address(session: str) -> str:
    """`PID.NAME` of a session, since a name alone stands for others that begin with it; empty where there is none."""
    found = re.search(rf"^\s*(\d+\.{re.escape(session)})\s", _screen("-ls", session).stdout, re.MULTILINE)
    return found[1] if found else ""


def _log(session: str, window: str, log: Path) -> None:
    """Have screen append what a window shows to a file, and write it at once."""
    to = str(log).replace("%", "%%")
    for _ in range(_TRIES):
        found = _address(session)
        if found and not _screen("-S", found, "-p", window, "-X", "logfile", to).returncode:
            break
        time.sleep(0.02)
    for order in (("logfile", "flush", "0"), ("log", "on")):
        _screen("-S", found, "-p", window, "-X", *order)


def _screen(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "STY"}
    command: Sequence[str] = ["screen", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(f"{done.stdout} {done.stderr}".split())
