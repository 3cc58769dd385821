"""paramiko's channels for commands and files, mended: nothing is sent after a CLOSE, and large windows pay."""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko import Message
from paramiko.buffered_pipe import PipeTimeout

if TYPE_CHECKING:
    from .transport import FastTransport

CLOSE, WINDOW_ADJUST, REQUEST = 97, 93, 98


class Chunks:
    """What a channel has received and nobody has read: as paramiko's BufferedPipe, without copying all that is left."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._event: Any = None

    def feed(self, data: bytes) -> None:
        """Add bytes at the end."""
        with self._ready:
            self._chunks.append(data)
            self._size += len(data)
            self._ready.notify_all()
            if self._event is not None:
                self._event.set()

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """Up to so many bytes as soon as there are any; empty at the end; PipeTimeout after so many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._ready:
            while not self._size and not self._closed:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise PipeTimeout
                self._ready.wait(left)
            found = self._take(nbytes)
            if self._event is not None and not self._size and not self._closed:
                self._event.clear()
            return found

    def _take(self, count: int) -> bytes:
        parts = []
        while count and self._chunks:
            first = self._chunks.popleft()
            if len(first) > count:
                self._chunks.appendleft(first[count:])
                first = first[:count]
            parts.append(first)
            count -= len(first)
        found = parts[0] if len(parts) == 1 else b"".join(parts)
        self._size -= len(found)
        return found

    def empty(self) -> bytes:
        """All there is, without waiting."""
        with self._ready:
            return self._take(self._size)

    def read_ready(self) -> bool:
        """Whether there is anything."""
        return self._size > 0

    def close(self) -> None:
        """Nothing more will come."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
            if self._event is not None:
                self._event.set()

    def set_event(self, event: Any) -> None:
        """Keep an event set while there is anything, or all has ended."""
        with self._ready:
            self._event = event
            event.set() if self._closed or self._size else event.clear()

    def __len__(self) -> int:
        return self._size


class SessionChannel(paramiko.Channel):
    """A channel for a command or for files."""

    in_buffer: Any
    in_stderr_buffer: Any

    def __init__(self) -> None:
        super().__init__(0)
        self.in_buffer, self.in_stderr_buffer = Chunks(), Chunks()
        self.opened = threading.Event()
        """Set once the other side has answered the request for it, or the connection has ended."""
        self.refusal: paramiko.ChannelException | None = None

    def _set_transport(self, transport: Any) -> None:
        super()._set_transport(transport)
        self.transport: Any = _Gate(transport)

    def open_failed(self, reason: str, code: int = 2) -> None:
        """The other side has refused it."""
        self.refusal = paramiko.ChannelException(code, reason)
        self.opened.set()

    def _set_remote_channel(self, chanid: int, window_size: int, max_packet_size: int) -> None:
        super()._set_remote_channel(chanid, window_size, max_packet_size)
        self.opened.set()

    def consumed(self, count: int) -> None:
        """So many bytes that came were read: the window opens again by them, once it is worth a message."""
        if opening := self._check_add_window(count):
            self.transport._send_message(Message(struct.pack(">BII", WINDOW_ADJUST, self.remote_chanid, opening)))

    def _unlink(self) -> None:
        super()._unlink()
        self.opened.set()


class Errand(SessionChannel):
    """Runs a command as soon as the channel is open, and reads nothing of it."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def _set_remote_channel(self, chanid: int, window_size: int, max_packet_size: int) -> None:
        super()._set_remote_channel(chanid, window_size, max_packet_size)
        message = Message(struct.pack(">BI", REQUEST, chanid))
        message.packet.seek(0, 2)
        message.add_string("exec")
        message.add_boolean(False)
        message.add_string(self._command)
        self.transport._send_message(message)


class _Gate:
    """Stands between one channel and its transport: nothing passes after the channel's CLOSE."""

    def __init__(self, transport: FastTransport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._shut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send_message(self, message: Message) -> None:
        with self._lock:
            if not self._shut:
                self._shut = message.asbytes()[0] == CLOSE
                self._transport._send_message(message)

    def _send_user_message(self, message: Message) -> None:
        self._send_message(message)
        self._transport.await_room()
