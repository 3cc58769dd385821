"""What a run or a server lives in that outlives the terminal it was started from.

tmux where there is one, else GNU screen, else a session of its own that nobody can look at.
"""

from __future__ import annotations

from pathlib import Path

from ..model import Check, CheckState
from . import process, screen, tmux

_PROGRAMS = {"tmux": tmux, "screen": screen}


def program() -> str:
    """Which of them is here; empty for none."""
    return next((name for name, one in _PROGRAMS.items() if one.available()), "")


def spawn(name: str, command: list[str], directory: Path, log: Path | None = None) -> str:
    """Run a command in a session of that name; returns `PROGRAM SESSION`, empty where there is no such program."""
    chosen = program()
    if not chosen:
        process.spawn(command, directory, log)
        return ""
    session = tmux.session_name(name)
    _PROGRAMS[chosen].spawn(session, command, directory, log)
    return f"{chosen} {session}"


def words(kept: str) -> str:
    """What was returned by `spawn`, for a person.

    >>> words("tmux jupyterctl-lab"), words("screen jupyterctl-lab")
    ('tmux session jupyterctl-lab', 'screen session jupyterctl-lab, for there is no tmux')
    >>> words("")
    'a session of its own without a terminal, for there is neither tmux nor screen'
    """
    if not kept:
        return "a session of its own without a terminal, for there is neither tmux nor screen"
    chosen, _, session = kept.partition(" ")
    return f"{chosen} session {session}" + (", for there is no tmux" if chosen != "tmux" else "")


def shell_command(kept: str, command: list[str], directory: str) -> list[str]:
    """Open a window with that command in such a session, and show the session to the person."""
    chosen, _, session = kept.partition(" ")
    if chosen == "tmux":
        return tmux.shell_command(session, command, directory)
    return screen.shell_command(session, command, directory)


def check() -> Check:
    """Whether there is one."""
    chosen = program()
    if chosen == "tmux":
        return Check(name="tmux", state=CheckState.OK, detail="runs and labs live in tmux sessions")
    if chosen:
        return Check(name="tmux", state=CheckState.OK, detail="no tmux, so runs and labs live in screen sessions")
    fix = "install tmux or screen to be able to look at the terminal of a run or a lab"
    detail = "neither tmux nor screen: runs and labs live without a terminal"
    return Check(name="tmux", state=CheckState.WARN, detail=detail, fix=fix)
