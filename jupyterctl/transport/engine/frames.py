"""What comes back of a command in a container: without a terminal, pieces of its output and of its errors."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

HEAD = 8
"""Bytes before each piece: which it is, and how long."""
OUTPUT, ERRORS = 1, 2


def handed(stream: Any) -> tuple[socket.socket, bytes]:
    """The socket of what the SDK gives for a command's input and output, and what has been read of it already.

    The SDK reads an answer's head through a buffer: what a command is quick to say may be in there.
    """
    found: socket.socket = getattr(stream, "_sock", stream)
    found.setblocking(False)
    ahead = b""
    with suppress(OSError):
        ahead = bytes(stream._response.raw._fp.fp.peek())  # noqa: SLF001 - the SDK has no other name for it
    found.setblocking(True)
    return found, ahead


def frames() -> Callable[[bytes], Iterator[tuple[int, bytes]]]:
    r"""What splits what comes into `OUTPUT` and `ERRORS`.

    >>> split = frames()
    >>> list(split(b"\x01\0\0\0\0\0\0\x02ab\x02\0\0\0\0\0\0\x01")), list(split(b"c"))
    ([(1, b'ab')], [(2, b'c')])
    """
    rest = b""

    def split(data: bytes) -> Iterator[tuple[int, bytes]]:
        nonlocal rest
        rest += data
        while len(rest) >= HEAD and len(rest) >= HEAD + (length := int.from_bytes(rest[4:HEAD], "big")):
            yield rest[0] or OUTPUT, rest[HEAD : HEAD + length]
            rest = rest[HEAD + length :]

    return split
