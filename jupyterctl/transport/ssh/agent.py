"""The ssh agent: which keys it holds, and signatures by them. Nothing of a private key is ever here."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct

from ...errors import TargetError

SECONDS = 5.0
"""How long it may take to say which keys it has."""
SIGN_SECONDS = 90.0
"""How long it may take to sign: it may ask the person, or for a touch of the security key."""
_LIST, _LISTED, _SIGN, _SIGNED = 11, 12, 13, 14
_HASHES = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}
_MAXIMUM = 1 << 24


class AgentError(TargetError):
    """The agent does not do what it was asked for."""


class Identity(Struct, frozen=True):
    """A key that it holds."""

    blob: bytes
    comment: str


class Agent:
    """A connection to an agent's socket; `open_agent` makes one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def identities(self) -> list[Identity]:
        """Its keys; none where it does not answer as an agent does."""
        self._connection.settimeout(SECONDS)
        try:
            kind, body = self._ask(struct.pack(">B", _LIST))
            if kind != _LISTED:
                return []
            (count,) = struct.unpack_from(">I", body)
            strings = _strings(body[4:])
            found = [Identity(next(strings), next(strings).decode(errors="replace")) for _ in range(count)]
        except (OSError, struct.error, StopIteration):
            return []
        return found

    def sign(self, blob: bytes, data: bytes, algorithm: str) -> bytes:
        """A signature, as it goes over the wire; AgentError where it gives none."""
        self._connection.settimeout(SIGN_SECONDS)
        flags = _HASHES.get(algorithm, 0)
        parts = b"".join(struct.pack(">I", len(each)) + each for each in (blob, data))
        try:
            kind, body = self._ask(struct.pack(">B", _SIGN) + parts + struct.pack(">I", flags))
            if kind == _SIGNED:
                return bytes(next(_strings(body)))
        except (OSError, struct.error, StopIteration) as error:
            raise AgentError("the ssh agent does not answer") from error
        raise AgentError("the ssh agent declined to sign")

    def _ask(self, request: bytes) -> tuple[int, bytes]:
        self._connection.sendall(struct.pack(">I", len(request)) + request)
        (size,) = struct.unpack(">I", self._read(4))
        if not 0 < size < _MAXIMUM:
            raise OSError("no agent")
        answer = self._read(size)
        return answer[0], answer[1:]

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._connection.recv(size - len(data))
            if not more:
                raise OSError("the agent has closed")
            data += more
        return data

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def open_agent(path: str) -> Agent | None:
    """The agent at a socket; None where nobody is there."""
    if not path:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(SECONDS)
    with suppress(OSError):
        connection.connect(path)
        return Agent(connection)
    connection.close()
    return None


def _strings(body: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(body):
        (size,) = struct.unpack_from(">I", body, at)
        if at + 4 + size > len(body):
            return
        yield body[at + 4 : at + 4 + size]
        at += 4 + size
