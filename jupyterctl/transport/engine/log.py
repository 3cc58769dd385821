"""What a container has written, from a moment on.

An engine knows no offsets, but stamps every message with the nanosecond it came at. The pieces of one long line are
messages of one moment. Each message comes in a frame of its own, so that pieces are put together again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import paths

if TYPE_CHECKING:
    from docker.models.containers import Container

NANO = 10**9
KEPT = 1 << 18
"""Bytes that are kept of what a lab has said whose container is taken away."""
SHORT_LINE = 16
"""Bytes that a line of a log has at least, where so many lines are asked for that they make so many bytes."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d) ")
Message = tuple[int, bytes]
"""Its moment in nanoseconds since 1970, and what was written."""


def frames(container: Container, moment: int = 0, **asked: Any) -> Any:
    """The messages as the engine gives them, from the second of a moment on."""
    since = {"since": moment // NANO} if moment >= NANO else {}
    return container.logs(stream=True, timestamps=True, **{"follow": False, **since, **asked})


def after(given: Iterable[bytes], moment: int, count: int = 0) -> Iterator[Message]:
    r"""Those from a moment on, but for the first `count` of that moment itself.

    >>> pieces = [b"2026-01-02T03:04:05.000000006Z " + part for part in (b"a", b"b", b"c\n")]
    >>> [data for _, data in after(pieces, 1767323045000000006, 2)]
    [b'c\n']
    """
    for frame in given:
        when, data = split(frame)
        if when == moment and count:
            count -= 1
        elif when >= moment:
            yield when, data


def split(frame: bytes) -> Message:
    r"""A message's moment and its bytes.

    >>> split(b"2026-01-02T03:04:05.000000006Z x\n")
    (1767323045000000006, b'x\n')
    >>> split(b"2026-01-02T04:04:05+01:00 x\n")
    (1767323045000000000, b'x\n')
    """
    stamp = _STAMP.match(frame)
    return (0, frame) if stamp is None else (_nanoseconds(stamp), frame[stamp.end() :])


def moment(text: str) -> int:
    """The same of a time that stands alone; 0 where it is none.

    >>> moment("2026-01-02T03:04:05.5Z")
    1767323045500000000
    """
    stamp = _STAMP.match(f"{text} ".encode())
    return _nanoseconds(stamp) if stamp is not None else 0


def _nanoseconds(stamp: re.Match[bytes]) -> int:
    zone = stamp[3].decode().replace("Z", "+00:00")
    whole = datetime.fromisoformat(stamp[1].decode() + zone).astimezone(UTC)
    return int(whole.timestamp()) * NANO + int((stamp[2] or b"0").ljust(9, b"0"))


def tail(container: Container, offset: int) -> tuple[bytes, int]:
    """The log from an offset on, negative: about so many bytes from the end; and the offset to go on from.

    The offsets of a lab's log are moments.
    """
    asked = {"tail": -offset // SHORT_LINE + 1} if offset < 0 else {}
    parts, last = [], max(offset, 0) - 1
    for when, data in after(frames(container, max(offset, 0), **asked), max(offset, 0)):
        parts.append(data)
        last = max(last, when)
    return b"".join(parts), last + 1


def keep(site: str, name: str, data: bytes) -> None:
    """Have what a lab has said that could not be started, once its container is gone."""
    file = _file(site, name)
    paths.write(paths.private(file.parent) / file.name, data)


def kept(site: str, name: str) -> bytes:
    """The same; nothing where nothing is kept."""
    try:
        return _file(site, name).read_bytes()
    except FileNotFoundError:
        return b""


def drop(site: str, name: str) -> None:
    """Forget it: there is another container."""
    _file(site, name).unlink(missing_ok=True)


def _file(site: str, name: str) -> Path:
    return paths.state() / "engines" / f"{hashlib.sha256(f'{site} {name}'.encode()).hexdigest()[:16]}.log"
