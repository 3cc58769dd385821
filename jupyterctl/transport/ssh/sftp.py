"""File transfer where start-up files print something into it: behind a mark, by a command instead of the subsystem.

Most servers start their sftp program by the login shell. A `~/.bashrc` that prints something breaks that, for every
program; ours looks for the sftp program itself, and passes over what comes before it.
"""

from __future__ import annotations

import secrets
import threading
from typing import Protocol

from .way import RefusedError

PLACES = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/lib/sftp-server",
)
SECONDS = 30.0
"""How long they may take."""
_LONGEST = 1 << 20
"""Bytes that start-up files may print."""


class Channel(Protocol):
    """What sftp is spoken over."""

    def recv(self, size: int, /) -> bytes:
        """Up to so many bytes as soon as there are any; empty at the end."""

    def close(self) -> None:
        """End it, for whoever reads as well."""


def command() -> tuple[str, bytes]:
    """A command line for any login shell that becomes the sftp program, and what it says first."""
    mark = f"jupyterctl-{secrets.token_hex(8)}"
    find = f"for one in {' '.join(PLACES)}; do [ -x $one ] && printf {mark} && exec $one; done"
    return f"exec sh -c '{find}'", mark.encode()


def await_mark(channel: Channel, mark: bytes) -> None:
    """Read up to the mark and no further; RefusedError where it does not come in time."""
    heard = b""
    limit = threading.Timer(SECONDS, channel.close)
    limit.daemon = True
    limit.start()
    try:
        while not heard.endswith(mark):
            data = channel.recv(1)
            if not data or len(heard) > _LONGEST:
                raise refused()
            heard += data
    finally:
        limit.cancel()


def refused() -> RefusedError:
    """What is said where there is none."""
    return RefusedError("the machine offers no file transfer (sftp)", "ask who runs it")
