"""The ssh connection itself: paramiko's transport, mended where it falls short.

The thread that reads never waits, neither for the socket nor for an exchange of keys: what may not be sent during one
is held, in order, until it is over. Keys are exchanged as seldom as OpenSSH does. Channels are opened without a thread
that waits, and forwarded connections have none of their own.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paramiko
from paramiko import Message, SSHException
from paramiko.common import CONNECTION_FAILED_CODE

from .channels import Errand, SessionChannel
from .forward import ForwardChannel
from .numbers import Channels, Seen
from .packets import FastPacketizer
from .pump import WRITE, Pump
from .sockets import as_socket, prepare
from .way import Destination

WINDOW = 8 << 20
"""Bytes that the machine may send on a command's or file channel before we have read any."""
PACKET = 1 << 17
FIRST_ABOVE_TRANSPORT = 50
"""Messages from this number on may not be sent while keys are exchanged."""
PROBE = "keepalive@openssh.com"
GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


def _tell(method: str) -> Callable[[Any, Message], object]:
    return lambda channel, message: getattr(channel, method)(message)


class FastTransport(paramiko.Transport):
    """A paramiko transport over a connected socket (or socket-like object), not yet authenticated.

    `start_client(timeout=…)`, then check the host key, then `auth_…`; hand it to `ParamikoWay` once authenticated.
    """

    _preferred_ciphers = GCM + tuple(name for name in paramiko.Transport._preferred_ciphers if name not in GCM)
    _channel_handler_table = {  # noqa: RUF012 - paramiko's own shape; by name, so that a channel's own methods are called
        99: _tell("_request_success"),
        100: _tell("_request_failed"),
        94: _tell("_feed"),
        95: _tell("_feed_extended"),
        93: _tell("_window_adjust"),
        98: _tell("_handle_request"),
        96: _tell("_handle_eof"),
        97: _tell("_handle_close"),
    }
    packetizer: FastPacketizer
    sock: socket.socket

    def __init__(self, sock: Any, **kw: Any) -> None:
        carrier = as_socket(sock)
        super().__init__(
            carrier,
            default_window_size=WINDOW,
            default_max_packet_size=PACKET,
            packetizer_class=FastPacketizer,
            **kw,
        )
        prepare(carrier)
        self.ended = threading.Event()
        """Set once the connection is gone and everything that it carried has been let go of."""
        self.pump = Pump("ssh-pump")
        self._gate = threading.RLock()
        self._keying = False
        self._held: deque[Message] = deque()
        self._resting: list[ForwardChannel] = []
        self._channels = Channels()
        self.channels_seen: Any = Seen()
        self._round_trip: float | None = None
        self._replies: deque[Callable[[Message | None], object]] = deque()
        self.packetizer.deliver = self._deliver
        self.packetizer.blocked = self._watch_socket

    # -- sending ------------------------------------------------------------------------------------------------------

    def _send_message(self, data: Message) -> None:
        """Send a message, or hold it while keys are exchanged; never waits."""
        if data.asbytes()[0] < FIRST_ABOVE_TRANSPORT:
            self.packetizer.send_message(data)
            return
        with self._gate:
            if self._keying:
                self._held.append(data)
            else:
                self.packetizer.send_message(data)

    def _send_user_message(self, data: Message) -> None:
        """Send a message; waits for room if much waits to be sent, unless the caller is needed to make room."""
        self._send_message(data)
        self.await_room()

    def send_data(self, header: bytes, pieces: list[memoryview]) -> None:
        """Send data of a forwarded connection."""
        with self._gate:
            if self._keying:
                self._held.extend(Message(b"".join((header, struct.pack(">I", len(piece)), piece))) for piece in pieces)
            else:
                self.packetizer.send_data(header, pieces)

    def await_room(self) -> None:
        """Wait until less than enough waits to be sent; the threads that read and write return at once."""
        if self.packetizer.full and threading.current_thread() is not self and not self.pump.here():
            self.packetizer.await_room()

    @property
    def full(self) -> bool:
        """Whether bulk should wait: enough is queued, or keys are exchanged."""
        return self._keying or self.packetizer.full

    def rest(self, channel: ForwardChannel) -> None:
        """Have a forwarded connection wait until there is room."""
        with self._gate:
            if self.full:
                channel.resting = True
                self._resting.append(channel)

    def _watch_socket(self) -> None:
        self.pump.watch(self.sock, WRITE, self._writable)

    def _writable(self, _events: int) -> None:
        """The socket takes more."""
        with self._gate, self.packetizer.sending:
            if self.packetizer.flush():
                self.pump.watch(self.sock, 0, self._writable)
        self._resume()

    def _resume(self) -> None:
        with self._gate:
            if self.full:
                return
            rested, self._resting = self._resting, []
        for channel in rested:
            channel.resume()

    # -- exchanging keys ----------------------------------------------------------------------------------------------

    def _send_kex_init(self) -> None:
        with self._gate:
            self._keying = True
            super()._send_kex_init()

    def _negotiate_keys(self, m: Message) -> None:
        with self._gate:
            self._keying = True
        super()._negotiate_keys(m)

    def _parse_newkeys(self, m: Message) -> None:
        super()._parse_newkeys(m)
        with self._gate:
            while self._held:
                self.packetizer.send_message(self._held.popleft())
            self._keying = False
        self._resume()

    # -- receiving ----------------------------------------------------------------------------------------------------

    def _deliver(self, number: int, data: memoryview) -> bool:
        channel = self._channels.get(number)
        if not isinstance(channel, ForwardChannel) or self._expected_packet:
            return False
        channel.receive(data)
        return True

    def _parse_global_request(self, m: Message) -> None:
        """Decline what the server asks for, as a client does; an answer is what its probes want."""
        m.get_text()
        if m.get_boolean():
            self._send_message(Message(b"\x52"))

    def _parse_request_success(self, m: Message) -> None:
        self._replied(m)

    def _parse_request_failure(self, _m: Message) -> None:
        self._replied(None)

    def _replied(self, message: Message | None) -> None:
        """Answers come in the order of the requests."""
        if self._replies:
            self._replies.popleft()(message)

    def _parse_channel_open_success(self, m: Message) -> None:
        channel = self._channels.get(m.get_int())
        if channel is not None:
            channel._set_remote_channel(m.get_int(), m.get_int(), m.get_int())

    def _parse_channel_open_failure(self, m: Message) -> None:
        channel = self._channels.take(m.get_int())
        code, text = m.get_int(), m.get_text()
        if channel is not None:
            channel.open_failed(text or CONNECTION_FAILED_CODE.get(code, f"reason {code}"))

    # -- asking -------------------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Ask the other side for a sign of life; `last_heard` and `round_trip` change when it comes. Never waits."""
        sent = time.monotonic()

        def answered(_message: Message | None) -> None:
            self._round_trip = time.monotonic() - sent

        self._request(PROBE, b"", answered)

    def global_request(self, kind: str, data: Any = None, wait: bool = True) -> Message | None:
        """Ask for something of the connection itself; None where it is declined or not waited for."""
        given = Message()
        given.add(*(data or ()))
        if not wait:
            self._request(kind, given.asbytes(), None)
            return None
        found: list[Message | None] = []
        came = threading.Event()

        def answered(message: Message | None) -> None:
            found.append(message)
            came.set()

        self._request(kind, given.asbytes(), answered)
        while not came.wait(1.0) and self.active:
            pass
        return found[0] if found else None

    def _request(self, kind: str, extra: bytes, answered: Callable[[Message | None], object] | None) -> None:
        message = Message()
        message.add_byte(b"\x50")
        message.add_string(kind)
        message.add_boolean(answered is not None)
        message.add_bytes(extra)
        with self._gate:
            if answered is not None:
                self._replies.append(answered)
            self._send_message(message)

    @property
    def last_heard(self) -> float:
        """`time.monotonic()` of the last bytes from the other side."""
        return self.packetizer.last_heard

    @property
    def round_trip(self) -> float | None:
        """Seconds between the last answered probe and its answer."""
        return self._round_trip

    # -- channels -----------------------------------------------------------------------------------------------------

    def forward(
        self, client: socket.socket, to: Destination, refused: Callable[[str], object], lost: Callable[[], object]
    ) -> None:
        """Carry a connected socket to a destination at the machine; returns at once.

        The socket belongs to the channel from here on, unless `refused` (with the reason) or `lost` (the connection
        ended first) is called: nothing was read from it then. SSHException where the connection has ended already.
        """
        channel = ForwardChannel(self, client, refused, lost)
        if not self._channels.add(channel):
            raise SSHException("the ssh connection has ended")
        self._send_message(channel.request(channel.chanid, to))

    def open_channel(  # noqa: PLR0917 - paramiko's signature
        self,
        kind: str,
        dest_addr: Any = None,
        src_addr: Any = None,
        window_size: int | None = None,
        max_packet_size: int | None = None,
        timeout: float | None = None,
    ) -> SessionChannel:
        """Open a channel and wait for it; SSHException where it is refused, or does not come in so many seconds."""
        channel = SessionChannel()
        self._request_channel(channel, kind, dest_addr, src_addr, window_size, max_packet_size)
        self.await_room()
        if not channel.opened.wait(self.channel_timeout if timeout is None else timeout):
            self._channels.take(channel.chanid)
            raise SSHException("the machine has not answered in time")
        if channel.refusal is not None:
            raise channel.refusal
        if not channel.active:
            raise SSHException("the ssh connection has ended")
        return channel

    def run_soon(self, command: str) -> None:
        """Have the machine run a command, and wait for nothing of it."""
        self._request_channel(Errand(command), "session")

    def _request_channel(  # noqa: PLR0917 - as open_channel
        self,
        channel: SessionChannel,
        kind: str,
        dest_addr: Any = None,
        src_addr: Any = None,
        window_size: int | None = None,
        max_packet_size: int | None = None,
    ) -> None:
        channel._set_transport(self)
        window, packet = self._sanitize_window_size(window_size), self._sanitize_packet_size(max_packet_size)
        channel._set_window(window, packet)
        if not self._channels.add(channel):
            raise SSHException("the ssh connection has ended")
        message = Message()
        message.add_byte(b"\x5a")
        message.add_string(kind)
        for number in (channel.chanid, window, packet):
            message.add_int(number)
        for host, port in filter(None, (dest_addr, src_addr)):
            message.add_string(host)
            message.add_int(port)
        self._send_message(message)

    def forget(self, channel: ForwardChannel) -> None:
        """A forwarded connection has ended both ways."""
        self._channels.take(channel.chanid)

    # -- the end ------------------------------------------------------------------------------------------------------

    def reason(self) -> str:
        """Why the connection has ended, in words."""
        error = self.packetizer.broken or self.saved_exception
        if error is None or isinstance(error, (EOFError, BrokenPipeError, ConnectionResetError)):
            return "the other side closed it"
        return str(error) or type(error).__name__

    def run(self) -> None:
        """Read until the connection ends, then let go of everything."""
        try:
            super().run()
        finally:
            self._let_go()

    def close(self) -> None:
        """End the connection and everything it carries; returns when the thread that reads has ended."""
        self.active = False
        self.packetizer.close()
        if self.ident is None:
            self._let_go()
        elif threading.current_thread() is not self:
            self.join(5.0)

    def stop_thread(self) -> None:
        """End the connection."""
        self.close()

    def _let_go(self) -> None:
        self.active = False
        self.packetizer.close()
        for channel in self._channels.end():
            channel._unlink()
        self.pump.stop()
        with suppress(OSError):
            self.sock.close()
        self.ended.set()
