"""A pod's log, followed through every loss of the way, each line once.

The log of a run is its journal, so the place of a line is known by its number: after a loss the log is read again from
where the node has it, and what was there already is passed over.
"""

from __future__ import annotations

import re
import threading
from contextlib import closing, suppress
from typing import Any

from ...errors import TargetError
from .. import contained
from .api import CONNECT_SECONDS, Cluster

_NUMBER = re.compile(rb'\{"seq": ?(\d+)')
SILENCE_SECONDS = 25.0
"""A stream that brings nothing for so long is opened anew, for a run that lives says so every ten seconds: a proxy may
have dropped it without a word.
"""
CHUNK = 1 << 16


class Log:
    """One pod's."""

    def __init__(self, cluster: Cluster, pod: str) -> None:
        self._cluster = cluster
        self._pod = pod
        self._lock = threading.Lock()
        self._data = bytearray()
        self._said: tuple[bytes, contained.Printed] | None = None
        self._stream: Any = None
        self._following: threading.Thread | None = None
        self._closed = False
        self.complete = False
        """Whether it was read when nothing more could come."""
        self.cut = False
        """Whether the node has thrown lines away that were not seen; `fill` mends it."""

    def data(self) -> bytes:
        """Whole lines, as far as they have come."""
        with self._lock:
            return bytes(self._data)

    def said(self) -> contained.Printed:
        """The same taken apart, once for as long as nothing is new: who follows a run asks many times a second."""
        data = self.data()
        if self._said is None or self._said[0] != data:
            self._said = data, contained.read(data)
        return self._said[1]

    def read(self, *, last: bool) -> None:
        """Read all there is; `last`: the pod is over, so that this is all there will be."""
        if self.complete:
            return
        got = self._cluster.read(
            self._cluster.pods.log.get, self._pod, self._cluster.namespace, query_params=[("container", "main")]
        )
        self._merge(got)
        self.complete = last

    def fill(self, whole: bytes) -> None:
        """Take in the journal itself, out of the pod."""
        with self._lock:
            self._data[:] = whole[: whole.rfind(b"\n") + 1]
            self.cut = False

    def follow(self) -> None:
        """Have a thread bring what comes, unless one does."""
        if self.complete or self._closed or (self._following and self._following.is_alive()):
            return
        self._following = threading.Thread(target=self._follow, name="pod-log", daemon=True)
        self._following.start()

    def close(self) -> None:
        """Follow no longer."""
        self._closed = True
        with suppress(Exception):
            self._stream.shutdown()  # to close it would be to wait until the thread that reads has something

    def _follow(self) -> None:
        with suppress(TargetError, Exception), closing(self._open()) as self._stream:
            got = bytearray()
            joined = False
            while not self._closed and (data := self._stream.read1(CHUNK)):
                got += data
                joined = self._take(got, joined=joined)

    def _open(self) -> Any:
        return self._cluster.raw(
            self._cluster.pods.log.get,
            self._pod,
            self._cluster.namespace,
            query_params=[("container", "main"), ("follow", "true")],
            _request_timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
        )

    def _take(self, got: bytearray, *, joined: bool) -> bool:
        """Take in what a stream has brought since its beginning; whether it goes on where we are."""
        end = got.rfind(b"\n") + 1
        with self._lock:
            have = len(self._data)
            if joined or (end >= have and got.startswith(self._data)):
                self._data += got[have:end]
                return True
            if end < have and self._data.startswith(got[:end]):
                return False
        self._merge(bytes(got[:end]))
        return False

    def _merge(self, got: bytes) -> None:
        """Take in a log that was read from its beginning, or from where the node still has it."""
        whole = got[: got.rfind(b"\n") + 1]
        with self._lock:
            if whole.startswith(self._data):
                self.cut |= not self._data and (number(whole) or 0) > 0
                self._data[:] = whole
            elif not self._data.startswith(whole):
                last = _last_number(self._data)
                self.cut |= (number(whole) or 0) > last + 1
                for line in whole.splitlines(keepends=True):
                    found = number(line)
                    if found is not None and found > last:
                        self._data += line
                        last = found
                    elif line.startswith(b"=") and b"\n" + line not in self._data:
                        self._data += line


def number(line: bytes) -> int | None:
    """The number of a journal's line."""
    found = _NUMBER.match(line)
    return int(found[1]) if found else None


def _last_number(data: bytes | bytearray) -> int:
    found = _NUMBER.findall(data)
    return int(found[-1]) if found else -1
