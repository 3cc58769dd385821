"""A person's terminal, key by key, for a command that executes elsewhere; afterwards it is as it was."""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

IN = 0
Resize = Callable[[int, int], object]
"""Hears of rows and columns."""


def is_one() -> bool:
    """Whether our input is a terminal."""
    return sys.stdin.isatty()


@contextmanager
def kept() -> Iterator[None]:
    """Afterwards our terminal is as it was before, also where we are asked to end."""
    if not is_one():
        yield
        return
    before, resized = termios.tcgetattr(IN), signal.getsignal(signal.SIGWINCH)
    asked_to_end = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        termios.tcsetattr(IN, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, resized)
        signal.signal(signal.SIGTERM, asked_to_end)


def begin(resize: Resize) -> None:
    """Every key is the command's from now on; it hears of the terminal's size now and whenever it changes."""

    def follow(*_: object) -> None:
        size = os.get_terminal_size(IN)
        with suppress(Exception):  # the command may be over
            resize(size.lines, size.columns)

    tty.setraw(IN)
    signal.signal(signal.SIGWINCH, follow)
    follow()


@contextmanager
def given(resize: Resize) -> Iterator[None]:
    """The terminal is the command's meanwhile."""
    with kept():
        begin(resize)
        yield


def write(file: int, data: bytes) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
