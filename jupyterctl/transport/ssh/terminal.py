"""A command with a terminal, through a control master.

The ssh program wants a terminal here to give one there: it is given the far side of a pseudo-terminal of ours. It takes
that one's settings over, so these are changed, to let all bytes pass as they are, only once it has done so.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import struct
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from . import mux
from .pump import Pump
from .session import Session
from .stream import no_terminal
from .way import Screen


class MuxTerminal(Session):
    """Implements `way.Terminal`; `nudge` has the ssh program look at its terminals' sizes."""

    def __init__(
        self,
        pump: Pump,
        path: str,
        command: str,
        heard: Callable[[], object],
        *,
        screen: Screen,
        nudge: Callable[[signal.Signals], object],
    ) -> None:
        self._screen, self._nudge = screen, nudge
        self._denied = False
        self._pty = Pty()
        self._pty.resize(screen.columns, screen.rows)
        super().__init__(pump, path, command, heard)

    def _pairs(self) -> tuple[tuple[Pty, IO[bytes]], tuple[Pty, IO[bytes]]]:
        return (self._pty, self._pty.other()), (self._pty, self._pty.other())

    def _ask(self, command: str, files: list[int], *, subsystem: bool) -> None:
        variables = [f"{name}={value}" for name, value in self._screen.variables.items()]
        mux.session(self._control, command, files, subsystem=subsystem, term=self._screen.term, variables=variables)

    def begin(self) -> None:
        """The program has taken the terminal over: from now on bytes pass as they are."""
        self._pty.pass_all()

    def _no_terminal(self) -> None:
        self._denied = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; empty at the end; RefusedError where it has no terminal."""
        data = super().read(size)
        if not data and self._denied:
            raise no_terminal()
        return data

    def resize(self, columns: int, rows: int) -> None:
        """The person's terminal has another size now."""
        self._pty.resize(columns, rows)
        self._nudge(signal.SIGWINCH)


class Pty:
    """A pseudo-terminal's near side, used as a socket is."""

    def __init__(self) -> None:
        self._near, self._far = pty.openpty()

    def other(self) -> IO[bytes]:
        """The far side, for somebody else."""
        return os.fdopen(os.dup(self._far), "rb", buffering=0)

    def fileno(self) -> int:
        """Our end."""
        return self._near

    def resize(self, columns: int, rows: int) -> None:
        """Have another size."""
        with suppress(OSError):
            fcntl.ioctl(self._near, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def pass_all(self) -> None:
        """Change no byte, and leave the far side to whoever has it: the end comes when they let go of it."""
        tty.setraw(self._far)
        os.close(self._far)
        self._far = -1

    def sendall(self, data: bytes) -> None:
        """Send all."""
        while data:
            data = data[self.send(data) :]

    def send(self, data: bytes) -> int:
        """Send some, and tell how much."""
        return os.write(self._near, data)

    def recv(self, size: int) -> bytes:
        """Up to so many bytes as soon as there are any; empty once nobody has the far side."""
        with suppress(OSError):
            return os.read(self._near, size)
        return b""

    def shutdown(self, _how: int) -> None:
        """A terminal has no half: what ends a command's input is a character."""

    def close(self) -> None:
        """Let go of it."""
        for file in (self._near, self._far):
            if file >= 0:
                os.close(file)
        self._near = self._far = -1
