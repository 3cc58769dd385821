"""One connection of a client, carried into a pod over a websocket of its own.

The protocol of port-forward says when a pod refuses and not when it accepts. So a client's first bytes are only looked
at, not taken, until the pod has answered or has had its time to refuse: one that is refused can then be told so.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import TargetError, UnreachableError
from ..linked import Caller
from ..polling import readable
from ..ssh.pump import READ, WRITE
from . import streams

if TYPE_CHECKING:
    from .way import Way

WAIT_SECONDS = 30.0
"""How long a client waits for a pod that is on its way."""
AGAIN_SECONDS = 0.5
"""Between two dials of a pod that is there and refuses."""
REFUSAL_SECONDS = 0.3
"""How long a pod may take to refuse, once its node has begun to listen for us."""
GLANCE_SECONDS = 0.02
"""Between looks at what the client goes on to say meanwhile."""
FIRST_SECONDS = 10.0
"""How long the node may take to begin."""
CHUNK = 1 << 16
MOST = 1 << 20
"""Bytes that wait for one side before the other is read no further."""
LINGER_SECONDS = 15.0
"""How long a pod may be silent to a client that says no more; whether it hears, nobody can tell."""
DEAD_SECONDS = 20.0
"""How long the other side may leave us without an answer: somebody between us has dropped the connection unsaid."""
DATA, ERROR = 0, 1
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Carried:
    """One client. Its methods run in the pump's thread once it is carried, and in a dialling one before."""

    def __init__(self, way: Way, caller: Caller) -> None:
        assert not isinstance(caller.to, str)  # noqa: S101 - pods have ports
        self._way, self._client = way, caller.client
        self._pod, self._port = caller.to
        self._refused, self._lost = caller.refused, caller.lost
        self._socket: Any = None
        """The websocket's own."""
        self._to_pod, self._to_client = bytearray(), bytearray()
        self._ahead = b""
        self._frames: Any = None
        self._begun: set[int] = set()
        """Channels whose first frame, which names the port, has come."""
        self._taken = 0
        """Bytes of the client that the pod has had before it answered."""
        self._quiet = self._over = self._ended = False
        """Whether the client says no more, the pod, and nobody."""
        self._last = self._heard = time.monotonic()
        """When the pod last said something, and when anything came at all."""
        self._ping = False
        self._ending = threading.Lock()

    # -- until the pod has answered ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Wait for the client's first bytes, then dial."""
        self._client.setblocking(False)
        self._way.pump.watch(self._client, READ, self._first)

    def _first(self, _events: int) -> None:
        data = self._said()
        self._way.pump.watch(self._client, 0, self._first)
        if not data:
            self._client.close()
            return
        try:
            self._way.dialling.submit(self._dial, data)
        except RuntimeError:  # the way has just ended
            self._lost()

    def _said(self) -> bytes:
        """What the client says, left where it is; nothing where it is gone."""
        with suppress(OSError):
            return self._client.recv(CHUNK, socket.MSG_PEEK)
        return b""

    def _dial(self, data: bytes) -> None:
        """Until a pod takes what the client says, or it is clear that none will."""
        deadline = time.monotonic() + WAIT_SECONDS
        try:
            while not self._way.closed.is_set():
                reason = self._try(data)
                if not reason:
                    return
                reason = self._way.await_pod(deadline) or (reason if time.monotonic() > deadline else "")
                if reason:
                    self._refused(f"{reason[:1].upper()}{reason[1:]}.")
                    return
                self._way.closed.wait(AGAIN_SECONDS)
        except UnreachableError:
            self._way.probe()
            self._way.uneasy.set()
        except Exception:
            logging.getLogger(__name__).exception("a connection could not be carried")
        self._lost()

    def _try(self, data: bytes) -> str:
        """Dial once: empty where the client is carried from now on, else why it is not."""
        try:
            websocket = streams.connect(self._way.cluster, self._pod, "portforward", [("ports", str(self._port))])
        except UnreachableError as error:
            if streams.answered(error):  # for the pod's node, which does not
                return error.message
            raise
        except TargetError as error:
            return error.message
        self._way.hear()
        try:
            reason = self._proved(websocket, data)
        except (OSError, EOFError) as error:
            reason = str(error) or "the pod was lost"
        if reason:
            websocket.shutdown()
            return reason
        self._carry(websocket)
        return ""

    def _proved(self, websocket: Any, data: bytes) -> str:
        """Give the pod the first bytes, and those that follow meanwhile; why it refuses, empty where it does not."""
        self._begun, self._ahead, self._taken = set(), b"", 0
        self._socket = websocket.sock
        self._frames = _frames(self._received)
        self._offer(data)
        deadline = time.monotonic() + FIRST_SECONDS
        while not self._to_client and time.monotonic() < deadline:
            began = len(self._begun) > 1
            try:
                channel, part = self._next()
            except _WAIT:
                readable(self._socket, GLANCE_SECONDS)
                self._offer(self._said())
                if not began and len(self._begun) > 1:
                    deadline = time.monotonic() + REFUSAL_SECONDS
                continue
            if channel == ERROR:
                return part.decode("utf-8", "replace")
            self._to_client += part
        return "" if self._to_client or len(self._begun) > 1 else "its node does not answer"

    def _offer(self, data: bytes) -> None:
        """Send what the pod has not had yet."""
        if len(data) > self._taken:
            self._socket.settimeout(FIRST_SECONDS)
            self._socket.sendall(_frame(bytes([DATA]) + data[self._taken :]))
            self._taken = len(data)
        self._socket.setblocking(False)

    def _carry(self, websocket: Any) -> None:
        """What was looked at is taken; from now on the pump's thread has both sides."""
        with suppress(BlockingIOError):
            self._client.recv(self._taken)
        self._websocket = websocket
        if not self._way.carrying(self):
            self.end()
            return
        self._last = self._heard = time.monotonic()
        self._watch()

    # -- both ways ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Wait for what can go on, unless it has just ended: descriptors that are closed are soon another's."""
        reads = len(self._to_pod) < MOST and not self._quiet
        hears = len(self._to_client) < MOST
        with self._ending:
            if self._ended:
                return
            self._way.pump.watch(
                self._client, (READ if reads else 0) | (WRITE if self._to_client else 0), self._client_ready
            )
            self._way.pump.watch(
                self._socket, (READ if hears else 0) | (WRITE if self._to_pod or self._ping else 0), self._pod_ready
            )

    def _client_ready(self, events: int) -> None:
        with self._alive():
            if events & WRITE:
                self._give_client()
            if events & READ and len(self._to_pod) < MOST:
                data = self._client.recv(CHUNK)
                if data:
                    self._to_pod += _frame(bytes([DATA]) + data)
                    self._give_pod()
                else:
                    self._quiet = True
                    self._last = time.monotonic()

    def _pod_ready(self, events: int) -> None:
        with self._alive():
            if events & WRITE:
                self._give_pod()
            if events & READ:
                self._hear()

    def _alive(self) -> _Alive:
        return _Alive(self)

    def _hear(self) -> None:
        """Take what the pod says, until it says no more or the client has enough to read."""
        try:
            while len(self._to_client) < MOST:
                channel, part = self._next()
                if channel == ERROR:
                    self._over = True
                    break
                self._to_client += part
                self._last = time.monotonic()
                self._way.hear()
        except EOFError:
            self._over = True
        finally:
            self._give_client()

    def _give_client(self) -> None:
        with suppress(BlockingIOError):
            while self._to_client:
                del self._to_client[: self._client.send(self._to_client[:CHUNK])]
        if self._over and not self._to_client:
            raise EOFError

    def _give_pod(self) -> None:
        if self._ping:
            self._ping = False
            self._to_pod += _frame(b"", ping=True)
        with suppress(*_WAIT):
            while self._to_pod:
                del self._to_pod[: self._socket.send(bytes(self._to_pod[:CHUNK]))]

    def settle(self, *, over: bool) -> None:
        """After every step: go on, or end."""
        if over:
            self.end()
        elif not self._ended:
            if len(self._to_client) < MOST and self._pending():
                self._pod_ready(READ)
            else:
                self._watch()

    def _pending(self) -> bool:
        """Whether something of the pod's has come that the pump cannot see."""
        return bool(self._ahead) or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0)

    # -- frames ------------------------------------------------------------------------------------------------------

    def _received(self, size: int) -> bytes:
        """Up to so many bytes of the websocket's."""
        if not self._ahead:
            self._ahead = self._socket.recv(CHUNK)
            if not self._ahead:
                raise EOFError
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def _next(self) -> tuple[int, bytes]:
        """The next piece of what the pod says, and its channel; EOFError at the end."""
        import websocket

        while True:
            frame = self._frames.recv_frame()
            self._heard = time.monotonic()
            if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
                raise EOFError
            if frame.opcode == websocket.ABNF.OPCODE_PING:
                self._to_pod += _frame(frame.data, pong=True)
            if frame.opcode not in {websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_CONT} or not frame.data:
                self._way.hear()
                continue
            channel = frame.data[0]
            if channel in self._begun:
                return channel, frame.data[1:]
            self._begun.add(channel)

    # -- its end -----------------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """From time to time: end what only we hold, and keep alive what others might cut."""
        if len(self._to_client) >= MOST:  # nothing is read, so nothing can come
            self._heard = now
        silent = now - self._heard
        if silent > DEAD_SECONDS or (self._quiet and now - self._last > LINGER_SECONDS):
            self.end()
        elif silent > streams.PING_SECONDS:
            self._ping = True
            with suppress(OSError, ValueError):
                self._watch()

    def end(self) -> None:
        """Let go of both sides."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
        self._way.dropped(self)
        for side in (self._client, self._socket):
            with suppress(OSError, ValueError, KeyError):
                self._way.pump.watch(side, 0, self._client_ready)
            with suppress(OSError):
                side.close()


class _Alive:
    """A step of a connection: what ends it is no error."""

    def __init__(self, carried: Carried) -> None:
        self._carried = carried

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        over = isinstance(error, (EOFError, OSError)) and not isinstance(error, _WAIT)
        self._carried.settle(over=over)
        return isinstance(error, (EOFError, OSError))


def _frame(data: bytes, *, ping: bool = False, pong: bool = False) -> bytes:
    from websocket import ABNF

    kind = ABNF.OPCODE_PING if ping else ABNF.OPCODE_PONG if pong else ABNF.OPCODE_BINARY
    made: bytes = ABNF.create_frame(data, kind).format()
    return made


def _frames(receive: Callable[[int], bytes]) -> Any:
    import websocket

    return websocket.frame_buffer(receive, skip_utf8_validation=True)
