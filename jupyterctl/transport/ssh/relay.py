"""Connections forwarded by the ssh program: it reads the client itself, and we write to the client what it brings.

The machine's answers come through a pipe of their own, so that their end is seen as an end while the client still
sends; where the system can, they go from the pipe to the client without passing through this process.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from . import mux
from .pump import READ, WRITE, Pump
from .sockets import undelayed
from .way import Destination

PIPE_BYTES = 1 << 20
"""Room for the answers of a connection that carries much; each user may have only so many such pipes."""
MUCH_BYTES = 1 << 15
"""What comes at once of an answer that is not short."""
TURN_BYTES = 1 << 20
"""What one connection may move before another has its turn."""


class Relay:
    """One connection, from the request for it to its end."""

    def __init__(
        self,
        pump: Pump,
        control: socket.socket,
        client: socket.socket,
        refused: Callable[[str], object],
        lost: Callable[[], object],
        *,
        heard: Callable[[], object],
    ) -> None:
        self._pump, self._control, self._client = pump, control, client
        self._refused, self._lost, self._heard = refused, lost, heard
        self._answers = mux.Answers()
        self._lock = threading.RLock()
        self._opened = self._ended = self._drained = self._over = False
        self.done: Callable[[Relay], object] = lambda _relay: None
        """Called once when nothing is left of it."""
        source, self._sink = os.pipe()
        self._pipe: Any = os.fdopen(source, "rb", 0)
        self._wide = False
        """Whether the pipe was made larger, or could not be."""
        os.set_blocking(source, False)

    def ask(self, to: Destination) -> None:
        """Ask for the connection; returns at once. OSError where the master is gone: the client is its owner's then."""
        host, port = to if not isinstance(to, str) else (to, 0)
        self._client.setblocking(False)
        undelayed(self._client)
        self._control.setblocking(False)  # a request fits into what the kernel holds
        try:
            mux.stream(self._control, host, port, (self._client.fileno(), self._sink))
        except OSError:
            self._pipe.close()
            self._control.close()
            raise
        finally:
            os.close(self._sink)
        self._pump.watch(self._control, READ, self._answer)

    def _answer(self, _events: int) -> None:
        """The master says something, or that it is over."""
        with self._lock:
            if self._over:
                return
            try:
                data = self._control.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._master_ended()
                return
            for kind, rest in self._answers.feed(data):
                if kind == mux.OPENED and not self._opened:
                    self._opened = True
                    self._pump.watch(self._pipe, READ, self._bring)
                elif kind in {mux.FAILURE, mux.DENIED} and not self._opened:
                    self._give_back(partial(self._refused, mux.reason(rest)))
                    return

    def _master_ended(self) -> None:
        if not self._opened:
            self._give_back(self._lost)
            return
        self._ended = True
        self._pump.watch(self._control, 0, self._answer)
        if self._drained:
            self._finish()

    def _bring(self, _events: int) -> None:
        """Move what there is from the pipe to the client."""
        with self._lock:
            if self._over:
                return
            moved = 0
            try:
                while moved < TURN_BYTES:
                    count = self._move()
                    if not count:
                        self._drain_ended()
                        return
                    moved += count
            except BlockingIOError:
                self._turn(waits_for_client=not moved and self._pipe_has())
            except OSError:
                self._finish()
                return
            if moved:
                self._heard()
            if moved >= MUCH_BYTES and not self._wide:
                self._widen()

    def _widen(self) -> None:
        """Much is coming: be woken for more at a time."""
        self._wide = True
        with suppress(OSError, AttributeError):
            fcntl.fcntl(self._pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def _move(self) -> int:
        return os.splice(self._pipe.fileno(), self._client.fileno(), TURN_BYTES)

    def _pipe_has(self) -> bool:
        import select

        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        return bool(poll.poll(0))

    def _turn(self, *, waits_for_client: bool) -> None:
        """Wait for the client to take more, or for the pipe to bring more."""
        self._pump.watch(self._pipe, 0 if waits_for_client else READ, self._bring)
        self._pump.watch(self._client, WRITE if waits_for_client else 0, self._bring)

    def _drain_ended(self) -> None:
        """The machine sends no more."""
        self._drained = True
        self._turn(waits_for_client=False)
        self._pump.watch(self._pipe, 0, self._bring)
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
        if self._ended:
            self._finish()

    def _give_back(self, tell: Callable[[], object]) -> None:
        self._let_go()
        tell()

    def _finish(self) -> None:
        self._let_go()
        self._client.close()

    def _let_go(self) -> None:
        self._over = True
        for each in (self._control, self._pipe, self._client):
            self._pump.watch(each, 0, self._bring)
        self._control.close()
        self._pipe.close()
        self.done(self)

    def end(self) -> None:
        """The way is gone."""
        with self._lock:
            if self._over:
                return
            if self._opened:
                self._finish()
            else:
                self._give_back(self._lost)


class CopyingRelay(Relay):
    """The same where the system cannot move bytes by itself: through a buffer."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._kept = memoryview(b"")

    def _move(self) -> int:
        if not self._kept:
            data = self._pipe.read(PIPE_BYTES)
            if data is None:
                raise BlockingIOError
            if not data:
                return 0
            self._kept = memoryview(data)
        count = self._client.send(self._kept)
        self._kept = self._kept[count:]
        return count

    def _pipe_has(self) -> bool:
        return bool(self._kept)


KIND = Relay if hasattr(os, "splice") else CopyingRelay
