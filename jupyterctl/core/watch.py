"""Following runs: a run's events from its first one on, as they come, through every loss of the way to it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from ..errors import UnreachableError
from ..model import Event, Run, RunState
from ..store import Store
from ..target import Target
from . import journal, records, runs

POLL_SECONDS = 0.03
"""Between looks at a journal that is near."""
PATIENCE_SECONDS = 0.5
"""Between updates of the store while nothing but progress is new."""
BACK_OFF = (0.25, 5.0)
"""Seconds between tries while the place does not answer: at first, and at most."""
TURNING_POINTS = {"submitted", "started", "retry", "ended"}


class Follower:
    """One run's journal, read from its beginning on; `poll` gives what is new."""

    def __init__(self, store: Store, run: Run) -> None:
        self.store = store
        self.run = run
        self.reader = journal.Reader()
        self._offset = 0
        self._pending: list[Event] = []
        self._updated = 0.0
        self._target: Target | None = None
        self._down = 0.0
        self._next_try = 0.0
        self._waits = ""
        """Why it has not started, as last told."""

        self.finished = False
        """Whether the last event was given and the result was brought home."""

    def poll(self) -> list[Event]:
        """Events that came since the last call, without waiting; those without a number are our own.

        They are `unreachable`, `reachable`, and `waiting` with the reason why nothing has started.
        """
        kept = self._from(records.journal(self.run.id, self._offset))
        if kept:
            return self._take(kept)
        if self.run.state.ended:
            self.run = runs.settle(self.store, self.run)
            self.finished = True
            return []
        if not self.run.handle:
            self.run = self.store.run(self.run.id)
            return []
        return self._from_target() if time.monotonic() >= self._next_try else []

    def _from(self, data: bytes) -> list[Event]:
        self._offset += len(data)
        return self.reader.feed(data)

    def _from_target(self) -> list[Event]:
        early = runs.being_submitted(self.run)  # what is seen now may be what was there before it was started
        try:
            self._target = self._target or runs.target_of(self.run)
            data, gone = self._target.journal(self.run.handle, self._offset)
        except UnreachableError as error:
            return self._unreachable(error)
        back = self._reachable()
        records.extend(self.run.id, self._offset, data)
        events = self._from(data)
        if gone and not data and not self._ended(events):
            self.run = self.store.run(self.run.id)
            if not early:
                self.run = runs.lost(self.store, self.run)
                self._offset -= self.reader.drop()
                events = self._from(records.journal(self.run.id, self._offset))
        return back + self._waiting(self._target, events) + self._take(events)

    def _waiting(self, there: Target, events: list[Event]) -> list[Event]:
        """Why it has not started, where that is news."""
        if events:
            return []
        self.run = runs.waits(self.store, self.run, there)
        reason = self.run.waiting
        kind = re.sub(r"[0-9a-f]*\d[0-9a-f]*", "", reason)  # the cluster's own counters are no news
        news = reason if kind != self._waits else ""
        self._waits = kind
        return [{"event": "waiting", "reason": news}] if news else []

    def close(self) -> None:
        """Nobody polls any more."""
        if self._target is not None:
            runs.unfollow(self._target, self.run)

    def _take(self, events: list[Event]) -> list[Event]:
        self._pending += events
        turning = any(event["event"] in TURNING_POINTS for event in events)
        if turning or (self._pending and time.monotonic() - self._updated > PATIENCE_SECONDS):
            offset = self._offset - self.reader.pending
            self.run = runs.take_in(self.store, self.run.id, self._pending, offset)
            self._pending, self._updated = [], time.monotonic()
        return events

    @staticmethod
    def _ended(events: list[Event]) -> bool:
        return any(event["event"] == "ended" for event in events)

    def _unreachable(self, error: UnreachableError) -> list[Event]:
        first = not self._down
        self._down = min(self._down * 2, BACK_OFF[1]) if self._down else BACK_OFF[0]
        self._next_try = time.monotonic() + self._down
        if not first:
            return []
        self.run = runs.unreachable(self.store, self.run, error)
        return [{"event": "unreachable", "error": error.message, "hint": error.hint}]

    def _reachable(self) -> list[Event]:
        if not self._down and self.run.state is not RunState.UNKNOWN:
            return []
        self._down = 0.0
        self.run = runs.take_in(self.store, self.run.id, [], 0)
        return [{"event": "reachable"}]


def follow(store: Store, run: Run) -> Iterator[tuple[Run, Event | None]]:
    """The run and each of its events, from the first one to the last; None where nothing is new for a moment."""
    follower = Follower(store, run)
    try:
        while True:
            events = follower.poll()
            for event in events:
                yield follower.run, event
            if follower.finished:
                return
            if not events:
                yield follower.run, None
                time.sleep(POLL_SECONDS)
    finally:
        follower.close()
