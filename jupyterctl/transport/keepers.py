"""Where keepers are, and how one is started; with next to no imports, so that it can be done before everything else."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from .. import paths
from ..errors import TargetError

LONGEST_PATH = 90
"""Bytes that a socket's path may have on every system, with some to spare."""
LONGEST_NAME = 40


def folder() -> Path:
    """Where keepers have their sockets and locks: ours alone, and short enough for a socket."""
    wanted = paths.run()
    if len(os.fsencode(wanted)) > LONGEST_PATH - LONGEST_NAME:
        import tempfile

        wanted = Path(tempfile.gettempdir()) / f"jupyterctl-{os.getuid()}-{_short(str(wanted))}"
    paths.private(wanted)
    status = wanted.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise TargetError(f"`{wanted}` is not ours alone", "remove it, or set JUPYTERCTL_HOME to another folder")
    return wanted


def address(name: str) -> Path:
    """The socket of a profile's keeper."""
    return folder() / f"{name if len(name) <= LONGEST_NAME else _short(name)}.sock"


def log(name: str) -> Path:
    """What a keeper writes."""
    return paths.state() / "links" / f"{name}.log"


def lock(name: str) -> TextIO | None:
    """What the one keeper of a profile holds from before its start to its end; None where somebody has it."""
    file = address(name).with_suffix(".lock").open("w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def start(name: str) -> None:
    """Start a keeper that outlives us, unless there is one or one is on its way."""
    held = lock(name)
    if held is None:
        return
    file = log(name)
    paths.private(file.parent)
    with held, file.open("ab") as output:
        file.chmod(0o600)
        subprocess.Popen(
            [sys.executable, "-m", "jupyterctl.core.keeper", name, str(held.fileno())],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(held.fileno(),),
            start_new_session=True,
        )


def wake(name: str) -> None:
    """Start the keeper of a profile that has had one, unless it is there: it comes up while we do."""
    if "/" not in name and log(name).exists():
        start(name)


def _short(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
