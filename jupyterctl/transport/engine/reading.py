"""The log of a run's container as bytes from an offset on.

What is written to its standard output is the journal, byte for byte. How far it was read is remembered as a moment and
how many messages of it, so that nothing is lost or read twice. Who asks again for what comes next is told as it comes,
over one open stream.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import log

if TYPE_CHECKING:
    from docker.models.containers import Container

MOST_HELD = 64 * 1024 * 1024
"""Bytes that come without being asked for; then the stream is closed until somebody asks."""


class Reading:
    """One container's log, as far as it was read."""

    def __init__(self) -> None:
        self.start = 0
        """Offset of the first byte that is held here."""
        self.looked = 0.0
        """When the container was last looked at, on the monotonic clock."""
        self._held = bytearray()
        self._at = (0, 0)
        self._lock = threading.Lock()
        self._stream: Any = None
        self._news = threading.Event()

    @property
    def end(self) -> int:
        """Offset up to which the log was read."""
        return self.start + len(self._held)

    @property
    def followed(self) -> bool:
        """Whether what comes next comes by itself."""
        return self._stream is not None

    def read(self, container: Container) -> None:
        """Read all that there is now."""
        for message in log.after(log.frames(container, self._at[0], stderr=False), *self._at):
            self._take(message)

    def take(self, offset: int) -> bytes:
        """The bytes from an offset on; what comes before it is let go of."""
        with self._lock:
            at = min(max(0, offset - self.start), len(self._held))
            del self._held[:at]
            self.start += at
            return bytes(self._held) if offset <= self.start else b""

    def follow(self, container: Container) -> None:
        """Have what comes next come by itself, until the container ends or the engine goes away."""
        self._stream = log.frames(container, self._at[0], stderr=False, follow=True)
        threading.Thread(target=self._listen, args=(self._stream,), daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Until something is new, or time is up."""
        if self._news.wait(seconds):
            self._news.clear()

    def close(self) -> None:
        """Follow it no more."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(Exception):  # it may be over
                stream.close()

    def fresh(self, seconds: float) -> bool:
        """Whether the container was looked at a moment ago."""
        return time.monotonic() - self.looked < seconds

    def _listen(self, stream: Any) -> None:
        with suppress(Exception):  # whatever ends it, the container is looked at next
            for message in log.after(stream, *self._at):
                self._take(message)
                self._news.set()
                if len(self._held) > MOST_HELD:
                    break
        if self._stream is stream:
            self.close()
        self._news.set()

    def _take(self, message: log.Message) -> None:
        moment, data = message
        with self._lock:
            self._at = (moment, self._at[1] + 1 if moment == self._at[0] else 1)
            self._held += data
