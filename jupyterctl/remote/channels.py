"""Many byte streams over one: connections of one machine, carried to ports of another one's loopback.

    PYTHON channels.py

carries those that come in on its standard input to the ports of whatever it is executed in. The end that opens them is
a `Channels` of the same file, so both always speak the same language: frames of a head (kind, channel, length) and
data. A channel may have `WINDOW` bytes on the way that its other end has not yet passed on, so that one that is not
read from holds up no other. It needs Python 3.8 and nothing else.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Deque, Dict, Tuple

HEAD = struct.Struct("!BIL")
OPEN, OPENED, REFUSED, DATA, END, CLOSE, MORE, PING, PONG = range(9)
WINDOW = 4 << 20
CHUNK = 1 << 16
ROOM = 1 << 20
"""Bytes that wait for the wire before sockets are read no further."""
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
SILENCE_SECONDS = 90.0
"""How long the other end may say nothing: it asks for a sign of life every few seconds."""
LOOPBACK = "127.0.0.1"

Refused = Callable[[str], object]
Lost = Callable[[], object]


class BrokenError(OSError):
    """What comes over the wire is no frame."""


class Pipes:
    """A wire of two pipes."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        for end in (source, sink):
            os.set_blocking(end, False)

    def receive(self) -> bytes:
        """What has come; empty at the end, BlockingIOError where there is nothing yet."""
        return os.read(self.source, ROOM)

    def send(self, data: bytes) -> int:
        """How much of it was taken."""
        return os.write(self.sink, data)


class Channel:
    """One stream, and its socket at this end."""

    def __init__(self, sock: socket.socket, refused: Refused = id, lost: Lost = int) -> None:
        self.sock, self.refused, self.lost = sock, refused, lost
        self.open = self.connecting = False
        self.credit = WINDOW
        """Bytes that the other end takes."""
        self.waiting = bytearray()
        """For the socket."""
        self.passed = 0
        """Bytes that the socket has taken and the other end has not been told of."""
        self.said_all = self.heard_all = self.shut = False


