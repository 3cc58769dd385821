"""Opening a way to a machine: where it is, the connection, its host key, the login."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import TargetError, UnreachableError
from . import hostkeys
from .asking import Asker
from .route import Route, resolve
from .way import Ask, RefusedError, Report, Way

if TYPE_CHECKING:
    from .connection import ParamikoWay
    from .dialogue import LoginTransport

Transport = Literal["auto", "paramiko", "openssh"]

LOGIN_SECONDS = 8.0
"""How long the machine may take over a login, not counting what a person takes to answer."""
_MARGIN = 5.0
HOPS = 8
"""Machines to go through, at most: a configuration can send us in a circle."""


def connect(
    host: str,
    *,
    ask: Ask,
    report: Report,
    transport: Transport = "auto",
    config: Path | None = None,
    timeout: float = 10,
    keep_passwords: bool = False,
) -> Way:
    """Open a way to an alias of the ssh configuration, or to `user@host:port`.

    `timeout`: seconds that a connection that is made may take until its keys are exchanged. UnreachableError where it
    may be better in a while, RefusedError where it must not be tried again by itself.
    """
    report("resolve", host)
    route = resolve(host, config=config)
    opening = _Opening(Asker(ask, keep=keep_passwords), report, timeout)
    return opening.open(route, transport)


class IncompatibleError(RefusedError):
    """The machine wants encryption that paramiko does not have."""


class _Opening:
    def __init__(self, asker: Asker, report: Report, timeout: float) -> None:
        self._asker, self._report, self._timeout = asker, report, timeout
        self._hops: dict[tuple[str, ...], Route] = {}

    def hop(self, route: Route) -> Route | None:
        """The machine that a route's connection comes from; None where it is this one."""
        if not route.proxy_jump:
            return None
        if route.proxy_jump not in self._hops:
            *before, last = route.proxy_jump
            config = Path(route.config) if route.config else None
            self._hops[route.proxy_jump] = resolve(last, config=config, jump=",".join(before))
        return self._hops[route.proxy_jump]

    def chain(self, route: Route) -> list[Route]:
        """Every machine on the way, the last first; RefusedError where they are too many."""
        found = [route]
        while (hop := self.hop(found[-1])) is not None:
            found.append(hop)
            if len(found) > HOPS:
                raise RefusedError(f"`{route.name}` goes through more than {HOPS} machines", "see its ProxyJump")
        return found

    def open(self, route: Route, transport: Transport) -> Way:
        chain = self.chain(route)
        why = next(filter(None, map(_why_openssh, chain)), "") if transport != "openssh" else ""
        if transport == "paramiko" and why:
            raise RefusedError(f"`{route.name}` cannot be reached by paramiko: {why}", 'set `transport = "openssh"`')
        if transport == "openssh" or why:
            if shutil.which("ssh") is None:
                raise TargetError(
                    f"`{route.name}` needs the ssh program, which is not here{f': {why}' if why else ''}",
                    "install OpenSSH's client",
                )
            return self._by_openssh(route)
        try:
            return self.by_paramiko(route)
        except IncompatibleError:
            if transport == "paramiko" or shutil.which("ssh") is None:
                raise
            return self._by_openssh(route)

    def _by_openssh(self, route: Route) -> Way:
        from .master import open_master

        return open_master(route, self._asker, self._report)

    def by_paramiko(self, route: Route) -> ParamikoWay:
        """Through its jump hosts, each with its own configuration, host key and login."""
        from .connection import ParamikoWay
        from .dialogue import LoginTransport

        carrier = self._carrier(route)
        ssh: LoginTransport | None = None
        try:
            ssh = LoginTransport(carrier.socket)
            self._exchange_keys(ssh, route, carrier)
            self._log_in(ssh, route)
        except BaseException:
            if ssh is not None:
                ssh.close()
            carrier.close()
            raise
        way = ParamikoWay(ssh, _description(route, ssh, carrier.by))
        if carrier.by:
            threading.Thread(target=carrier.close_after, args=(way.closed,), name="ssh-carrier", daemon=True).start()
        return way

    def _carrier(self, route: Route) -> _Carrier:
        from . import dial

        if (hop := self.hop(route)) is not None:
            way = self.by_paramiko(hop)
            self._report("connect", f"{route.address} by way of {hop.name}")
            by = ",".join(each.name for each in reversed(self.chain(hop)))
            return _through(way, route, hop.name, by)
        if route.proxy_command:
            self._report("connect", f"{route.address} by a proxy command")
            proxy = dial.Proxy(route)
            return _Carrier(proxy.socket, proxy.close, "a proxy command", proxy.complaint)
        self._report("connect", route.address)
        return _Carrier(dial.dial(route))

    def _exchange_keys(self, ssh: LoginTransport, route: Route, carrier: _Carrier) -> None:
        """Agree on keys with the machine, and see that it is the one we know."""
        known = hostkeys.look_up(route)
        ssh.ask_for(
            known.algorithms(
                [each for each in route.host_key_algorithms if each in ssh.preferred_keys] or ssh.preferred_keys
            )
        )
        ssh.banner_timeout = ssh.handshake_timeout = self._timeout + _MARGIN  # so that it is we who see that time is up
        done = threading.Event()
        ssh.start_client(event=done)
        done.wait(self._timeout)
        if not ssh.initial_kex_done or not ssh.is_active():
            raise _no_connection(ssh, route, carrier, self._timeout)
        key = ssh.get_remote_server_key()
        hostkeys.check(route, known, key.get_name(), key.asbytes(), self._asker)

    def _log_in(self, ssh: LoginTransport, route: Route) -> None:
        from .dialogue import Dialogue
        from .login import Login

        self._report("authenticate", route.login)
        login = Login(Dialogue(ssh, route.user, LOGIN_SECONDS), route, self._asker)
        login.run()
        self._report("authenticate", f"{route.login} by {login.by or 'nothing'}")


