"""The program at another machine, asked over a stream: many requests at once, each answered as it is done.

What it is and what it answers: see `jupyterctl.remote.there`.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from .. import errors
from ..errors import JupyterctlError, TargetError
from ..remote import OLDEST, there
from .ssh.way import ClosedError

if TYPE_CHECKING:
    from .ssh.way import Way

CHUNK = 1 << 20
_LONGEST_GREETING = 1 << 20
"""Bytes that a login may print before the program speaks."""


class NoPythonError(TargetError):
    """The machine has no Python that is new enough."""


class IncompleteError(TargetError):
    """The program there lacks modules of its own: somebody has removed them since it was started."""


class There:
    """One such program."""

    def __init__(self, way: Way, pythons: Sequence[str] = ()) -> None:
        """Start it over a way, with the first of these Pythons that will do or any other; returns once it answers."""
        mark = f"jupyterctl-{secrets.token_hex(8)}"
        command, first = there.command(mark, pythons)
        self._stream = way.execute(command)
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any] | None]] = {0: queue.SimpleQueue()}
        self._last = 0
        self._leaving = False
        self.over = False
        """Whether it answers no more."""
        with suppress(ClosedError):  # it has ended already: what it said tells why
            self._stream.write(first)
        rest = self._greet(mark.encode())
        threading.Thread(target=self._read, args=(rest,), daemon=True).start()
        if self._waiting[0].get() is None:
            raise TargetError("the program there did not start", self._said())

    def call(self, method: str, name: str, settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[Any]:
        """Ask: gives every item as `("item", …)` and the result last as `("result", …)`, undecoded but for JSON.

        The error that the program met is raised: IncompleteError where another one would do better; ClosedError where
        the connection ended first.
        """
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            if self.over:
                raise ClosedError("the connection is gone")
            self._last += 1
            number = self._last
            self._waiting[number] = answers
        request = {"id": number, "name": name, "method": method, "settings": settings, "arguments": arguments}
        try:
            self._stream.write(msgspec.json.encode(request) + b"\n")
            while (answer := answers.get()) is not None:
                if "error" in answer:
                    raise error_of(answer["error"])
                if "result" in answer:
                    yield "result", answer["result"]
                    return
                yield "item", answer["item"]
            raise ClosedError("the connection was lost")
        finally:
            with self._lock:
                self._waiting.pop(number, None)
            self._close_left()

    def leave(self) -> None:
        """Let it end as soon as what it has been asked is answered."""
        self._leaving = True
        self._close_left()

    def _close_left(self) -> None:
        with self._lock:
            idle = not self._waiting.keys() - {0}
        if self._leaving and idle:
            self.close()

    def close(self) -> None:
        """Let the program end; what it started lives on."""
        self._stream.close()

    def _greet(self, mark: bytes) -> bytes:
        """Read until the mark, and give the program its archive where it wants it; returns what came after."""
        heard = b""
        while True:
            before, found, after = heard.partition(b"\n" + mark + b" ")
            if found and b"\n" in after:
                word, _, rest = after.partition(b"\n")
                break
            data = self._stream.read(CHUNK)
            if not data or len(heard) > _LONGEST_GREETING:
                raise TargetError("the machine runs no commands for us", self._said(before or heard))
            heard += data
        if word == b"none":
            raise NoPythonError(
                f"there is no Python {'.'.join(map(str, OLDEST))} or newer at the machine",
                'install one there, or name its path in the profile: environment = "python:/path"',
            )
        if word == b"need":
            archive = there.archive()
            self._stream.write(b"%d\n%s" % (len(archive), archive))
        return rest

    def _said(self, printed: bytes = b"") -> str:
        lines = [*printed.decode("utf-8", "replace").splitlines(), *self._stream.errors().splitlines()]
        said = " | ".join(line.strip() for line in lines if line.strip())
        return f"it said: {said[-300:]}" if said else ""

    def _read(self, buffer: bytes) -> None:
        """Hand each line to whoever waits for it; in a thread of its own."""
        with suppress(JupyterctlError, msgspec.DecodeError):
            while True:
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    self._take(msgspec.json.decode(line))
                data = self._stream.read(CHUNK)
                if not data:
                    break
                buffer += data
        with self._lock:
            self.over = True
            waiting = list(self._waiting.values())
        for one in waiting:
            one.put(None)

    def _take(self, answer: dict[str, Any]) -> None:
        with self._lock:
            waiting = self._waiting.get(answer["id"])
        if waiting is not None:
            waiting.put(answer)


def error_of(said: Mapping[str, str]) -> JupyterctlError | FileNotFoundError:
    """The error that was met elsewhere; one of a type that we do not know is the target's."""
    if said.get("type") == FileNotFoundError.__name__:
        return FileNotFoundError(said.get("message", ""))
    if said.get("type") in {ImportError.__name__, ModuleNotFoundError.__name__}:
        return IncompleteError(said.get("message", ""), "remove the folder .cache/jupyterctl in your home there")
    kind = getattr(errors, said.get("type", ""), None)
    made = kind if isinstance(kind, type) and issubclass(kind, JupyterctlError) else TargetError
    error = made.__new__(made)
    JupyterctlError.__init__(error, said.get("message", ""), said.get("hint", ""))
    return error


def said_of(error: JupyterctlError | OSError) -> dict[str, str]:
    """An error as it travels; one of our own kind by the nearest name that everybody knows."""
    if isinstance(error, OSError):
        name = FileNotFoundError.__name__ if isinstance(error, FileNotFoundError) else TargetError.__name__
        return {"type": name, "message": str(error), "hint": ""}
    known = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
    return {"type": known, "message": error.message, "hint": error.hint}
