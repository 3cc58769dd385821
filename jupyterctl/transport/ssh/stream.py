"""A command at the machine over a channel of paramiko's."""

from __future__ import annotations

from paramiko import SSHException

from .channels import Chunks, SessionChannel
from .way import ClosedError

ERROR_BYTES = 64 << 10
"""What is kept of a command's standard error: its end."""
GONE = "the connection closed while a command ran"


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
            raise ClosedError(GONE, "try again once it is up") from error

    def write(self, data: bytes) -> None:
        """Send all; ClosedError where the way is gone, or the command's input was ended."""
        if self._channel.eof_sent:
            raise ClosedError("the command's input has ended already", "start it again")
        try:
            self._channel.sendall(data)
        except (OSError, SSHException, EOFError) as error:
            raise ClosedError(GONE, "try again once it is up") from error

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; empty at the end; ClosedError where the way went first."""
        found = self._channel.recv(size)
        if not found and not self._channel.eof_received:
            raise ClosedError(GONE, "try again once it is up")
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