class Channels:
    """One end. `open` and `ping` may be called from any thread, everything else happens in the one that runs it."""

    def __init__(self, wire: Any) -> None:
        self.heard = time.monotonic()
        """When something last came from the other end."""
        self.trip = 0.0
        """Seconds that its last answer took; none yet where it is 0."""
        self.answered = threading.Event()
        """Set once it has answered, or this end has ended."""
        self.ended = False
        self.problem = ""
        """Why it has ended, where that is to be told."""
        self._wire = wire
        self._selector = selectors.DefaultSelector()
        self._watched: Dict[Any, Tuple[int, Callable[[int], object]]] = {}
        self._channels: Dict[int, Channel] = {}
        self._next = 1
        self._in, self._out = bytearray(), bytearray()
        self._asked: Deque[Callable[[], object]] = deque()
        self._asking = threading.Lock()
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.setblocking(False)

    # -- from other threads ------------------------------------------------------------------------------------------

    def open(self, sock: socket.socket, port: int, refused: Refused, lost: Lost) -> bool:
        """Carry a connection to a port there; False where this end has ended.

        `refused` with the reason, or `lost`, give it back, unread.
        """
        return self._ask(lambda: self._open(Channel(sock, refused, lost), port))

    def ping(self) -> bool:
        """Ask the other end for a sign of life."""
        return self._ask(lambda: self._say(PING, 0, struct.pack("!d", time.monotonic())))

    def stop(self) -> None:
        """Let go of everything."""
        self._ask(self._stop)

    def _ask(self, what: Callable[[], object]) -> bool:
        with self._asking:
            if self.ended:
                return False
            self._asked.append(what)
        with suppress(OSError):
            self._wake.send(b"\0")
        return True

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, silence: float = 0.0) -> None:
        """Until the wire ends, or is silent for so many seconds."""
        self._watch(self._woken, READ, self._rouse)
        self._watch(self._wire.source, READ, self._read)
        try:
            while not self.ended:
                self._write()
                self._interests()
                for key, events in self._selector.select(silence or None):
                    key.data(events)
                if silence and time.monotonic() - self.heard > silence:
                    break
        except OSError as error:
            self.problem = self.problem or str(error)
        finally:
            self._over()

    def _stop(self) -> None:
        self.ended = True

    def _rouse(self, _events: int) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(CHUNK)
        while self._asked:
            self._asked.popleft()()

    def _watch(self, what: Any, events: int, ready: Callable[[int], object]) -> None:
        """Call it when that can be read or written; 0: no longer."""
        before = self._watched.get(what)
        if events and before is None:
            self._selector.register(what, events, ready)
        elif events and before != (events, ready):
            self._selector.modify(what, events, ready)
        elif not events and before is not None:
            self._selector.unregister(what)
        if events:
            self._watched[what] = events, ready
        else:
            self._watched.pop(what, None)

    def _interests(self) -> None:
        """What each end can go on with now."""
        crowded = len(self._out) > ROOM
        self._watch(self._wire.sink, WRITE if self._out else 0, self._write)
        for number, channel in self._channels.items():
            reads = channel.open and not channel.said_all and channel.credit > 0 and not crowded
            writes = channel.waiting or channel.connecting
            before = self._watched.get(channel.sock)
            ready = before[1] if before else self._turn(number, channel)
            self._watch(channel.sock, (READ if reads else 0) | (WRITE if writes else 0), ready)

    def _turn(self, number: int, channel: Channel) -> Callable[[int], object]:
        """What is done when its socket can go on."""

        def ready(events: int) -> None:
            if number not in self._channels:  # the wire has just ended it
                return
            if channel.connecting:
                self._connected(number, channel)
                return
            if events & WRITE:
                self._give(number, channel)
            if events & READ and number in self._channels and channel.credit > 0 and not channel.said_all:
                self._take(number, channel)

        return ready

    def _over(self) -> None:
        """Give back what was not carried yet, and end the rest."""
        with self._asking:
            self.ended = True
        self._rouse(0)
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            self._watch(channel.sock, 0, id)
            if channel.open or channel.connecting:
                channel.sock.close()
            else:
                channel.lost()
        self._selector.close()
        self._woken.close()
        self._wake.close()
        self.answered.set()

    # -- the wire ----------------------------------------------------------------------------------------------------

    def _say(self, kind: int, number: int, data: bytes = b"") -> None:
        self._out += HEAD.pack(kind, number, len(data)) + data

    def _write(self, _events: int = WRITE) -> None:
        with suppress(BlockingIOError):
            while self._out:
                del self._out[: self._wire.send(bytes(self._out[: 4 * CHUNK]))]

    def _read(self, _events: int) -> None:
        try:
            data = self._wire.receive()
        except BlockingIOError:
            return
        if not data:
            self.ended = True
            return
        self.heard = time.monotonic()
        self._in += data
        at = 0
        while len(self._in) - at >= HEAD.size:
            kind, number, length = HEAD.unpack_from(self._in, at)
            if kind > PONG or length > ROOM:
                raise BrokenError(bytes(self._in[at : at + 500]).decode("utf-8", "replace").strip())
            if len(self._in) - at < HEAD.size + length:
                break
            start = at + HEAD.size
            at = start + length
            self._heard(kind, number, bytes(self._in[start:at]))
        del self._in[:at]

    def _heard(self, kind: int, number: int, data: bytes) -> None:
        """One frame."""
        if kind == PING:
            self._say(PONG, 0, data)
        elif kind == PONG:
            self.trip = max(time.monotonic() - struct.unpack("!d", data)[0], 1e-6)
            self.answered.set()
        elif kind == OPEN:
            self._connect(number, int(data))
        elif number in self._channels:
            self._tell(kind, number, self._channels[number], data)

    def _tell(self, kind: int, number: int, channel: Channel, data: bytes) -> None:
        if kind == OPENED:
            channel.open = True
        elif kind == REFUSED:
            self._forget(number, channel)
            channel.refused(data.decode("utf-8", "replace"))
        elif kind == DATA:
            channel.waiting += data
            self._give(number, channel)
        elif kind == END:
            channel.heard_all = True
            self._give(number, channel)
        elif kind == CLOSE:
            self._close(number, channel)
        elif kind == MORE:
            channel.credit += int(data)

    # -- channels ----------------------------------------------------------------------------------------------------

    def _open(self, channel: Channel, port: int) -> None:
        if self.ended:
            channel.lost()
            return
        channel.sock.setblocking(False)
        number, self._next = self._next, self._next + 1
        self._channels[number] = channel
        self._say(OPEN, number, str(port).encode())

    def _connect(self, number: int, port: int) -> None:
        """What the other end asks for."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        channel = self._channels[number] = Channel(sock)
        channel.connecting = True
        with suppress(OSError):  # what came of it is asked of the socket
            sock.connect((LOOPBACK, port))

    def _connected(self, number: int, channel: Channel) -> None:
        channel.connecting = False
        problem = channel.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            channel.sock.getpeername()
        except OSError as error:
            self._say(REFUSED, number, os.strerror(problem or error.errno or 0).encode())
            self._close(number, channel)
        else:
            channel.open = True
            self._say(OPENED, number)

    def _take(self, number: int, channel: Channel) -> None:
        """Read its socket, as much as the other end takes."""
        try:
            data = channel.sock.recv(min(CHUNK, channel.credit))
        except BlockingIOError:
            return
        except OSError:
            self._break(number, channel)
            return
        if data:
            channel.credit -= len(data)
            self._say(DATA, number, data)
        else:
            channel.said_all = True
            self._say(END, number)
            self._settle(number, channel)

    def _give(self, number: int, channel: Channel) -> None:
        """Write to its socket what has come for it."""
        try:
            while channel.waiting:
                count = channel.sock.send(bytes(channel.waiting[:CHUNK]))
                del channel.waiting[:count]
                channel.passed += count
        except BlockingIOError:
            pass
        except OSError:
            self._break(number, channel)
            return
        if channel.passed >= WINDOW // 2:
            self._say(MORE, number, str(channel.passed).encode())
            channel.passed = 0
        if channel.heard_all and not channel.waiting and not channel.shut:
            channel.shut = True
            with suppress(OSError):
                channel.sock.shutdown(socket.SHUT_WR)
        self._settle(number, channel)

    def _settle(self, number: int, channel: Channel) -> None:
        """It ends once both have said all."""
        if channel.said_all and channel.shut:
            self._close(number, channel)

    def _break(self, number: int, channel: Channel) -> None:
        self._say(CLOSE, number)
        self._close(number, channel)

    def _close(self, number: int, channel: Channel) -> None:
        self._forget(number, channel)
        channel.sock.close()

    def _forget(self, number: int, channel: Channel) -> None:
        self._watch(channel.sock, 0, id)
        del self._channels[number]


if __name__ == "__main__":
    Channels(Pipes(sys.stdin.fileno(), sys.stdout.fileno())).run(SILENCE_SECONDS)
