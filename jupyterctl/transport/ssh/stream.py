"""A command at the machine over a channel of paramiko's."""

from __future__ import annotations

from contextlib import suppress

from paramiko import SSHException

from .channels import Chunks, SessionChannel
from .way import ClosedError, RefusedError, Screen

ERROR_BYTES = 64 << 10
"""What is kept of a command's standard error: its end."""
GONE, HINT = "the connection closed while a command ran", "try again once it is up"


class Tail(Chunks):
    """Standard error: its last bytes are kept, and reading it is nobody's duty."""

    def __init__(self, channel: SessionChannel) -> None:
        super().__init__()
        self._channel = channel
        self._kept = bytearray()

    def feed(self, data: bytes) -> None:
        """Keep the end, and open the window again for what came."""
        self._kept += data
        del self._kept[:-ERROR_BYTES]
        self._channel.consumed(len(data))

    def text(self) -> str:
        """What is kept, undecodable bytes replaced."""
        return bytes(self._kept).decode(errors="replace")


class ChannelStream:
    """Implements `way.Stream` over an open session channel."""

    def __init__(self, channel: SessionChannel, command: str) -> None:
        self._channel = channel
        self._tail = Tail(channel)
        channel.in_stderr_buffer = self._tail
        try:
            channel.exec_command(command)
        except (SSHException, EOFError) as error:
            channel.close()
            raise ClosedError(GONE, HINT) from error

    def write(self, data: bytes) -> None:
        """Send all; ClosedError where the way is gone, or the command's input was ended."""
        if self._channel.eof_sent:
            raise ClosedError("the command's input has ended already", "start it again")
        try:
            self._channel.sendall(data)
        except (OSError, SSHException, EOFError) as error:
            raise ClosedError(GONE, HINT) from error

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; empty at the end; ClosedError where the way went first."""
        found = self._channel.recv(size)
        if not found and not self._channel.eof_received:
            raise ClosedError(GONE, HINT)
        return found

    def end_input(self) -> None:
        """The command reads an end of file."""
        self._channel.shutdown_write()

    def errors(self) -> str:
        """What it has written to standard error so far, at most its last 64 KiB."""
        return self._tail.text()

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit status once it has ended; None where it has not in time, or ended by a signal."""
        self._channel.status_event.wait(seconds)
        status = self._channel.exit_status
        return None if status < 0 else status

    def close(self) -> None:
        """Let go of it, whether or not it has ended."""
        self._channel.close()


class ChannelTerminal(ChannelStream):
    """Implements `way.Terminal` likewise."""

    def __init__(self, channel: SessionChannel, command: str, screen: Screen) -> None:
        try:
            channel.update_environment(screen.variables)
            channel.get_pty(screen.term, screen.columns, screen.rows)
        except (SSHException, EOFError) as error:
            channel.close()
            if not channel.transport.is_active():
                raise ClosedError(GONE, HINT) from error
            raise no_terminal() from error
        super().__init__(channel, command)

    def resize(self, columns: int, rows: int) -> None:
        """The person's terminal has another size now."""
        with suppress(SSHException, EOFError):
            self._channel.resize_pty(columns, rows)


def no_terminal() -> RefusedError:
    """What is said where a machine gives none."""
    return RefusedError("the machine gives us no terminal", "its sshd_config may say `PermitTTY no`: ask who runs it")
