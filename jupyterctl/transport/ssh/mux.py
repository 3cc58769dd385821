"""Asking a running ssh program (a control master) for sessions and connections: version 4 of its protocol.

Source: PROTOCOL.mux of OpenSSH. A request goes over a connection of its own to the master's socket, together with the
file descriptors that it is to read and write; what it was asked for lasts no longer than that connection.
"""

from __future__ import annotations

import array
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

HELLO, NEW_SESSION, OPEN_FORWARD, STDIO_FORWARD = 0x1, 0x10000002, 0x10000006, 0x10000008
OK, DENIED, FAILURE, EXIT, OPENED, NO_TTY = 0x80000001, 0x80000002, 0x80000003, 0x80000004, 0x80000006, 0x80000008
VERSION = 4
SECONDS = 5.0
"""How long the master, which is a process of this machine, may take to accept a connection."""
_AGAIN_SECONDS = 0.002
_LOCAL = 1
_UNIX = 0xFFFFFFFE
"""The port that stands for a unix socket."""
_NO_ESCAPE = 0xFFFFFFFF
_MAXIMUM = 1 << 18


def dial(path: str) -> socket.socket:
    """A connection to the master, or to where it listens for us, waited for among many; OSError where there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(SECONDS)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            connection.connect(path)
        except BlockingIOError:  # its queue is full
            if time.monotonic() < deadline:
                time.sleep(_AGAIN_SECONDS)
                continue
            connection.close()
            raise
        except OSError:
            connection.close()
            raise
        return connection


def session(
    connection: socket.socket,
    command: str,
    files: Sequence[int],
    *,
    subsystem: bool = False,
    term: str | None = None,
    variables: Sequence[str] = (),
) -> None:
    """Ask for a command, with descriptors for its standard input, output and error.

    With a kind of terminal the command gets one, as large as the one of the first descriptor, and set as it is.
    `variables` (`NAME=VALUE`) are sent as far as the person's configuration sends them.
    """
    terminal = int(term is not None)
    asked: tuple[int | str, ...] = (0, "", terminal, 0, 0, int(subsystem), _NO_ESCAPE, term or "", command, *variables)
    packet = _GREETING + _packet(NEW_SESSION, *asked)
    _send(connection, packet, files)


def stream(connection: socket.socket, host: str, port: int, files: Sequence[int]) -> None:
    """Ask for a connection from the machine to somewhere, with descriptors to read from and to write to."""
    _send(connection, _request(host, port), files)


def ask_for_listener(path: str, here: str, there: str) -> None:
    """Have the master listen on a unix socket here, for connections to one there; OSError where it does not."""
    with dial(path) as connection:
        connection.sendall(_GREETING + _packet(OPEN_FORWARD, 0, _LOCAL, here, _UNIX, there, _UNIX))
        answers = Answers()
        while data := connection.recv(4096):
            for kind, rest in answers.feed(data):
                if kind != OK:
                    raise OSError(reason(rest) if kind in {FAILURE, DENIED} else "the ssh program does not listen")
                return
    raise OSError("the ssh program has ended")


def _packet(*parts: int | str) -> bytes:
    body = b""
    for part in parts:
        if isinstance(part, int):
            body += struct.pack(">I", part)
        else:
            data = part.encode()
            body += struct.pack(">I", len(data)) + data
    return struct.pack(">I", len(body)) + body


_GREETING = _packet(HELLO, VERSION)


@lru_cache(16)
def _request(host: str, port: int) -> bytes:
    """What asks for a connection to somewhere: the same for each that a link carries."""
    return _GREETING + _packet(STDIO_FORWARD, 0, "", host, port)


def _send(connection: socket.socket, packet: bytes, files: Sequence[int]) -> None:
    connection.sendall(packet)
    for file in files:
        connection.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])


class Answers:
    """The master's messages on one connection."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(type, rest) of each message that is complete now; greetings left out. ValueError for what is none."""
        self._data += data
        while len(self._data) >= 8:  # noqa: PLR2004 - a length and a type
            (size, kind) = struct.unpack_from(">II", self._data)
            if not 4 <= size < _MAXIMUM:  # noqa: PLR2004 - a type
                raise ValueError("no message of a control master")
            if len(self._data) < 4 + size:
                return
            rest, self._data = self._data[8 : 4 + size], self._data[4 + size :]
            if kind != HELLO:
                yield kind, rest


def exit_status(rest: bytes) -> int:
    """What EXIT says: of which session, and with what status it ended."""
    return int(struct.unpack_from(">II", rest)[1])


def reason(rest: bytes) -> str:
    """What FAILURE and DENIED say."""
    (size,) = struct.unpack_from(">I", rest, 4)
    return rest[8 : 8 + size].decode(errors="replace")
