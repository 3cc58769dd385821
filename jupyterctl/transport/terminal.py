"""The person's terminal, given to a command at a place over the way that the keeper holds: no login is made."""

from __future__ import annotations

import base64
import os
import signal
import socket
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .broker import Broker

CHUNK = 1 << 16
BY_A_SIGNAL = 255
"""The exit code where a command has none, as ssh has it."""
_IN, _OUT, _ERR = 0, 1, 2
_TOLD = ("LANG", "LANGUAGE", "COLORTERM")
"""Variables that the machine is told, beside `LC_*`, as far as it takes them."""


def carry(broker: Broker, command: str) -> int:
    """Let a command have our input and output until it ends; its exit code.

    Where our input is a terminal it has one too, of the same size; else only its input, output and errors are carried.
    """
    conversations: list[socket.socket] = []
    code = None
    asked = broker.request("terminal", command=command, screen=_screen(), connected=conversations.append)
    with _as_it_was():
        for word, value in asked:
            if word == "begun":
                _Input(conversations[0]).begin()
            elif word == "data":
                _write(_OUT, base64.b64decode(value))
            elif word == "errors":
                _write(_ERR, value.encode())
            elif word == "result":
                code = value
    return BY_A_SIGNAL if code is None else int(code)


class _Input:
    """What the person types, and the size of their terminal, as it goes to the keeper."""

    def __init__(self, keeper: socket.socket) -> None:
        self._keeper = keeper
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Every key is the command's from now on."""
        if sys.stdin.isatty():
            tty.setraw(_IN)
            signal.signal(signal.SIGWINCH, lambda *_: self._say(size=os.get_terminal_size(_IN)))
            self._say(size=os.get_terminal_size(_IN))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(_IN, CHUNK):
                self._say(data=base64.b64encode(data).decode())
        self._say(end=True)

    def _say(self, **said: Any) -> None:
        with self._lock, suppress(OSError):
            self._keeper.sendall(msgspec.json.encode(said) + b"\n")


def _screen() -> dict[str, Any] | None:
    if not sys.stdin.isatty():
        return None
    size = os.get_terminal_size(_IN)
    told = {name: value for name, value in os.environ.items() if name in _TOLD or name.startswith("LC_")}
    return {"term": os.environ.get("TERM", "dumb"), "columns": size.columns, "rows": size.lines, "variables": told}


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Afterwards our terminal is as it was before, also where we are asked to end."""
    if not sys.stdin.isatty():
        yield
        return
    before, resized = termios.tcgetattr(_IN), signal.getsignal(signal.SIGWINCH)
    asked_to_end = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        termios.tcsetattr(_IN, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, resized)
        signal.signal(signal.SIGTERM, asked_to_end)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
