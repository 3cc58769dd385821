"""Connections to unix sockets at the machine, forwarded by the ssh program: it listens on a socket here for us.

It says of no single connection whether anybody is there; it only ends one where nobody is. So nothing is read from the
client until the machine has answered what was sent after the connection.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from .pump import READ, WRITE, Pump
from .sockets import undelayed

COPY_BYTES = 1 << 18


class _Direction:
    """From one socket to the other."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.kept = memoryview(b"")
        self.ended = False

    def move(self) -> int:
        """Move some; how much. OSError where either is broken."""
        moved = 0
        with suppress(BlockingIOError):
            if not self.kept and not self.ended:
                self.kept = memoryview(self.source.recv(COPY_BYTES))
                if not self.kept:
                    self.ended = True
                    with suppress(OSError):
                        self.sink.shutdown(socket.SHUT_WR)
            while self.kept:
                count = self.sink.send(self.kept)
                self.kept = self.kept[count:]
                moved += count
        return moved


class UnixRelay:
    """One connection; `decide` says that the machine has had its time to answer."""

    def __init__(
        self,
        pump: Pump,
        near: socket.socket,
        client: socket.socket,
        refused: Callable[[str], object],
        lost: Callable[[], object],
        *,
        heard: Callable[[], object],
    ) -> None:
        self._pump, self._near, self._client = pump, near, client
        self._refused, self._lost, self._heard = refused, lost, heard
        self._lock = threading.RLock()
        self._decided = self._over = False
        self._out, self._in = _Direction(client, near), _Direction(near, client)
        self.done: Callable[[UnixRelay], object] = lambda _relay: None
        """Called once when nothing is left of it."""
        near.setblocking(False)
        client.setblocking(False)
        undelayed(client)

    def decide(self) -> None:
        """Go on where the connection has not been ended by now."""
        with self._lock:
            if self._over or self._decided:
                return
            try:
                gone = self._near.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                self._let_go()
                self._refused("nobody listens there")
                return
            self._decided = True
            self._turn()

    def _ready(self, _events: int) -> None:
        with self._lock:
            if not self._over:
                self._turn()

    def _turn(self) -> None:
        try:
            self._out.move()
            if self._in.move():
                self._heard()
        except OSError:
            self._finish()
            return
        if self._out.ended and self._in.ended:
            self._finish()
            return
        for sock, reads, writes in ((self._client, self._out, self._in), (self._near, self._in, self._out)):
            wanted = (0 if reads.ended or reads.kept else READ) | (WRITE if writes.kept else 0)
            self._pump.watch(sock, wanted, self._ready)

    def _finish(self) -> None:
        self._let_go()
        self._client.close()

    def _let_go(self) -> None:
        self._over = True
        for each in (self._near, self._client):
            self._pump.watch(each, 0, self._ready)
        self._near.close()
        self.done(self)

    def end(self) -> None:
        """The way is gone."""
        with self._lock:
            if self._over:
                return
            if self._decided:
                self._finish()
            else:
                self._let_go()
                self._lost()
