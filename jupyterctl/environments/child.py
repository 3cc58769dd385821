"""Run the programs that make environments: show what they say, explain how they fail, end them when we end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import IO, cast

from .explain import explain
from .solve import Step

Report = Callable[[Step], None]
"""Hears how far the making of an environment is."""


def run(command: Sequence[str], said: Callable[[str], None], data: bytes = b"") -> int:
    """Give it `data`, hand over each line it writes to stdout or stderr, and return its exit code.

    It runs in a session of its own, which is ended whole should the caller be interrupted. Its stdin ends with the
    caller, and inheritable descriptors are its own too: so is the lock of what it is making.
    """
    process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True, close_fds=False)
    stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    try:
        with contextlib.suppress(BrokenPipeError):
            stdin.write(data)
            stdin.flush()
        for line in stdout:
            said(line.decode("utf-8", "replace").rstrip())
        return process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        stdout.close()
        with contextlib.suppress(BrokenPipeError):
            stdin.close()


def install(prefix: Path, command: list[str], report: Report) -> None:
    """Run a program that fills the environment, and show its lines; raises the reason in words where it fails."""
    said: deque[str] = deque(maxlen=200)

    def heard(line: str) -> None:
        said.append(line)
        if line.strip() and not line.startswith(" + "):  # uv's list of what it installed
            report(Step(step="pip", text=line.strip()))

    if run(command, heard):
        raise explain("\n".join(said), "the package index", prefix)
