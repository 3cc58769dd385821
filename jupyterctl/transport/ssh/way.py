"""A way to a machine: one login that carries commands, files and byte streams, whichever program it goes through."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ...errors import TargetError, UnreachableError

if TYPE_CHECKING:
    from paramiko import SFTPClient

Destination = tuple[str, int] | str
"""Where a stream ends, as seen from the machine: host and port, or the path of a unix socket."""


class Question(Struct, frozen=True, kw_only=True):
    """Something only the person can answer while the way is being opened."""

    kind: str
    """`password`, `passphrase` (of a key file), `prompt` (the machine's own words, as for a second factor),
    `host-key` (yes or no), or `notice` (what the person is to do elsewhere, as touch a security key: no answer)."""
    text: str
    """What to show, without markup."""
    secret: bool = True
    """Whether what is typed is hidden."""
    about: str = ""
    """What it is asked for: a key's file, `user@host`; names the answer in a keyring."""


Ask = Callable[[Question], str | None]
"""Puts a question to the person; None where nobody is there to answer, or they decline."""

Report = Callable[[str, str], object]
"""Hears of phases as they begin: `resolve`, `connect`, `authenticate`, each with a detail in words."""


class RefusedError(TargetError):
    """What must not be tried again by itself: a refused login, an unknown or changed host key, nobody to ask."""


class ClosedError(UnreachableError):
    """The way closed under the request, or was closed already."""


class Screen(Struct, frozen=True, kw_only=True):
    """The terminal that a command there is given: as the person's own."""

    term: str
    columns: int
    rows: int
    variables: dict[str, str] = {}
    """What the machine is told of the person's surroundings, as far as it takes it: the language."""


class Stream(Protocol):
    """A command's standard input and output at the machine."""

    def write(self, data: bytes) -> None:
        """Send all; ClosedError where the way is gone."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; empty at the end."""

    def end_input(self) -> None:
        """The command reads an end of file."""

    def errors(self) -> str:
        """What it has written to standard error so far, at most its last 64 KiB."""

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit status once it has ended; None where it has not in time, or ended by a signal."""

    def close(self) -> None:
        """Let go of it, whether or not it has ended."""


class Terminal(Stream, Protocol):
    """A command there that has a terminal; what it writes to standard error comes with the rest."""

    def resize(self, columns: int, rows: int) -> None:
        """The person's terminal has another size now."""


class Line(Protocol):
    """What a keeper asks of any open connection: whether it lives, and to carry others.

    Its methods may be called from any thread; each raises ClosedError once it is gone.
    """

    closed: threading.Event
    """Set as soon as the connection is known to be gone, whoever ended it."""
    description: str
    """`user@host:22 by way of jump, ssh-ed25519, aes128-gcm@openssh.com`."""

    @property
    def why(self) -> str:
        """Why it is gone, in words; empty while it is up."""

    def forward(
        self,
        client: socket.socket,
        to: Destination,
        refused: Callable[[str], object],
        lost: Callable[[], object],
    ) -> None:
        """Carry an accepted connection to its destination until both sides have ended; returns at once.

        The socket is owned by the way from here on, and by the caller again, with nothing read from it, when one of
        these is called, from any thread: `refused` with the reason, where the machine answers and nobody listens at
        the destination; `lost`, where the way ended before the machine had answered.
        """

    def heard(self) -> float:
        """`time.monotonic()` of the last byte that came from the other side."""

    def probe(self) -> None:
        """Ask the other side for a sign of life, without waiting for it: `heard()` moves when it comes."""

    def round_trip(self) -> float | None:
        """Seconds between the last probe and its answer; None before the first."""

    def close(self) -> None:
        """End the connection and everything it carries."""


class Way(Line, Protocol):
    """One to a machine, which executes commands and has files."""

    def execute(self, command: str) -> Stream:
        """Start a command line in the person's login shell there, without a terminal."""

    def terminal(self, command: str, screen: Screen) -> Terminal:
        """The same with a terminal; RefusedError where the machine gives none."""

    def files(self) -> SFTPClient:
        """A new SFTP session; its owner closes it."""
