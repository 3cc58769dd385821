"""A Jupyter server's own HTTP interface: is it there, which kernels has it, please end.

The token goes in a header, never in a URL that could be logged. Requests say that they are no activity, so that looking
at a server does not keep it from being idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from ..errors import TargetError, UnreachableError
from ..model import Address, Kernel

if TYPE_CHECKING:
    from http.client import HTTPConnection

SECONDS = 3.0
"""How long an answer may take where nothing else is said."""
UNIX = "http+unix"
"""Scheme of the address of a server that listens on a unix socket, its path quoted as the host."""
_REFUSED = {401, 403}


class RefusedError(TargetError):
    """Whoever answers there does not know the token."""


def get(address: Address, path: str, seconds: float = SECONDS) -> Any:
    """The JSON that `GET path` answers; UnreachableError where nobody answers in time, RefusedError for the token."""
    return _request(address, "GET", f"{path}?no_track_activity=1", seconds)


def status(address: Address, seconds: float = SECONDS) -> dict[str, Any]:
    """What the server says of itself: `started`, `last_activity`, `kernels`, `connections`."""
    answer: dict[str, Any] = get(address, "api/status", seconds)
    return answer


def kernels(address: Address, seconds: float = SECONDS) -> list[Kernel]:
    """Every kernel, with the notebook that uses it."""
    paths = {session["kernel"]["id"]: session.get("path", "") for session in get(address, "api/sessions", seconds)}
    return [
        Kernel(
            id=kernel["id"],
            name=kernel.get("name", ""),
            path=paths.get(kernel["id"], ""),
            state=kernel.get("execution_state", "unknown"),
            last_activity=kernel.get("last_activity", ""),
        )
        for kernel in get(address, "api/kernels", seconds)
    ]


def shut_down(address: Address) -> None:
    """Ask the server to end its kernels and itself."""
    _request(address, "POST", "api/shutdown", SECONDS)


def _request(address: Address, method: str, path: str, seconds: float) -> Any:
    from http.client import HTTPException

    parts = urlsplit(address.url)
    where = unquote(parts.netloc) if parts.scheme == UNIX else f"{parts.hostname}:{parts.port}"
    headers = {"Authorization": f"token {address.token}", "Connection": "close"} if address.token else {}
    connection = _connection(address.url, seconds)
    try:
        connection.request(method, f"{parts.path}{path}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise UnreachableError(f"nothing answers at {where}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status in _REFUSED:
        raise RefusedError(f"the server at {where} refuses the token")
    if answer.status >= 300:  # noqa: PLR2004 - neither a success nor what we asked for
        raise TargetError(f"the server at {where} answers {answer.status} {answer.reason}")
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError as error:
        raise TargetError(f"what answers at {where} is no Jupyter server") from error


def _connection(url: str, seconds: float) -> HTTPConnection:
    """A connection to this machine: a certificate, which such servers sign themselves, proves nothing more here."""
    import http.client

    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return _over_socket(unquote(parts.netloc), seconds)
    host = parts.hostname or "127.0.0.1"
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=seconds)
    import ssl

    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - see above
    return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)


def _over_socket(path: str, seconds: float) -> HTTPConnection:
    import http.client
    import socket

    connection = http.client.HTTPConnection("localhost", timeout=seconds)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(seconds)
    try:
        connection.sock.connect(path)
    except OSError as error:
        connection.close()
        raise UnreachableError(f"nothing answers at {path}: {error.strerror or error}") from error
    return connection
