"""A connected socket to a machine's ssh port: over TCP, by both address families, or through a proxy command."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from typing import Any

from ...errors import TargetError, UnreachableError
from .route import Route

CONNECT_SECONDS = 4.0
"""How long one address may take, where the configuration does not say."""
RESOLVE_SECONDS = 8.0
STAGGER_SECONDS = 0.25
"""After this the next address is tried as well."""
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_END_SECONDS = 2.0
_WORDS = 300
"""Of what a proxy command says, this many characters at its end go into an error."""

Address = tuple[Any, ...]


def addresses(route: Route) -> list[tuple[int, Address]]:
    """(family, address) of each address of the host, families in turn; UnreachableError where it has none."""
    found: list[tuple[int, Address]] = []
    wrong: list[OSError] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(route.host, route.port, _FAMILIES[route.address_family], socket.SOCK_STREAM)
            found.extend((int(family), address) for family, _, _, _, address in answers)
        except (OSError, UnicodeError) as error:
            wrong.append(error if isinstance(error, OSError) else socket.gaierror(str(error)))

    asking = threading.Thread(target=ask, name="ssh-resolve", daemon=True)
    asking.start()
    asking.join(RESOLVE_SECONDS)
    if asking.is_alive():
        raise UnreachableError(
            f"the address of `{route.host}` was not found within {RESOLVE_SECONDS:.0f} s", "is this machine online?"
        )
    if wrong or not found:
        raise UnreachableError(*_unresolved(route))
    return _in_turn(found)


def _unresolved(route: Route) -> tuple[str, str]:
    if not route.alias:
        return (
            f"`{route.host}` does not resolve, and is no Host of the ssh configuration",
            "check the name, and be online",
        )
    return f"`{route.host}`, which is `{route.name}`'s HostName, does not resolve", "be online, or in the right network"


def _in_turn(found: list[tuple[int, Address]]) -> list[tuple[int, Address]]:
    """As the resolver orders them, but with the families in turn."""
    first = [each for each in found if each[0] == found[0][0]]
    rest = [each for each in found if each[0] != found[0][0]]
    mixed = []
    while first or rest:
        mixed += [each.pop(0) for each in (first, rest) if each]
    return list(dict.fromkeys(mixed))


def dial(route: Route) -> socket.socket:
    """A socket to the first address that answers; UnreachableError says how the last one did not."""
    limit = route.connect_timeout or CONNECT_SECONDS
    attempts = _Attempts(route, limit)
    try:
        return attempts.run(addresses(route))
    finally:
        attempts.close()


class _Attempts:
    """Connections that are being made, the next begun before the last has failed."""

    def __init__(self, route: Route, limit: float) -> None:
        self._route, self._limit = route, limit
        self._selector = selectors.DefaultSelector()
        self._until: dict[socket.socket, float] = {}
        self._failed: list[OSError] = []

    def run(self, waiting: list[tuple[int, Address]]) -> socket.socket:
        next_at = 0.0
        while waiting or self._until:
            if waiting and (time.monotonic() >= next_at or not self._until):
                self._begin(*waiting.pop(0))
                next_at = time.monotonic() + STAGGER_SECONDS
            if (connected := self._wait(next_at if waiting else None)) is not None:
                return connected
        raise UnreachableError(*self._words())

    def _begin(self, family: int, address: Address) -> None:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            if self._route.bind_address:
                sock.bind((self._route.bind_address, 0))
            number = sock.connect_ex(address)
        except OSError as error:
            number = error.errno or errno.EINVAL
        if number not in {0, errno.EINPROGRESS}:
            sock.close()
            self._failed.append(OSError(number, os.strerror(number)))
            return
        self._selector.register(sock, selectors.EVENT_WRITE)
        self._until[sock] = time.monotonic() + self._limit

    def _wait(self, until: float | None) -> socket.socket | None:
        """A connection that is made by then; None where none is."""
        if not self._until:
            return None
        deadline = min((*self._until.values(), *([until] if until is not None else [])))
        for key, _ in self._selector.select(max(deadline - time.monotonic(), 0)):
            sock = key.fileobj
            if not isinstance(sock, socket.socket):
                continue
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._forget(sock)
            if number == 0:
                sock.setblocking(True)
                return sock
            sock.close()
            self._failed.append(OSError(number, os.strerror(number)))
        for sock in [each for each, limit in self._until.items() if limit <= time.monotonic()]:
            self._forget(sock)
            sock.close()
            self._failed.append(TimeoutError(errno.ETIMEDOUT, "timed out"))
        return None

    def _forget(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        del self._until[sock]

    def close(self) -> None:
        """Give up what has not been decided."""
        for sock in list(self._until):
            self._forget(sock)
            sock.close()
        self._selector.close()

    def _words(self) -> tuple[str, str]:
        where, numbers = self._route.address, {error.errno for error in self._failed}
        if errno.ECONNREFUSED in numbers:
            return f"{where} refuses connections", "does an ssh server run there, and is it the right port?"
        if errno.ETIMEDOUT in numbers:
            return (
                f"{where} does not answer within {self._limit:g} s",
                "is it on, and reachable from this network (VPN)?",
            )
        if numbers & {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}:
            return f"there is no route to {where}", "is this machine online, and in the right network (VPN)?"
        why = self._failed[-1].strerror if self._failed else "no address"
        return f"{where} cannot be connected to: {why}", f"see: ssh -v {self._route.name}"


class Proxy:
    """A proxy command and the socket that is its standard input and output; it ends when the socket's owner says."""

    def __init__(self, route: Route) -> None:
        self.socket, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        shell = os.environ.get("SHELL") or "/bin/sh"
        try:
            self._process = subprocess.Popen(
                [shell, "-c", f"exec {route.proxy_command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._said,
                start_new_session=True,
            )
        except OSError as error:
            self.socket.close()
            self._said.close()
            raise TargetError(f"the proxy command cannot be started: {error.strerror}", "see $SHELL") from error
        finally:
            theirs.close()

    def complaint(self) -> str:
        """The last that it wrote to standard error; empty where it wrote nothing."""
        with suppress(OSError, ValueError):
            self._said.seek(0)
            return " ".join(self._said.read().decode(errors="replace").split())[-_WORDS:]
        return ""

    def close(self) -> None:
        """End it, and whatever it has started."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(OSError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
                break
        self._said.close()
