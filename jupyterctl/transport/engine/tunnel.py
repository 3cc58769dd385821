"""Connections into a container over the engine's own API: one command in it, whose input and output carry them all.

So they go wherever the engine's commands go, over its socket, TLS or ssh, and nothing has to be published. The command
is the container's Python, which is given `remote.channels` as its first input: nothing is left in the container, and
both ends are of one version.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable

from ...errors import TargetError, UnreachableError
from ...remote import CHANNELS
from ...remote.channels import Channels
from ..ssh.sockets import prepare
from .execution import BLOCK, Stream
from .frames import OUTPUT, frames
from .where import Engine

BEGIN_SECONDS = 20.0
"""How long the container's Python may take to answer."""
_READ_ITSELF = (
    "import os\ncode = b''\nwhile len(code) < {size}:\n    code += os.read(0, {size} - len(code))\nexec(code)"
)
_ERRORS = 4096
"""Bytes of errors that are kept."""


class Tunnel:
    """One, from its command's start to its end. `ended()` is called once nothing goes through it any more."""

    def __init__(self, engine: Engine, container: str, python: str, ended: Callable[[], object]) -> None:
        self.container = container
        self._wire = _Wire(engine, container, python)
        self.channels = Channels(self._wire)
        self._ended = ended
        threading.Thread(target=self._run, name="tunnel", daemon=True).start()

    def _run(self) -> None:
        try:
            self.channels.run()
        finally:
            self._wire.close()
            self._ended()

    @property
    def alive(self) -> bool:
        """Whether it carries connections."""
        return not self.channels.ended

    def prove(self) -> None:
        """Until its other end answers; TargetError where the container cannot execute it."""
        self.channels.ping()
        in_time = self.channels.answered.wait(BEGIN_SECONDS)
        if not self.alive:
            said = [*self._wire.errors.decode("utf-8", "replace").split("\n"), self.channels.problem]
            why = next((line.strip() for line in reversed(said) if line.strip()), "it ends at once")
            raise TargetError(f"nothing can be executed in the container: {why}", "is its Python well? see `python`")
        if not in_time:
            self.close()
            raise UnreachableError("the container's Python does not answer", "the machine may be busy")

    def close(self) -> None:
        """Let go of it: its command ends as its input does."""
        self.channels.stop()


class _Wire:
    """The command's input and output, as channels go over them."""

    def __init__(self, engine: Engine, container: str, python: str) -> None:
        code = CHANNELS.read_bytes()
        start = [python, "-IS", "-c", _READ_ITSELF.format(size=len(code))]
        self.errors = bytearray()
        self._split = frames()
        self._stream = Stream(engine, container, start)
        self.source = self._stream.socket
        try:
            self.source.sendall(code)
        except OSError as error:
            self._stream.close()
            raise UnreachableError(f"the way into the container was lost: {error}", "try again") from error
        prepare(self.source)
        self.sink = os.dup(self.source.fileno())

    def receive(self) -> bytes:
        """What the command has put out; empty at its end, BlockingIOError where it has said nothing."""
        data = self._received()
        if not data:
            return b""
        parts = []
        for number, part in self._split(data):
            if number == OUTPUT:
                parts.append(part)
            else:
                self.errors = (self.errors + part)[-_ERRORS:]
        if not parts:
            raise BlockingIOError
        return b"".join(parts)

    def _received(self) -> bytes:
        ahead, self._stream.ahead = self._stream.ahead, b""
        try:
            data: bytes = ahead or self.source.recv(BLOCK)
            while isinstance(self.source, ssl.SSLSocket) and self.source.pending():  # select does not see these
                data += self.source.recv(self.source.pending())
        except ssl.SSLWantReadError as error:
            raise BlockingIOError from error
        return data

    def send(self, data: bytes) -> int:
        """How much of it was taken."""
        try:
            return int(self.source.send(data))
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
            raise BlockingIOError from error

    def close(self) -> None:
        """Let go of it."""
        os.close(self.sink)
        self._stream.close()
