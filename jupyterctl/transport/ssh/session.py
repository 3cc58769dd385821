"""A command at the machine, or an SFTP session, through a control master."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Protocol

from . import mux
from .pump import READ, Pump
from .stream import ERROR_BYTES, GONE, HINT
from .way import ClosedError


class End(Protocol):
    """Our end of something that bytes go through: a socket, or what is used as one."""

    def send(self, data: bytes, /) -> int:
        """Send some, and tell how much."""

    def sendall(self, data: bytes, /) -> None:
        """Send all."""

    def recv(self, size: int, /) -> bytes:
        """Up to so many bytes as soon as there are any; empty at the end."""

    def fileno(self) -> int:
        """What tells whether there is anything to receive."""

    def shutdown(self, how: int, /) -> None:
        """End one direction, or both."""

    def close(self) -> None:
        """Let go of it."""


Theirs = socket.socket | IO[bytes]


class Session:
    """Implements `way.Stream`; `subsystem` takes the command for the name of one."""

    def __init__(
        self, pump: Pump, path: str, command: str, heard: Callable[[], object], *, subsystem: bool = False
    ) -> None:
        self._pump, self._heard = pump, heard
        self._answers = mux.Answers()
        self._status: int | None = None
        self._over = threading.Event()
        self._tail = bytearray()
        self.opened = threading.Event()
        """Set once the machine has started it, or has not."""
        self.refusal = ""
        """Why the machine has not started it."""
        (self._in, its_in), (self._out, its_out) = self._pairs()
        self._err, its_err = socket.socketpair()
        theirs = (its_in, its_out, its_err)
        try:
            self._control = mux.dial(path)
            self._ask(command, [each.fileno() for each in theirs], subsystem=subsystem)
        except OSError as error:
            for ours in (self._in, self._out, self._err):
                ours.close()
            raise ClosedError(GONE, HINT) from error
        finally:
            for its in theirs:
                its.close()
        for each in (self._control, self._err):
            each.setblocking(False)
        pump.watch(self._control, READ, self._answer)
        pump.watch(self._err, READ, self._complain)

    def _pairs(self) -> tuple[tuple[End, Theirs], tuple[End, Theirs]]:
        """Our ends and the program's, of standard input and output."""
        return socket.socketpair(), socket.socketpair()

    def _ask(self, command: str, files: list[int], *, subsystem: bool) -> None:
        mux.session(self._control, command, files, subsystem=subsystem)

    def _answer(self, _events: int) -> None:
        try:
            data = self._control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        for kind, rest in self._answers.feed(data):
            if kind == mux.EXIT:
                self._status = mux.exit_status(rest)
            elif kind in {mux.FAILURE, mux.DENIED}:
                self.refusal = mux.reason(rest)
            elif kind == mux.NO_TTY:
                self._no_terminal()
            self.opened.set()
        if not data:
            self._pump.watch(self._control, 0, self._answer)
            self._over.set()
            self.opened.set()

    def _no_terminal(self) -> None:
        """The machine has started the command, but without the terminal that was asked for."""

    def _complain(self, _events: int) -> None:
        try:
            data = self._err.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:  # the program has ended, or we have just let go of it
            data = b""
        if not data:
            self._pump.watch(self._err, 0, self._complain)
        self._tail += data
        del self._tail[:-ERROR_BYTES]

    def write(self, data: bytes) -> None:
        """Send all; ClosedError where the way is gone."""
        try:
            self._in.sendall(data)
        except OSError as error:
            raise ClosedError(GONE, HINT) from error

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; empty at the end; ClosedError where the way went first."""
        try:
            data = self._out.recv(size)
        except OSError as error:
            raise ClosedError(GONE, HINT) from error
        if data:
            self._heard()
        return data

    def end_input(self) -> None:
        """The command reads an end of file."""
        with suppress(OSError):
            self._in.shutdown(socket.SHUT_WR)

    def errors(self) -> str:
        """What it has written to standard error so far, at most its last 64 KiB."""
        return bytes(self._tail).decode(errors="replace")

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit status once it has ended; None where it has not in time, or ended by a signal."""
        self._over.wait(seconds)
        return self._status

    def close(self) -> None:
        """Let go of it, whether or not it has ended."""
        for each in (self._control, self._err):
            self._pump.watch(each, 0, self._answer)
        ends: tuple[End, ...] = (self._in, self._out, self._err, self._control)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._over.set()

    # -- as a socket, for SFTP ----------------------------------------------------------------------------------------

    def send(self, data: bytes) -> int:
        """Send some, and tell how much."""
        return self._in.send(data)

    def recv(self, size: int) -> bytes:
        """Up to so many bytes as soon as there are any; empty at the end."""
        try:
            return self._out.recv(size)
        except OSError:
            return b""

    def recv_ready(self) -> bool:
        """Whether there is anything to receive: paramiko asks after its first hundred writes that nobody answered."""
        waiting = select.poll()
        waiting.register(self._out.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def get_name(self) -> str:
        """For paramiko's log."""
        return "sftp"
