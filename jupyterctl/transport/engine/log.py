"""What a container has written, from a moment on.

An engine knows no offsets, but stamps every message with the nanosecond it came at; these stamps are the offsets of a
lab's log. Each message comes in a frame of its own, so that what is longer than a message is put together again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker.models.containers import Container

NANO = 10**9
SHORT_LINE = 16
"""Bytes that a line of a log has at least, where so many lines are asked for that they make so many bytes."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d) ")


def messages(container: Container, since: int = 0, lines: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Every message at or after a moment in nanoseconds since 1970, or in the last lines, with its moment."""
    asked: dict[str, Any] = {"tail": "all" if lines is None else lines}
    if since >= NANO:
        asked["since"] = since // NANO
    for frame in container.logs(stream=True, follow=False, timestamps=True, **asked):
        when, data = split(frame)
        if when >= since:
            yield when, data


def split(frame: bytes) -> tuple[int, bytes]:
    r"""A message's moment and its bytes.

    >>> split(b"2026-01-02T03:04:05.000000006Z x\n")
    (1767323045000000006, b'x\n')
    >>> split(b"2026-01-02T04:04:05+01:00 x\n")
    (1767323045000000000, b'x\n')
    """
    stamp = _STAMP.match(frame)
    if stamp is None:
        return 0, frame
    zone = stamp[3].decode().replace("Z", "+00:00")
    whole = datetime.fromisoformat(stamp[1].decode() + zone).astimezone(UTC)
    return int(whole.timestamp()) * NANO + int((stamp[2] or b"0").ljust(9, b"0")), frame[stamp.end() :]


def tail(container: Container, offset: int) -> tuple[bytes, int]:
    """The log from an offset on, negative: about so many bytes from the end; and the offset to go on from."""
    lines = -offset // SHORT_LINE + 1 if offset < 0 else None
    parts, last = [], max(offset, 0) - 1
    for when, data in messages(container, max(offset, 0), lines):
        parts.append(data)
        last = max(last, when)
    return b"".join(parts), last + 1
