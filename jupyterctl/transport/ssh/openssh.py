"""A way to a machine through the ssh program: a control master of our own, which nobody else uses.

Its one session of its own runs `cat`: it is there when the login is done, it makes the server send small packets at
once, it answers probes, and it ends when we do.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from paramiko import SFTPClient, SFTPError, SSHException

from . import mux, sftp
from .pump import READ, Pump
from .relay import KIND, Relay
from .session import Session
from .terminal import MuxTerminal
from .unixrelay import UnixRelay
from .way import ClosedError, Destination, RefusedError, Screen

OPEN_SECONDS = 30.0
"""How long the machine may take to start a command or a file session."""
END_SECONDS = 2.0
SAID_BYTES = 8192
"""What is kept of what the program says."""


class Master:
    """The program while it runs: what it says, and its end."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self.folder = folder
        self.path = str(folder / "m")
        self.closed = threading.Event()
        self.pump = Pump("ssh-master")
        self.last_heard = time.monotonic()
        self.echoed: Callable[[bytes], object] = lambda _data: None
        """Called with what its session brings, in the pump's thread."""
        self._said = bytearray()
        pairs = [socket.socketpair() for _ in range(3)]
        self._in, self._out, self._err = (ours for ours, _ in pairs)
        try:
            self.process = subprocess.Popen(
                command,
                stdin=pairs[0][1].fileno(),
                stdout=pairs[1][1].fileno(),
                stderr=pairs[2][1].fileno(),
                env=environment,
                start_new_session=True,
            )
        finally:
            for _, theirs in pairs:
                theirs.close()
        self._in.settimeout(END_SECONDS)
        for each in (self._out, self._err):
            each.setblocking(False)

    def listen(self) -> None:
        """Begin to hear what it says."""
        self.pump.watch(self._err, READ, self._complain)
        self.pump.watch(self._out, READ, self._bring)

    def _bring(self, _events: int) -> None:
        data = _take(self._out)
        if data is None:
            return
        if data:
            self.last_heard = time.monotonic()
            self.echoed(data)
            return
        self.pump.watch(self._out, 0, self._bring)
        self._complain(READ)
        self.closed.set()
        self.echoed(b"")

    def _complain(self, _events: int) -> None:
        data = _take(self._err)
        if data == b"":
            self.pump.watch(self._err, 0, self._complain)
        self._said += data or b""
        del self._said[:-SAID_BYTES]

    @property
    def said(self) -> str:
        """What the program said last."""
        return bytes(self._said).decode(errors="replace")

    def heard(self) -> None:
        """Something came from the other side."""
        self.last_heard = time.monotonic()

    def send(self, data: bytes) -> None:
        """Send to its session what comes back, whenever it does; nothing where the program has ended."""
        with suppress(OSError):
            self._in.sendall(data)

    def close(self) -> None:
        """End the program and all that it carries."""
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.closed.set()
        self.pump.stop()
        for each in (self._in, self._out, self._err):
            each.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _take(sock: socket.socket) -> bytes | None:
    """What there is; None for nothing yet, empty at the end."""
    try:
        return sock.recv(1 << 16)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class OpenSSHWay:
    """Implements `way.Way` over a master that is logged in, which it owns from here on."""

    def __init__(self, master: Master, description: str) -> None:
        self._master = master
        self.closed = master.closed
        self.description = description
        self._why = ""
        self._lock = threading.Lock()
        self._relays: set[Relay | UnixRelay] = set()
        self._listeners: dict[str, str] = {}
        self._awaited: deque[Callable[[], object]] = deque()
        self._echoing = threading.Lock()
        self._round_trip: float | None = None
        self._ending = False
        master.echoed = self._echoed
        if master.closed.is_set():
            self._echoed(b"")

    @property
    def why(self) -> str:
        """Why the connection is gone, in words; empty while it is up."""
        if self._why or not self.closed.is_set():
            return self._why
        lines = self._master.said.strip().splitlines()
        return lines[-1] if lines else "the ssh program ended"

    def execute(self, command: str) -> Session:
        """Start a command line in the person's login shell there, without a terminal."""
        return self._session(command, subsystem=False)

    def terminal(self, command: str, screen: Screen) -> MuxTerminal:
        """The same with a terminal."""
        self._still_there()
        master = self._master
        terminal = MuxTerminal(
            master.pump, master.path, command, master.heard, screen=screen, nudge=master.process.send_signal
        )
        self._opened(terminal)
        terminal.begin()
        return terminal

    def files(self) -> SFTPClient:
        """A new SFTP session; its owner closes it."""
        session = self._session("sftp", subsystem=True)
        try:
            return SFTPClient(session)  # type: ignore[arg-type]
        except SFTPError:  # what came is no sftp
            session.close()
            return self._files_behind_noise()
        except (SSHException, EOFError, OSError) as error:
            session.close()
            if self.closed.is_set():
                raise self._gone() from error
            raise sftp.refused() from error

    def _files_behind_noise(self) -> SFTPClient:
        line, mark = sftp.command()
        session = self._session(line, subsystem=False)
        try:
            sftp.await_mark(session, mark)
            return SFTPClient(session)  # type: ignore[arg-type]
        except (SSHException, EOFError, OSError, SFTPError) as error:
            session.close()
            raise sftp.refused() from error

    def _session(self, command: str, *, subsystem: bool) -> Session:
        self._still_there()
        session = Session(self._master.pump, self._master.path, command, self._master.heard, subsystem=subsystem)
        self._opened(session)
        return session

    @staticmethod
    def _opened(session: Session) -> None:
        """Wait until the machine has started it."""
        if not session.opened.wait(OPEN_SECONDS):
            session.close()
            raise ClosedError("the machine has not answered in time", "try again")
        if session.refusal:
            session.close()
            raise RefusedError(f"the machine starts no session: {session.refusal}", "ask who runs it")

    def forward(
        self,
        client: socket.socket,
        to: Destination,
        refused: Callable[[str], object],
        lost: Callable[[], object],
    ) -> None:
        """Carry an accepted connection to its destination until both sides have ended; returns at once."""
        if self.closed.is_set():
            raise self._gone()
        try:
            relay = (
                self._to_unix(client, to, refused, lost)
                if isinstance(to, str)
                else self._to_port(client, to, refused, lost)
            )
        except OSError as error:
            raise self._gone() from error
        if self.closed.is_set():
            relay.end()

    def _to_port(
        self, client: socket.socket, to: tuple[str, int], refused: Callable[[str], object], lost: Callable[[], object]
    ) -> Relay:
        control = mux.dial(self._master.path)
        relay = KIND(self._master.pump, control, client, refused, lost, heard=self._master.heard)
        relay.done = self._relays.discard
        self._relays.add(relay)
        try:
            relay.ask(to)
        except OSError:
            self._relays.discard(relay)
            raise
        return relay

    def _to_unix(
        self, client: socket.socket, to: str, refused: Callable[[str], object], lost: Callable[[], object]
    ) -> UnixRelay:
        near = mux.dial(self._listener(to))
        relay = UnixRelay(self._master.pump, near, client, refused, lost, heard=self._master.heard)
        relay.done = self._relays.discard
        self._relays.add(relay)
        self._after_echo(lambda: self._after_echo(relay.decide))
        return relay

    def _listener(self, to: str) -> str:
        """The socket here at which the program listens for connections to a unix socket there."""
        with self._lock:
            if to not in self._listeners:
                path = str(self._master.folder / f"f{len(self._listeners)}")
                mux.ask_for_listener(self._master.path, path, to)
                self._listeners[to] = path
            return self._listeners[to]

    def _after_echo(self, act: Callable[[], object]) -> None:
        """Do something when what is sent now has come back: all that was sent before has been answered then."""
        with self._echoing:
            self._awaited.append(act)
            self._master.send(b"\n")

    def _echoed(self, data: bytes) -> None:
        """So many bytes came back; none: the program has ended. In the pump's thread."""
        for _ in data:
            if self._awaited:
                self._awaited.popleft()()
        if not data:
            for relay in list(self._relays):
                relay.end()

    def heard(self) -> float:
        """`time.monotonic()` of the last byte that came from the other side."""
        return self._master.last_heard

    def probe(self) -> None:
        """Ask the other side for a sign of life, without waiting for it: `heard()` moves when it comes."""
        if self.closed.is_set():
            raise self._gone()
        sent = time.monotonic()

        def answered() -> None:
            self._round_trip = time.monotonic() - sent

        self._after_echo(answered)

    def round_trip(self) -> float | None:
        """Seconds between the last answered probe and its answer; None before the first."""
        return self._round_trip

    def close(self) -> None:
        """End the connection and everything it carries."""
        if not self.closed.is_set():
            self._why = self._why or "it was closed here"
        with self._lock:
            if self._ending:
                return
            self._ending = True
        self.closed.set()
        for relay in list(self._relays):
            relay.end()
        self._master.close()

    def _still_there(self) -> None:
        if self.closed.is_set():
            raise self._gone()

    def _gone(self) -> ClosedError:
        return ClosedError(f"the connection has closed: {self.why}", "it is opened again by itself")
