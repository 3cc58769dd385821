"""tmux on this machine, through libtmux: sessions that outlive the terminal they were started from."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from ..errors import TargetError


def available() -> bool:
    """Whether there is a tmux program."""
    return shutil.which("tmux") is not None


def spawn(session: str, shell: str, file: Path, directory: Path) -> None:
    """Run a shell script in a new detached session of that name; the session ends with it."""
    from libtmux import Server

    command = f"exec {shlex.quote(shell)} {shlex.quote(str(file))}"
    done = Server().cmd("new-session", "-d", "-s", session, "-c", str(directory), "-x", "200", "-y", "50", command)
    if done.returncode:
        raise TargetError(f"tmux could not start `{session}`: {' '.join(done.stderr)}", "`tmux kill-server` may help")
