"""A way to a machine over paramiko: commands, files and byte streams in one authenticated connection."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from paramiko import ChannelException, SFTPClient, SFTPError, SSHException

from . import sftp
from .channels import SessionChannel
from .stream import ChannelStream, ChannelTerminal
from .transport import FastTransport
from .way import ClosedError, Destination, RefusedError, Screen

OPEN_SECONDS = 30.0
"""How long the machine may take to start a command or a file session."""


class ParamikoWay:
    """Implements `way.Way` over an authenticated transport, which it owns from here on."""

    def __init__(self, transport: FastTransport, description: str) -> None:
        self.transport = transport
        self.description = description
        self.closed = transport.ended
        self._why = ""
        self._undelay()

    @property
    def why(self) -> str:
        """Why the connection is gone, in words; empty while it is up."""
        return self._why or (self.transport.reason() if self.closed.is_set() else "")

    def _undelay(self) -> None:
        """OpenSSH's server sends small packets at once only after it has run a command: run one."""
        with suppress(SSHException):
            self.transport.run_soon("true")

    def execute(self, command: str) -> ChannelStream:
        """Start a command line in the person's login shell there, without a terminal."""
        return ChannelStream(self._session(), command)

    def terminal(self, command: str, screen: Screen) -> ChannelTerminal:
        """The same with a terminal."""
        return ChannelTerminal(self._session(), command, screen)

    def files(self) -> SFTPClient:
        """A new SFTP session; its owner closes it."""
        channel = self._session()
        try:
            channel.invoke_subsystem("sftp")
            return SFTPClient(channel)
        except SFTPError:  # what came is no sftp
            channel.close()
            return self._files_behind_noise()
        except (SSHException, EOFError, OSError) as error:
            channel.close()
            if self.closed.is_set():
                raise self._gone() from error
            raise sftp.refused() from error

    def _files_behind_noise(self) -> SFTPClient:
        line, mark = sftp.command()
        channel = self._session()
        try:
            channel.exec_command(line)
            sftp.await_mark(channel, mark)
            return SFTPClient(channel)
        except (SSHException, EOFError, OSError, SFTPError) as error:
            channel.close()
            raise sftp.refused() from error

    def _session(self) -> SessionChannel:
        try:
            return self.transport.open_channel("session", timeout=OPEN_SECONDS)
        except ChannelException as error:
            raise RefusedError(f"the machine starts no session: {error.text}", "ask who runs it") from error
        except (SSHException, EOFError) as error:
            raise self._gone(str(error)) from error

    def forward(
        self,
        client: socket.socket,
        to: Destination,
        refused: Callable[[str], object],
        lost: Callable[[], object],
    ) -> None:
        """Carry an accepted connection to its destination until both sides have ended; returns at once."""
        try:
            self.transport.forward(client, to, refused, lost)
        except SSHException as error:
            raise self._gone() from error

    def dial(self, to: Destination) -> socket.socket:
        """A socket that is carried to a destination, as a jump host's to the next machine."""
        ours, theirs = socket.socketpair()

        def ended(_reason: str = "") -> None:
            theirs.close()

        try:
            self.forward(theirs, to, ended, ended)
        except ClosedError:
            ours.close()
            theirs.close()
            raise
        return ours

    def heard(self) -> float:
        """`time.monotonic()` of the last byte that came from the other side."""
        return self.transport.last_heard

    def probe(self) -> None:
        """Ask the other side for a sign of life, without waiting for it: `heard()` moves when it comes."""
        if self.closed.is_set():
            raise self._gone()
        self.transport.probe()

    def round_trip(self) -> float | None:
        """Seconds between the last answered probe and its answer; None before the first."""
        return self.transport.round_trip

    def close(self) -> None:
        """End the connection and everything it carries."""
        if not self.closed.is_set():
            self._why = self._why or "it was closed here"
        self.transport.close()

    def _gone(self, detail: str = "") -> ClosedError:
        return ClosedError(f"the connection has closed: {self.why or detail}", "it is opened again by itself")
