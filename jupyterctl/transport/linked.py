"""What a keeper does for a place: the half of the Distant protocol that is the same whatever the way is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

import msgspec

from ..model import Dial, Link, Phase, Profile
from .broker import Broker
from .ssh.way import Line


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
