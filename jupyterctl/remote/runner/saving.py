"""The growing notebook: saved atomically, not more often than it pays, and to where the user asked for it as well."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .journal import Journal
from .task import Task

EVERY = 1.0
"""Seconds between saves, at least; and at least ten times what the last one took."""


class Saver:
    """Writes `out.ipynb`; `digest` and `size` are those of what was last written."""

    def __init__(self, task: Task, journal: Journal) -> None:
        self.path = task.directory / "out.ipynb"
        self.wanted = Path(task.output) if task.output else None
        self.journal = journal
        self.digest: str | None = None
        self.size: int | None = None
        self.undelivered: str | None = None
        self._next = 0.0
        self._behind = False

    def catch_up(self, notebook: Any) -> None:
        """Save what the last save came too early for."""
        if self._behind:
            self.save_if_due(notebook)

    def save_if_due(self, notebook: Any) -> None:
        """Save what is new, unless that was done a moment ago. A disk that is full now may have room at the end."""
        self._behind = True
        if time.monotonic() >= self._next:
            try:
                self.save(notebook)
            except OSError as error:
                self.journal.note(f"could not save: {error}")

    def save(self, notebook: Any) -> None:
        """Save now; OSError where the run's own directory does not take it."""
        import nbformat

        began = time.monotonic()
        try:
            data = self.journal.mask.document(nbformat.writes(notebook)).encode("utf-8", "replace")
            replace(self.path, data, mode=0o600)
            self._behind = False
            self.digest, self.size = hashlib.sha256(data).hexdigest(), len(data)
            if self.wanted is not None:
                self._deliver(self.wanted, data)
        finally:
            now = time.monotonic()
            self._next = now + max(EVERY, 10 * (now - began))

    def _deliver(self, path: Path, data: bytes) -> None:
        try:
            replace(path, data)
            self.undelivered = None
        except OSError as error:
            self.undelivered = f"{error.strerror}: {path}"


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a file atomically: temporary file beside it, fsync, rename. No mode: the user's usual one."""
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
