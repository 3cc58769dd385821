"""Processes on this machine that outlive the one that starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

EXEC_SECONDS = 1.0
"""How long a process may be without a command line, which it is in the middle of an exec on a busy machine."""


def spawn(command: list[str], directory: Path, log: Path | None = None) -> None:
    """Start a command in a session of its own, with no terminal; what it writes is appended to the log, or lost."""
    with (log or Path(os.devnull)).open("ab") as output:
        subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def named(pid: int, text: str) -> psutil.Process | None:
    """The live process of that pid, if its command line contains the text: pids are used again, run ids are not."""
    import psutil

    words: list[str] = []

    def told() -> bool:
        words[:] = process.cmdline()
        return bool(words) or process.status() == psutil.STATUS_ZOMBIE

    try:
        process = psutil.Process(pid)
        await_that(told, EXEC_SECONDS, every=0.001)
        return process if text in "\0".join(words) and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def marked(variable: str, value: str) -> list[psutil.Process]:
    """Every live process of this user with that variable in its environment."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                found.append(process)
    return found


def end(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal; a process that is gone already is no error."""
    import psutil

    with suppress(psutil.Error):
        process.send_signal(number)


def await_that(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Whether a condition comes true within so many seconds, asked again and again."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def began(pid: int) -> float:
    """When a process began, in seconds since 1970; 0 for one that is gone."""
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def same(pid: int, began: float) -> bool:
    """Whether the process of that pid that began then, in seconds since 1970, still lives."""
    import psutil

    try:
        found = psutil.Process(pid)
        return found.status() != psutil.STATUS_ZOMBIE and abs(found.create_time() - began) < 1
    except psutil.Error:
        return False
