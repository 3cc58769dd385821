"""The person's terminal, given to a command at a place over the way that the keeper holds: no login is made."""

from __future__ import annotations

import base64
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from . import raw

if TYPE_CHECKING:
    from .broker import Broker

CHUNK = 1 << 16
BY_A_SIGNAL = 255
"""The exit code where a command has none, as ssh has it."""
_OUT, _ERR = 1, 2
_TOLD = ("LANG", "LANGUAGE", "COLORTERM")
"""Variables that the machine is told, beside `LC_*`, as far as it takes them."""


def carry(broker: Broker, command: str) -> int:
    """Let a command have our input and output until it ends; its exit code.

    Where our input is a terminal it has one too, of the same size; else only its input, output and errors are carried.
    """
    conversations: list[socket.socket] = []
    code = None
    asked = broker.request("terminal", command=command, screen=_screen(), connected=conversations.append)
    with raw.kept():
        for word, value in asked:
            if word == "begun":
                _Input(conversations[0]).begin()
            elif word == "data":
                raw.write(_OUT, base64.b64decode(value))
            elif word == "errors":
                raw.write(_ERR, value.encode())
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
        if raw.is_one():
            raw.begin(lambda rows, columns: self._say(size=(columns, rows)))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(raw.IN, CHUNK):
                self._say(data=base64.b64encode(data).decode())
        self._say(end=True)

    def _say(self, **said: Any) -> None:
        with self._lock, suppress(OSError):
            self._keeper.sendall(msgspec.json.encode(said) + b"\n")


def _screen() -> dict[str, Any] | None:
    if not raw.is_one():
        return None
    size = os.get_terminal_size(raw.IN)
    told = {name: value for name, value in os.environ.items() if name in _TOLD or name.startswith("LC_")}
    return {"term": os.environ.get("TERM", "dumb"), "columns": size.columns, "rows": size.lines, "variables": told}
