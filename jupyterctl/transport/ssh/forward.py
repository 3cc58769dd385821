"""A forwarded connection: a local socket and an ssh channel, carried both ways without a thread of its own.

What comes from the machine is written to the local socket by the thread that reads the ssh connection; what that socket
does not take is kept, at most a window of it, and written by the pump. What comes from the local socket is read by the
pump while the other side's window and the ssh connection's queue have room. Ends, in either direction alone too, follow
the data they come after.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from paramiko import Message

from .pump import READ, WRITE
from .sockets import undelayed

if TYPE_CHECKING:
    from .transport import FastTransport
    from .way import Destination

WINDOW = 8 << 20
"""Bytes that the machine may send before we have delivered any."""
ADJUST_BYTES = WINDOW // 8
"""What is delivered before the window is opened again."""
PACKET = 1 << 17
"""The largest piece of data that we ask for; OpenSSH honours it though its own limit for what it takes is 32 KiB."""
TURN_BYTES = 1 << 17
"""What one connection may send before another has its turn."""
GIVEN_UP = (errno.ECONNRESET, errno.EPIPE)
ORIGIN = ("127.0.0.1", 0)


class ForwardChannel:
    """One connection; paramiko's transport calls what begins with an underscore, in the thread that reads."""

    def __init__(
        self,
        transport: FastTransport,
        client: socket.socket,
        refused: Callable[[str], object],
        lost: Callable[[], object],
    ) -> None:
        self._transport, self._client = transport, client
        self._on_refused, self._on_lost = refused, lost
        self._lock = threading.RLock()
        self._pending: deque[memoryview] = deque()
        self._delivered = 0
        self._window = self._packet = 0
        self._header = b""
        self._opened = False
        self._reading = self._eof_sent = False
        self._eof_received = self._eof_delivered = False
        self._close_sent = self._close_received = False
        self._hands_off = False
        self._watched = 0
        self.chanid = 0
        client.setblocking(False)
        undelayed(client)

    # -- opening ------------------------------------------------------------------------------------------------------

    def request(self, number: int, to: Destination) -> Message:
        """The message that asks for this channel."""
        self.chanid = number
        message = Message()
        message.add_byte(b"\x5a")
        message.add_string("direct-streamlocal@openssh.com" if isinstance(to, str) else "direct-tcpip")
        message.add_int(number)
        message.add_int(WINDOW)
        message.add_int(PACKET)
        for part in (to, "", 0) if isinstance(to, str) else (*to, *ORIGIN):
            message.add_int(part) if isinstance(part, int) else message.add_string(part)
        return message

    def _set_remote_channel(self, number: int, window: int, packet: int) -> None:
        """The machine has connected: whatever the client has sent already goes out at once."""
        with self._lock:
            self._header = struct.pack(">BI", 94, number)
            self._window, self._packet = window, max(packet, 1)
            self._opened = self._reading = True
            self._read()
            self._watch()

    def open_failed(self, reason: str) -> None:
        """The machine could not connect: the client is its owner's again, unread."""
        with self._lock:
            self._hands_off = True
        self._on_refused(reason)

    def _unlink(self) -> None:
        """The ssh connection is gone."""
        with self._lock:
            if self._hands_off:
                return
            if not self._opened:
                self._hands_off = True
            else:
                self._end_client()
                return
        self._on_lost()

    # -- from the machine ---------------------------------------------------------------------------------------------

    def receive(self, data: memoryview) -> None:
        """Data of the machine, in the thread that reads: delivered now, or kept for the pump."""
        with self._lock:
            if self._hands_off:
                return
            if self._pending:
                self._pending.append(data)
                return
            try:
                count = self._client.send(data)
            except BlockingIOError:
                count = 0
            except OSError:
                self._abort()
                return
            self._took(count)
            if count < len(data):
                self._pending.append(data[count:])
                self._watch()

    def _deliver(self) -> None:
        """Write what is kept, as far as the client takes it."""
        try:
            while self._pending:
                pieces = [self._pending[number] for number in range(min(64, len(self._pending)))]
                count = self._client.sendmsg(pieces)
                self._took(count)
                self._forget(count)
        except BlockingIOError:
            return
        except OSError:
            self._abort()
            return
        self._settle()

    def _forget(self, count: int) -> None:
        while count:
            first = self._pending.popleft()
            if count < len(first):
                self._pending.appendleft(first[count:])
                return
            count -= len(first)

    def _took(self, count: int) -> None:
        self._delivered += count
        if self._delivered >= ADJUST_BYTES and not self._eof_received and not self._close_sent:
            self._send(b"\x5d", struct.pack(">I", self._delivered))
            self._delivered = 0

    def _feed(self, m: Message) -> None:
        self.receive(memoryview(m.get_binary()))

    def _handle_eof(self, _m: Message) -> None:
        with self._lock:
            self._eof_received = True
            self._settle()

    def _handle_close(self, _m: Message) -> None:
        with self._lock:
            self._close_received = self._eof_received = True
            self._reading = False
            self._close_channel()
            self._settle()

    def _window_adjust(self, m: Message) -> None:
        with self._lock:
            starved = self._window == 0
            self._window += m.get_int()
            if starved and self._reading:
                self._watch()

    def _request_failed(self, _m: Message) -> None:
        """Nothing was requested."""

    _request_success = _feed_extended = _request_failed

    def _handle_request(self, m: Message) -> None:
        m.get_text()
        if m.get_boolean():
            self._send(b"\x64")

    # -- from the client ----------------------------------------------------------------------------------------------

    def ready(self, events: int) -> None:
        """The pump says that the client can be read or written."""
        with self._lock:
            if self._hands_off:
                return
            if events & WRITE:
                self._deliver()
            if events & READ and self._reading:
                self._read()
            self._watch()

    def _read(self) -> None:
        """Send on what the client has sent, as far as there is room."""
        if self._window == 0:
            return
        if self._transport.full:
            self._transport.rest(self)
            return
        try:
            data = self._client.recv(min(self._window, TURN_BYTES))
        except BlockingIOError:
            return
        except OSError:
            self._abort()
            return
        if not data:
            self._reading = False
            self._settle()
            return
        self._window -= len(data)
        view, size = memoryview(data), self._packet
        pieces = [view[at : at + size] for at in range(0, len(data), size)]
        self._transport.send_data(self._header, pieces)

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Pass on the ends that are due, and let go of what has ended both ways."""
        if not self._hands_off:
            self._pass_on_ends()
        if self._hands_off and self._close_sent and self._close_received:
            self._transport.forget(self)

    def _pass_on_ends(self) -> None:
        if not self._reading and not self._eof_sent and not self._close_received:
            self._eof_sent = True
            self._send(b"\x60")
        if self._eof_received and not self._pending and not self._eof_delivered:
            self._eof_delivered = True
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_WR)
        if self._eof_delivered and not self._reading:
            self._close_channel()
            self._end_client()

    def _abort(self) -> None:
        """The client has gone away: nothing more is wanted of the machine."""
        self._close_channel()
        self._end_client()
        self._settle()

    def _close_channel(self) -> None:
        if not self._close_sent:
            self._send(b"\x61")
            self._close_sent = True

    def _end_client(self) -> None:
        if not self._hands_off:
            self._hands_off = True
            self._reading = False
            self._pending.clear()
            self._watch()
            self._client.close()

    def _send(self, kind: bytes, rest: bytes = b"") -> None:
        """Send one message of this channel, unless its last was sent."""
        if not self._close_sent:
            self._transport._send_message(Message(kind + self._header[1:] + rest))

    def _watch(self) -> None:
        """Have the pump wait for what can be done next."""
        wanted = 0
        if not self._hands_off:
            wanted = (READ if self._reading and self._window and not self.resting else 0) | (
                WRITE if self._pending else 0
            )
        if wanted != self._watched:
            self._watched = wanted
            self._transport.pump.watch(self._client, wanted, self.ready)

    resting = False
    """Whether it waits for room in the ssh connection's queue."""

    def resume(self) -> None:
        """There is room again."""
        with self._lock:
            self.resting = False
            self._watch()
