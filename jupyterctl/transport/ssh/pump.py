"""One thread that waits for many sockets, and tells each one's owner when it can be read or written."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
MAXIMUM_SECONDS = 60.0

Ready = Callable[[int], object]
"""Called in the pump's thread with READ, WRITE or both; may be called though nothing is ready."""


class Pump:
    """Waits for sockets. What is waited for may be changed from any thread, as epoll and kqueue allow it."""

    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._changing = threading.Lock()
        self._watched: dict[int, tuple[int, Ready]] = {}
        """What is waited for, by descriptor; selectors' own map describes the whole socket to say that it has none."""
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, READ, self._drain)
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def watch(self, sock: socket.socket, events: int, ready: Ready) -> None:
        """Call `ready` when the socket can be read or written, as the events say; 0: no longer."""
        with self._changing:
            if self._ended or (number := sock.fileno()) < 0:
                return
            before = self._watched.get(number)
            if events == 0:
                if before is not None:
                    del self._watched[number]
                    self._selector.unregister(number)
                return
            self._watched[number] = events, ready
            if before is None:
                self._selector.register(number, events, ready)
            elif before != (events, ready):
                self._selector.modify(number, events, ready)

    def here(self) -> bool:
        """Whether the caller runs in the pump's thread."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """Wait for nothing any more; the thread ends."""
        with self._changing:
            if self._ended:
                return
            self._ended = True
        with suppress(OSError):
            self._wake.send(b"\0")

    def _drain(self, _events: int) -> None:
        with suppress(OSError):
            self._woken.recv(64)

    def _run(self) -> None:
        while not self._ended:
            for key, events in self._selector.select(MAXIMUM_SECONDS):
                key.data(events)
        with self._changing:
            self._selector.close()
            self._woken.close()
            self._wake.close()
