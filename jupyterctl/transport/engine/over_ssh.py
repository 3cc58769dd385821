"""An engine behind the ssh program: each connection to it is a login that executes `docker system dial-stdio` there.

As docker's own command does it, with all that `~/.ssh/config` says, its agent and its ControlMaster. The SDK's own way
of doing so knows no time limit, and its sockets cannot be waited for; these can.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from ...errors import UnreachableError
from ..ssh import PROGRAM
from .client import LoginError
from .pooling import IDLE, Adapter
from .where import Engine

LOGIN_SECONDS = 15.0
"""How long a login may take; what is done over it has a limit of its own."""
READY = b"jupyterctl-engine"
"""The line after which the engine speaks; before it, whatever the machine's shell prints."""
OPTIONS = ("BatchMode=yes", "ServerAliveInterval=15", "ServerAliveCountMax=3", "ConnectTimeout=10")
_REFUSED = ("permission denied", "host key verification failed", "identification has changed", "no matching")
_POOLS: dict[Engine, _Pool] = {}
_POOLING = threading.Lock()
_STARTED: list[subprocess.Popen[bytes]] = []
"""Those that may have ended and are not taken in yet."""


class LoginAdapter(Adapter):
    """What the SDK's client sends its requests by; clients of one engine share its logins."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        super().__init__("", seconds)
        self._engine = engine

    def get_connection(self, url: Any, proxies: Any = None) -> _Pool:  # noqa: ARG002 - the SDK's signature
        """The pool."""
        with _POOLING:
            pool = _POOLS.get(self._engine)
            if pool is None:
                pool = _POOLS[self._engine] = _Pool(self._engine)
            return pool

    def close(self) -> None:
        """Let go of the logins that nobody uses; who asks next logs in anew."""
        with _POOLING:
            pool = _POOLS.pop(self._engine, None)
        if pool is not None:
            pool.close()
        super().close()


class _Pool(HTTPConnectionPool):
    """Connections to an engine that may be used again; each request brings its own time limit."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("localhost", maxsize=IDLE)
        self._engine = engine

    def _new_conn(self) -> Any:
        return _Connection(self._engine)


class _Connection(HTTPConnection):
    """One."""

    def __init__(self, engine: Engine) -> None:
        super().__init__("localhost")
        self._engine = engine

    def connect(self) -> None:
        """Log in."""
        self.sock = dial(self._engine)
        self.sock.settimeout(self.timeout)


def command(engine: Engine) -> list[str]:
    """The ssh program's; a path in the address is that of the engine's socket there.

    >>> command(Engine(url="ssh://ada@gpu-01:2222", source=""))[-7:-1]
    ['-l', 'ada', '-p', '2222', '--', 'gpu-01']
    """
    at = urlsplit(engine.url)
    options = [word for option in OPTIONS for word in ("-o", option)]
    options += ["-l", at.username] if at.username else []
    options += ["-p", str(at.port)] if at.port else []
    socket_there = f" --host {shlex.quote(f'unix://{at.path}')}" if at.path.strip("/") else ""
    there = f"docker --version && echo {READY.decode()} && exec docker{socket_there} system dial-stdio"
    return [PROGRAM, "-T", *options, "--", at.hostname or "", there]


def dial(engine: Engine) -> socket.socket:
    """A connection on which the engine listens; LoginError, or UnreachableError with what the ssh program says."""
    _STARTED[:] = [one for one in _STARTED if one.poll() is None]
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(
                command(engine),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
    except OSError as error:
        ours.close()
        raise UnreachableError("this machine has no ssh program", "install one: openssh-client") from error
    assert process.stderr is not None  # noqa: S101 - it was asked for
    with process.stderr:
        if _ready(ours):
            _STARTED.append(process)
            return ours
        ours.close()
        process.terminate()
        said = process.communicate()[1].decode("utf-8", "replace")
    raise _refusal(engine, said)


def _ready(ours: socket.socket) -> bool:
    """Whether the machine has let us in, in time, and has the program; what it prints before is read over."""
    deadline = time.monotonic() + LOGIN_SECONDS
    line = b""
    with suppress(OSError):
        while (left := deadline - time.monotonic()) > 0:
            ours.settimeout(left)
            byte = ours.recv(1)  # not more: what follows the line is the engine's
            if not byte:
                return False
            if byte != b"\n":
                line += byte
            elif line.strip() == READY:
                return True
            else:
                line = b""
    return False


def _refusal(engine: Engine, said: str) -> UnreachableError:
    """Why nobody was let in, in the program's own last words."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = lines[-1] if lines else f"no answer within {LOGIN_SECONDS:.0f} s"
    host = urlsplit(engine.url).netloc
    if any(part in said.lower() for part in _REFUSED):
        hint = f"log in by a key that asks nothing (ssh-add, ssh-copy-id), and once by hand: ssh {host}"
        return LoginError(f"the engine at `{engine.url}` cannot be logged in to: {why}", hint)
    message = f"the engine at `{engine.url}` cannot be reached over ssh: {why}"
    return UnreachableError(message, f"try it: ssh {host} docker version")
