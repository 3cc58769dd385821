"""What comes back of a command in a container that has no terminal: pieces of its output and its errors."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

HEAD = 8
"""Bytes before each piece: which it is, and how long."""
OUTPUT, ERRORS = 1, 2


def plain_socket(stream: Any) -> socket.socket:
    """The socket that the SDK gives for a command's input and output, whatever it is wrapped in."""
    found: socket.socket = getattr(stream, "_sock", stream)
    return found


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
