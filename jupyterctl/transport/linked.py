"""What a keeper does for a place: the half of the Distant protocol that is the same whatever the way is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from ..model import Dial, Link, Phase, Profile
from .broker import Broker

if TYPE_CHECKING:
    from .ssh.way import Destination


class Line(Protocol):
    """What a keeper asks of any way, open: whether it lives, and to carry connections. Any thread may ask.

    Each method is explained in `ssh.way.Way`, which can do more.
    """

    closed: threading.Event
    description: str

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
        """Carry an accepted connection until both sides have ended; returns at once."""

    def heard(self) -> float:
        """`time.monotonic()` of the last sign of life."""

    def probe(self) -> None:
        """Ask for a sign of life."""

    def round_trip(self) -> float | None:
        """Seconds between the last probe and its answer."""

    def close(self) -> None:
        """End it and everything it carries."""


class Opened(Protocol):
    """What a target's `open` gives to its keeper."""

    uneasy: threading.Event
    """Set where the lab may not be where it was; whoever looks for it clears it."""

    @property
    def way(self) -> Line:
        """What it goes over."""

    def close(self) -> None:
        """Let go of everything; what was started there lives on."""


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
        """Have the keeper hold the link."""
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
