"""Commands in a container: their input and output as bytes, and their exit code."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ...errors import TargetError, UnreachableError
from ..polling import readable
from .client import client, words
from .frames import OUTPUT, frames, handed
from .where import Engine

SILENCE_SECONDS = 60.0
"""How long a command may say nothing, or take nothing, while something of it is awaited."""
BLOCK = 1 << 18


class Stream:
    """A command's input and output, over a socket of its own: the engine hands its connection over."""

    def __init__(self, engine: Engine, container: str, command: Sequence[str], *, stdin: bool = True) -> None:
        with words(engine):
            api = client(engine).api
            self.id = api.exec_create(container, list(command), stdin=stdin, workdir="/")["Id"]
            self._whole = api.exec_start(self.id, socket=True)
        self.socket, self.ahead = handed(self._whole)
        self.socket.settimeout(SILENCE_SECONDS)

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._whole.close()
        self.socket.close()


class Command:
    """A command that executes in a container."""

    def __init__(self, engine: Engine, container: str, command: Sequence[str], *, stdin: bool = False) -> None:
        self._engine = engine
        self._stream = Stream(engine, container, command, stdin=stdin)
        self._split = frames()
        self._errors, self._early = bytearray(), bytearray()
        self._over = False

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of its input."""
        try:
            self._stream.socket.sendall(data)
        except OSError as error:
            raise _lost(error) from error

    def answered(self) -> bool:
        """Whether it has written something, or ended, before its input has."""
        try:
            while not self._over and not self._early and (self._stream.ahead or readable(self._stream.socket)):
                self._early += self._hear()
        except OSError as error:
            raise _lost(error) from error
        return bool(self._early) or self._over

    def output(self) -> Iterator[bytes]:
        """What it writes, as it comes; UnreachableError where the way is lost before it has ended."""
        try:
            yield bytes(self._early)
            while not self._over:
                yield self._hear()
        except OSError as error:
            raise _lost(error) from error
        finally:
            self._stream.close()

    def _hear(self) -> bytes:
        """What has come of its output; of its errors, that is kept."""
        data, self._stream.ahead = self._stream.ahead or self._stream.socket.recv(BLOCK), b""
        self._over = not data
        told = bytearray()
        for number, part in self._split(data):
            (told if number == OUTPUT else self._errors).extend(part)
        return bytes(told)

    def result(self) -> bytes:
        """All its output; TargetError with its own words where it fails."""
        data = b"".join(self.output())
        with words(self._engine):
            code = client(self._engine).api.exec_inspect(self._stream.id)["ExitCode"]
        if code is None:
            raise _lost("it was cut off")
        if code:
            said = self._errors.decode("utf-8", "replace").strip().splitlines()
            raise TargetError(f"a command in the container failed: {said[-1] if said else code}")
        return data


def _lost(why: object) -> UnreachableError:
    return UnreachableError(f"the way into the container was lost: {why}", "try again")
