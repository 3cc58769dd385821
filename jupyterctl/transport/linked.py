"""What a keeper does for a place: the half of the Distant protocol that is the same whatever the way is."""

from __future__ import annotations

import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from ..model import Dial, Link, Phase, Profile
from .broker import Broker, GoneError
from .ssh.way import ClosedError, Destination, Line


class Opened(Protocol):
    """What a target's `open` gives to its keeper."""

    uneasy: threading.Event
    """Set where the lab may not be where it was; whoever looks for it clears it."""

    @property
    def way(self) -> Line:
        """What it goes over."""

    def close(self) -> None:
        """Let go of everything; what was started there lives on."""


class Alone:
    """Likewise, where there is no program of ours at the other end."""

    def __init__(self, way: Line, uneasy: threading.Event) -> None:
        self.way, self.uneasy = way, uneasy

    def close(self) -> None:
        """Let go of everything; the lab lives on."""
        self.way.close()


class Caller(NamedTuple):
    """A connection that is to be carried; see `Line.forward`."""

    client: socket.socket
    to: Destination
    refused: Callable[[str], object]
    lost: Callable[[], object]


class Contact(ABC):
    """What a line that is no connection itself knows of whom it asks."""

    def __init__(self, description: str) -> None:
        self.description = description
        self.closed, self.uneasy = threading.Event(), threading.Event()
        self._why, self._heard = "", time.monotonic()
        self._trip: float | None = None

    @property
    def why(self) -> str:
        """Why it is gone, in words; empty while it is up."""
        return self._why

    def hear(self) -> None:
        """The other side has said something."""
        self._heard = time.monotonic()

    def heard(self) -> float:
        """When it last did."""
        return self._heard

    def round_trip(self) -> float | None:
        """Seconds that it took for its last answer."""
        return self._trip

    def give_up(self, why: str) -> None:
        """The way is gone."""
        self._why = self._why or why
        self.closed.set()

    def forward(
        self,
        client: socket.socket,
        to: Destination,
        refused: Callable[[str], object],
        lost: Callable[[], object],
    ) -> None:
        """Carry a connection to a port of the lab's; a lab that is not there yet is waited for, within reason."""
        if self.closed.is_set():
            raise ClosedError(self._why)
        self.carry(Caller(client, to, refused, lost))

    @abstractmethod
    def carry(self, caller: Caller) -> None:
        """Begin with it; returns at once."""


class Linked:
    """A target whose lab is reached through a link that its keeper holds up."""

    remote = True
    direct = False
    profile: Profile

    def __init__(self, profile: Profile) -> None:
        """`profile` is what the keeper is told."""
        self.profile = profile
        self.broker = Broker(profile)

    def link(self, port: int, dial: Dial | None) -> Link:
        """Have the keeper hold the link; one that was just about to end gives way to another."""
        try:
            *_, (_, link) = self.broker.request("link", port=port, dial=dial)
        except GoneError:
            *_, (_, link) = self.broker.request("link", port=port, dial=dial)
        return msgspec.convert(link, Link)

    def reach(self) -> Iterator[Phase]:
        """Open the way, unless it is open."""
        return self._opening(anew=False)

    def reconnect(self) -> Iterator[Phase]:
        """Open the way anew, whatever it looks like."""
        return self._opening(anew=True)

    def _opening(self, *, anew: bool) -> Iterator[Phase]:
        for word, value in self.broker.request("open", anew=anew):
            if word == "phase":
                yield msgspec.convert(value, Phase)

    def state(self) -> Link:
        """What the keeper says of the link."""
        *_, (_, link) = self.broker.request("state", only_if_there=True)
        return msgspec.convert(link, Link)

    def let_go(self) -> None:
        """Let the keeper give the port up."""
        if self.broker.alive():
            list(self.broker.request("unlink"))
