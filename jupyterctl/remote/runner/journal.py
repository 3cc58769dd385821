"""The journal: one JSON line an event, the only truth about the run; a full disk does not silence it."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from .task import Mask

RESERVE_BYTES = 256 * 1024
"""Held in the run's directory, so that a full disk still has room for the last events."""
FULL = (errno.ENOSPC, errno.EDQUOT)
OURS = ("kind", "sha256", "status")
"""Fields that the runner makes up itself: a secret that looks like a part of one must not change it."""


class Journal:
    """Appends events; keeps what a full disk refuses and writes it when there is room again."""

    def __init__(self, directory: Path, mask: Mask) -> None:
        self.mask = mask
        self.reserve = directory / ".reserve"
        self._lock = threading.Lock()
        self._pending = b""
        self._file = os.open(directory / "events.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._seq = os.read(self._file, 1 << 20).count(b"\n")
        with suppress(OSError):
            self.reserve.write_bytes(bytes(RESERVE_BYTES))

    def write(self, event: str, **fields: object) -> None:
        """One event: `seq`, `time`, `event` and its own fields."""
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            head = {"seq": self._seq, "time": moment, "event": event}
            ours = {name: fields[name] for name in OURS if name in fields}
            line = json.dumps({**head, **self.mask.fields(fields), **ours}, ensure_ascii=False)
            self._seq += 1
            self._pending += line.encode("utf-8", "replace") + b"\n"
            self._flush()

    def _flush(self) -> None:
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._file, self._pending) :]
        except OSError as error:
            if error.errno not in FULL:
                raise

    def release(self) -> None:
        """Give the reserved room back: the end is near."""
        with suppress(OSError):
            self.reserve.unlink()

    def note(self, text: str) -> None:
        """A line for whoever reads runner.log, or looks at the terminal that this runs in."""
        for stream in (sys.stderr, sys.stdout):
            with suppress(OSError, ValueError):
                stream.write(self.mask.text(text) + "\n")
                stream.flush()
