"""When to ask the other side of a way for a sign of life, when to believe that it is gone, and when to try again.

Pure decisions over clocks that the caller reads, all in seconds.
"""

from __future__ import annotations

import random
from enum import Enum

QUIET, DEAD = 5.0, 13.5
"""Silence after which it is asked, and after which it is gone."""
QUIET_WATCHED, DEAD_WATCHED = 1.5, 4.5
"""The same while somebody is looking."""
URGENT = 2.6
"""After a wake, a change of the network or a key: how long the answer may take."""
ASLEEP = 4.0
"""A tick that comes so late was slept through."""


class Verdict(Enum):
    """What to do now."""

    WELL = "well"
    ASK = "ask"
    GONE = "gone"


class Pulse:
    """One way's signs of life. Times are of the monotonic clock, but for `wall`."""

    def __init__(self, now: float, wall: float) -> None:
        self._base = now
        self._last = (now, wall)
        self._asked = 0.0
        self._urged: float | None = None

    def urge(self, now: float) -> None:
        """Doubt it from now on, until it has answered; one that is doubted already is given no more time by it."""
        if self._urged is None:
            self._begin(now)
        self._asked = 0.0

    def _begin(self, now: float) -> None:
        self._urged = now
        self._base = max(self._base, now)

    def look(self, now: float, wall: float, heard: float, *, watched: bool) -> Verdict:
        """Decide, at a tick; `heard` is when something last came from the other side."""
        if max(now - self._last[0], wall - self._last[1]) > ASLEEP:
            self._begin(now)  # what was not heard while we slept says nothing
            self._asked = 0.0
        self._last = (now, wall)
        if self._urged is not None and heard > self._urged:
            self._urged = None
        quiet, dead = (QUIET_WATCHED, DEAD_WATCHED) if watched else (QUIET, DEAD)
        silent = now - max(heard, self._base)
        if silent > (URGENT if self._urged is not None else dead):
            return Verdict.GONE
        due = 0.0 if self._urged is not None else quiet
        if silent >= due and now - self._asked >= (1.0 if self._urged is not None else quiet):
            self._asked = now
            return Verdict.ASK
        return Verdict.WELL


class BackOff:
    """How long to wait before the next try: little at first, and never long while somebody is looking."""

    FIRST, MOST, LATE, LATE_AFTER, MOST_WATCHED = 0.25, 4.0, 30.0, 600.0, 0.8

    def __init__(self, now: float) -> None:
        self._began = now
        self._delay = self.FIRST

    def next(self, now: float, *, watched: bool) -> float:
        """Seconds to wait, a quarter more or less by chance, lest many come back at once."""
        delay, self._delay = self._delay, min(self._delay * 2, self.MOST)
        if watched:
            delay = min(delay, self.MOST_WATCHED)
        elif now - self._began > self.LATE_AFTER:
            delay = self.LATE
        return delay * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
