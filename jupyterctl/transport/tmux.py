"""tmux on this machine, through libtmux: sessions that outlive the terminal they were started from."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TargetError

if TYPE_CHECKING:
    from libtmux import Server
    from libtmux.common import tmux_cmd

_SIZE = ("-x", "200", "-y", "50")
_TRIES = 20
_GONE = ("server exited", "lost server", "no server running")


def available() -> bool:
    """Whether there is a tmux program."""
    return shutil.which("tmux") is not None


def session_name(name: str) -> str:
    """What a session of that name is called: tmux itself replaces what it reads as an address.

    >>> session_name("lab.v2")
    'jupyterctl-lab_v2'
    """
    return f"jupyterctl-{name}".replace(".", "_").replace(":", "_")


def spawn(session: str, script: list[str], directory: Path, log: Path | None = None) -> None:
    """Run a script in a new detached session of that name; the session ends with it.

    Where the session is there already, because somebody works in another window of it, the script gets a window of its
    own. What it writes is seen in tmux, and is appended to the log as well.
    """
    from libtmux import Server

    server = Server()
    command = f"exec {shlex.join(script)}"
    common = ("-d", "-P", "-F", "#{pane_id}", "-c", str(directory))
    done = _patiently(server, "new-session", "-s", session, *common, *_SIZE, command)
    if any("duplicate session" in line for line in done.stderr):
        done = server.cmd("new-window", *common, command, target=f"={session}:")
    if done.returncode:
        raise TargetError(f"tmux could not start `{session}`: {' '.join(done.stderr)}", "`tmux kill-server` may help")
    if log is not None:
        _log(server, done.stdout[0], log)


def _patiently(server: Server, *command: str) -> tmux_cmd:
    """Ask tmux again where its server was just ending, as it does with its last session, and took no new one."""
    done = server.cmd(*command)
    for _ in range(_TRIES):
        if not any(words in line for line in done.stderr for words in _GONE):
            break
        time.sleep(0.02)
        done = server.cmd(*command)
    return done


def shell_command(session: str, command: list[str], directory: str) -> list[str]:
    """Open a window with that command in a session, and show the session to the person until the command ends.

    Left where they are they would stand before the lab itself then, which ends by a ^C. Somebody in a tmux of another
    server sees the session inside theirs.
    """
    within = bool(os.environ.get("TMUX"))
    inside = within and _has(session)
    show, leave = ("switch-client", "switch-client -l") if inside else ("attach-session", "detach-client")
    return [
        *(["env", "-u", "TMUX"] if within and not inside else []),
        "tmux",
        "new-window",
        "-t",
        f"={session}:",
        "-c",
        directory,
        f"{shlex.join(command)}; tmux {leave}",
        ";",
        show,
        "-t",
        f"={session}:",
    ]


def _has(session: str) -> bool:
    """Whether the tmux that we are in has it."""
    asked = subprocess.run(["tmux", "has-session", "-t", f"={session}"], capture_output=True, check=False)
    return asked.returncode == 0


def _log(server: Server, pane: str, log: Path) -> None:
    server.cmd("pipe-pane", f"exec cat >>{shlex.quote(str(log))}", target=pane)
