"""The local end of a link: one port that stays open whatever becomes of the connection behind it.

sshtunnel's forwarder and its servers are the frame: they bind, accept and call a handler. The handler here gives the
accepted socket to whatever way is up and returns; while none is up it is held, for a bounded time. Against sshtunnel as
it ships: it listens on 127.0.0.1 only, with a longer queue; the port outlives the ssh connection; and nobody hangs.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import sshtunnel

from ..errors import TargetError
from .answers import answer
from .limits import many_files
from .ports import owner
from .ssh.way import ClosedError, Destination

LOCALHOST = "127.0.0.1"
QUEUE = 128
"""Connections that the kernel accepts before we do."""
LOOK_UP_SECONDS = 0.5
"""How often the accepting thread looks whether it should end."""
ANSWERING = 16
"""Clients answered at once that nothing can carry; each takes four seconds at most."""
HOLD_SECONDS = 30.0
CROWDED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Carrier(Protocol):
    """What a listener needs of a way."""

    def forward(
        self,
        client: socket.socket,
        to: Destination,
        refused: Callable[[str], object],
        lost: Callable[[], object],
    ) -> None:
        """As `way.Way.forward`."""


class _Held(NamedTuple):
    """A client that waits for a way."""

    client: socket.socket
    until: float


class _Handler(sshtunnel._ForwardHandler):  # type: ignore[misc]
    """Hands an accepted connection over; the thread that accepts goes on at once."""

    listener: Listener

    def handle(self) -> None:
        self.listener.accepted(self.request)


class _Server(sshtunnel._ForwardServer):  # type: ignore[misc]
    """Accepts, and leaves each socket to whom it was handed."""

    request_queue_size = QUEUE

    def server_activate(self) -> None:
        """Listen, and never wait for who has gone again."""
        super().server_activate()
        self.socket.setblocking(False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand over this one and all others that have come by now."""
        super().process_request(request, client_address)
        with suppress(OSError):  # none is left; what else it may be the next look at the socket meets
            while True:
                super().process_request(*self.socket.accept())

    def shutdown_request(self, request: socket.socket) -> None:
        """It is not ours any more."""

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; where there is no room for one, it waits a little rather than try at full speed."""
        try:
            return super().get_request()  # type: ignore[no-any-return]
        except OSError as error:
            if error.errno in CROWDED:
                time.sleep(0.05)
            raise


class Listener(sshtunnel.SSHTunnelForwarder):  # type: ignore[misc]
    """Listens on a fixed port of 127.0.0.1 from `start` to `stop`.

    `wanted()` is called, from any thread, when a client waits and no way is up, and `absent()` when the machine says
    that nobody listens at the destination; `story()` gives one or more sentences on what is going on, for a client
    that has waited `hold` seconds in vain.
    """

    def __init__(
        self,
        port: int,
        *,
        wanted: Callable[[], object] = lambda: None,
        absent: Callable[[], object] = lambda: None,
        story: Callable[[], str] = lambda: "",
        hold: float = HOLD_SECONDS,
    ) -> None:
        super().__init__(
            (LOCALHOST, 22),
            ssh_username="-",
            ssh_config_file=None,
            allow_agent=False,
            host_pkey_directories=[],
            local_bind_address=(LOCALHOST, port),
            remote_bind_address=(LOCALHOST, 1),
            logger=logging.getLogger(__name__),
        )
        self._wanted, self._absent, self._story, self._hold = wanted, absent, story, hold
        self._changed = threading.Condition()
        self._way: Carrier | None = None
        self._destination: Destination = (LOCALHOST, 1)
        self._held: deque[_Held] = deque()
        self._stopping = False
        self._answering = ThreadPoolExecutor(ANSWERING, thread_name_prefix="listener-answer")

    _server_list: list[Any]

    # -- sshtunnel's hooks --------------------------------------------------------------------------------------------

    @staticmethod
    def _consolidate_auth(**_given: object) -> tuple[None, list[object]]:
        """The connection behind is made and logged in by others."""
        return None, []

    def _make_ssh_forward_handler_class(self, remote_address_: Any) -> type[_Handler]:
        return type("_LinkHandler", (_Handler,), {"listener": self, "remote_address": remote_address_})

    def _make_ssh_forward_server_class(self, _remote_address: Any) -> type[_Server]:
        return _Server

    # -- from start to stop -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen; TargetError, naming who has it, where the port is not to be had."""
        many_files()
        (local,), (remote,) = self._local_binds, self._remote_binds
        try:
            self._make_ssh_forward_server(remote, local)
        except sshtunnel.BaseSSHTunnelForwarderError as error:
            who = owner(local[1])
            raise TargetError(
                f"port {local[1]} is taken by {who}", "end that program, or give the link another port"
            ) from error
        self.is_alive = True
        for name, target in (("accept", self._accept), ("hold", self._expire)):
            threading.Thread(target=target, name=f"listener-{name}", daemon=True).start()

    def _accept(self) -> None:
        for server in self._server_list:
            self._serve_forever_wrapper(server, LOOK_UP_SECONDS)

    @property
    def is_active(self) -> bool:
        """Whether it listens; the connection behind is another matter."""
        return bool(self._server_list)

    def stop(self, force: bool = False) -> None:  # noqa: ARG002 - sshtunnel's signature
        """Let go of the port and of the clients that wait; those that are carried go on."""
        servers, self._server_list = self._server_list, []
        for server in servers:
            server.shutdown()
            server.server_close()
        self.is_alive = False
        with self._changed:
            self._stopping = True
            held, self._held = self._held, deque()
            self._changed.notify_all()
        for each in held:
            self._answer(each.client, "The link was closed", "Whoever started it has ended it.")
        self._answering.shutdown(wait=False)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.local_bind_port)

    # -- clients ------------------------------------------------------------------------------------------------------

    def use(self, way: Carrier | None, destination: Destination | None = None) -> None:
        """Carry new connections, and those that wait, over this way to that destination; None: let them wait."""
        with self._changed:
            self._way = way
            self._destination = destination or self._destination
            held, self._held = (self._held, deque()) if way is not None else (deque(), self._held)
        for each in held:
            self._carry(each)

    def accepted(self, client: socket.socket) -> None:
        """Carry a connection that a client has made."""
        self._carry(_Held(client, time.monotonic() + self._hold))

    def _carry(self, held: _Held) -> None:
        way, destination = self._way, self._destination
        if way is None:
            self._keep(held)
            return
        try:
            way.forward(
                held.client,
                destination,
                lambda reason: self._refused(held, destination, reason),
                lambda: self._lost(held, way),
            )
        except ClosedError:
            self._lost(held, way)

    def _keep(self, held: _Held) -> None:
        """Have a client wait for a way."""
        with self._changed:
            if (way := self._way) is None and not self._stopping:
                self._held.append(held)
                self._changed.notify_all()
        if way is not None:
            self._carry(held)
        elif self._stopping:
            self._answer(held.client, "The link was closed", "Whoever started it has ended it.")
        else:
            self._wanted()

    def _lost(self, held: _Held, way: Carrier) -> None:
        """A way ended before it had carried anything of a client: the client waits for the next."""
        with self._changed:
            if self._way is way:
                self._way = None
        self._keep(held)

    def _refused(self, held: _Held, destination: Destination, reason: str) -> None:
        self._absent()
        place = destination if isinstance(destination, str) else f"{destination[0]}:{destination[1]}"
        story = f"The machine answers, but nothing listens at {place} there ({reason.lower()}). Is Jupyter running?"
        if reason.endswith("."):  # it is a sentence, and says it all
            story = reason
        self._answer(held.client, "Jupyter does not answer", story)

    def _expire(self) -> None:
        """Answer clients that have waited long enough."""
        while not self._stopping:
            due = []
            with self._changed:
                while self._held and self._held[0].until <= time.monotonic():
                    due.append(self._held.popleft())
                if not due:
                    self._changed.wait(self._held[0].until - time.monotonic() if self._held else None)
            for each in due:
                self._answer(each.client, "No connection yet", self._story())

    def _answer(self, client: socket.socket, title: str, story: str) -> None:
        try:
            self._answering.submit(answer, client, title, story)
        except RuntimeError:  # it was stopped
            client.close()
