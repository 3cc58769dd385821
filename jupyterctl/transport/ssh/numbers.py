"""The channels of a connection by their numbers."""

from __future__ import annotations

import threading
from typing import Any

NUMBERS = 1 << 24


class Channels:
    """The channels by our numbers; paramiko's ChannelMap, but it holds them, and none is added after the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_number: dict[int, Any] = {}
        self._next = 0
        self._ended = False

    def add(self, channel: Any) -> bool:
        """Give a channel its number; False where the connection has ended."""
        with self._lock:
            while self._next in self._by_number:
                self._next = (self._next + 1) % NUMBERS
            channel.chanid = self._next
            self._by_number[self._next] = channel
            self._next = (self._next + 1) % NUMBERS
            if self._ended:
                del self._by_number[channel.chanid]
            return not self._ended

    def take(self, number: int) -> Any:
        """The channel of a number, which it has no longer; None where there is none."""
        return self._by_number.pop(number, None)

    delete = take

    def get(self, number: int) -> Any:
        """The channel of a number, or None."""
        return self._by_number.get(number)

    def values(self) -> list[Any]:
        """Every channel."""
        with self._lock:
            return list(self._by_number.values())

    def end(self) -> list[Any]:
        """Every channel that was left; none is added from here on."""
        with self._lock:
            self._ended = True
            left = list(self._by_number.values())
            self._by_number.clear()
            return left

    def __len__(self) -> int:
        return len(self._by_number)


class Seen:
    """Every number was a channel's once: late messages to one that is gone are no error."""

    def __contains__(self, number: object) -> bool:
        return True
