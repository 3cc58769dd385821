"""What the log of a run's container says: the journal, and after it the files that were printed.

A line of the journal begins with a brace. A printed file has lines `=NAME NUMBER OF PART`; `=SECONDS` says that files
wait in the container for so long, `=stored` that they are where the profile names. Whatever else stands there is not
ours.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib

from msgspec import Struct

_PART = re.compile(rb"=(\S+) (\d+) (\d+) (\S*)")
_WAITS = re.compile(rb"=(\d+)")
_STORED = b"=stored"


class Printed(Struct, frozen=True, kw_only=True):
    """A log, taken apart."""

    journal: bytes = b""
    """A last line that is not whole is left out."""
    files: dict[str, bytes] = {}
    """Those that are there whole."""
    waits: int | None = None
    """Seconds that files wait in the container."""
    stored: bool = False


def read(log: bytes) -> Printed:
    r"""Take a log apart, as far as it has come.

    >>> read(b'{"seq": 0}\n{"se').journal
    b'{"seq": 0}\n'
    """
    lines = log.split(b"\n")[:-1]
    journal = b"".join(line + b"\n" for line in lines if line.startswith(b"{"))
    parts: dict[str, dict[int, bytes]] = {}
    totals: dict[str, int] = {}
    waits: int | None = None
    for line in lines:
        if found := _PART.fullmatch(line):
            name = found[1].decode("utf-8", "replace")
            parts.setdefault(name, {})[int(found[2])] = found[4]
            totals[name] = int(found[3])
        elif found := _WAITS.fullmatch(line):
            waits = int(found[1])
    whole = {name: _unpacked(found) for name, found in parts.items() if len(found) == totals[name]}
    files = {name: data for name, data in whole.items() if data is not None}
    return Printed(journal=journal, files=files, waits=waits, stored=_STORED in lines)


def _unpacked(parts: dict[int, bytes]) -> bytes | None:
    try:
        return zlib.decompress(base64.b64decode(b"".join(parts[number] for number in sorted(parts))))
    except (zlib.error, binascii.Error):
        return None
