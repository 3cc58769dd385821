"""What the cells print, gathered for the journal: line by line as far as that keeps nobody waiting."""

from __future__ import annotations

import threading
import time
from typing import Dict, Set, Tuple

from .journal import Journal
from .outputs import pieces

HOLD = 0.5
"""Seconds that the beginning of a line waits for its end: the kernel sends text in parts that end anywhere."""

Stream = Tuple[int, str]
"""The index of a cell, and `stdout` or `stderr`."""


class Streams:
    """Gathers text and writes it when told to; may be told from several threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._parts: list[str] = []
        self._begun: Dict[Stream, Tuple[str, float]] = {}
        """The beginnings of lines, and since when they wait."""
        self._open: Set[Stream] = set()
        """Streams whose text in the journal ends within a line."""

    def gather(self, index: int, name: str, text: str) -> None:
        """Text that came."""
        with self._lock:
            if self._stream != (index, name):
                self._write()
                self._stream = (index, name)
            self._parts.append(text)

    def write(self, *, all_of_it: bool) -> None:
        """Write what was gathered; beginnings of lines only where they have waited long enough, or `all_of_it`."""
        with self._lock:
            self._write()
            now = time.monotonic()
            for stream, (text, since) in list(self._begun.items()):
                if all_of_it or now - since >= HOLD:
                    del self._begun[stream]
                    self._put(stream, text)

    def _write(self) -> None:
        if self._stream is None or not self._parts:
            return
        now = time.monotonic()
        before, since = self._begun.pop(self._stream, ("", now))
        text = before + "".join(self._parts)
        self._parts.clear()
        end = text.rfind("\n") + 1
        self._put(self._stream, text[:end])
        if text[end:]:
            self._begun[self._stream] = (text[end:], now if end else since)

    def _put(self, stream: Stream, text: str) -> None:
        if not text:
            return
        for piece in pieces(text, line_open=stream in self._open):
            self._journal.write("output", index=stream[0], kind="stream", name=stream[1], **piece)
        (self._open.discard if text.endswith("\n") else self._open.add)(stream)