class _Carrier:
    """What carries an ssh connection."""

    def __init__(
        self,
        sock: socket.socket,
        close: Callable[[], object] = lambda: None,
        by: str = "",
        complaint: Callable[[], str] = lambda: "",
    ) -> None:
        self.socket, self.close, self.by, self.complaint = sock, close, by, complaint

    def close_after(self, closed: threading.Event) -> None:
        """End it when what it carries has ended."""
        closed.wait()
        self.close()


def _why_openssh(route: Route) -> str:
    """Why only the ssh program can go to a machine, in words; empty where paramiko can."""
    if route.needs_openssh:
        return f"`{route.name}`: {route.needs_openssh}"
    authority = hostkeys.look_up(route).authority
    if authority is not None:
        return f"a certificate authority vouches for `{route.name}`: {authority.file}:{authority.line}"
    return ""


def _through(hop: ParamikoWay, route: Route, name: str, by: str) -> _Carrier:
    """A connection that a machine makes for us to the next one."""
    ours, theirs = socket.socketpair()
    reasons: list[str] = []

    def ended(reason: str = "the connection to it ended") -> None:
        reasons.append(f"`{name}` cannot connect to it: {reason}")
        theirs.close()

    hop.forward(theirs, (route.host, route.port), ended, ended)
    return _Carrier(ours, hop.close, by, lambda: reasons[0] if reasons else "")


def _no_connection(ssh: LoginTransport, route: Route, carrier: _Carrier, seconds: float) -> TargetError:
    """Why there are no keys: a connection that failed, or a machine that has nothing in common with us."""
    from paramiko.ssh_exception import IncompatiblePeer

    error, see = ssh.saved_exception, f"see: ssh -v {route.name}"
    if isinstance(error, IncompatiblePeer):
        return IncompatibleError(f"{route.address} and paramiko have no way of encryption in common", see)
    if complaint := carrier.complaint():
        return UnreachableError(f"{route.address} cannot be reached: {complaint}", see)
    if error is not None and "protocol version" in str(error):
        return RefusedError(f"what answers at {route.address} is no ssh server", "is it the right port?")
    if ssh.is_active():
        return UnreachableError(
            f"{route.address} accepts connections and says nothing for {seconds:g} s", "it may be busy, or a firewall's"
        )
    said = f": {ssh.parting}" if ssh.parting else " before any login"
    return UnreachableError(
        f"{route.address} closed the connection{said}", "it may be busy, or shut this machine out for a while"
    )


def _description(route: Route, ssh: LoginTransport, by: str) -> str:
    untyped: Any = ssh
    parts = [f"{route.user}@{route.address}", untyped.host_key_type, untyped.remote_cipher]
    if by:
        parts[0] += f" by way of {by}"
    return ", ".join(parts)
