"""What the ssh program says when it gives up, as errors of ours."""

from __future__ import annotations

import re

from ...errors import TargetError, UnreachableError
from .login import plain
from .route import Route
from .way import RefusedError

_UNREACHABLE = (
    ("Could not resolve hostname", "`{host}` does not resolve", "check the name, and be online"),
    ("Connection refused", "{address} refuses connections", "does an ssh server run there, and is it the right port?"),
    ("timed out", "{address} does not answer in time", "is it on, and reachable from this network (VPN)?"),
    ("No route to host", "there is no route to {address}", "is this machine online, and in the right network (VPN)?"),
    ("unreachable", "there is no route to {address}", "is this machine online, and in the right network (VPN)?"),
)


def failure(said: str, route: Route) -> TargetError:
    """RefusedError for what must not be tried again by itself, else UnreachableError."""
    return _about_host_key(said, route) or _about_login(said, route) or _about_line(said, route)


def _about_host_key(said: str, route: Route) -> RefusedError | None:
    if "REVOKED HOST KEY" in said:
        where = re.search(r"[Kk]ey in (\S+:\d+)", said)
        return RefusedError(
            f"the host key of `{route.name}` is revoked{f': {where[1]}' if where else ''}",
            "do not log in there; ask who runs it",
        )
    if "IDENTIFICATION HAS CHANGED" in said:
        return _changed(said, route)
    if "Host key verification failed" in said:
        if route.strict_host_key_checking == "yes":
            return RefusedError(
                f"the host key of `{route.name}` is not known, and the ssh configuration wants it to be",
                f"add it to a known_hosts file: ssh-keyscan -p {route.port} {route.host}",
            )
        return RefusedError(f"the host key of `{route.name}` was not accepted", "ask who runs it for its fingerprint")
    return None


def _changed(said: str, route: Route) -> RefusedError:
    shown, old = re.search(r"SHA256:[^\s.]+", said), re.search(r"Offending .* key in (\S+):(\d+)", said)
    name = re.search(r"remove with:\s*ssh-keygen -f \S+ -R \S+", said)
    where = f"{old[1]}:{old[2]}" if old else "known_hosts"
    remedy = " ".join(name[0].split()[2:]) if name else f"ssh-keygen -R {route.host}"
    return RefusedError(
        f"the host key of `{route.name}` has changed: it shows {shown[0] if shown else 'another'}, "
        f"{where} has one that differs",
        f"somebody may be listening in; if you know that the machine was set up anew: {remedy}",
    )


def _about_login(said: str, route: Route) -> RefusedError | None:
    if line := _line(said, "Too many authentication failures"):
        return RefusedError(
            f"`{route.login}` gave up: {line}",
            "name the right key by IdentityFile, with IdentitiesOnly yes, in the ssh configuration",
        )
    if line := _line(said, "Permission denied"):
        return RefusedError(
            f"`{route.login}` refuses the login: {line}",
            f"is `{route.user}` the right user, and the key known there? see: ssh -v {route.name}",
        )
    return None


def _about_line(said: str, route: Route) -> UnreachableError:
    for words, message, hint in _UNREACHABLE:
        if words in said:
            return UnreachableError(message.format(host=route.host, address=route.address), hint)
    last = _line(said, "") or "the ssh program ended without a word"
    return UnreachableError(f"{route.address} cannot be reached: {last}", f"see: ssh -v {route.name}")


def _line(said: str, words: str) -> str:
    """The last line with some words in it."""
    lines = [plain(line).strip() for line in said.splitlines() if words in line and line.strip()]
    return lines[-1] if lines else ""
