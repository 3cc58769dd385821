"""A run's journal: bytes to events, and events to the state of the run.

The journal is the only truth about a run. `Reader` takes it in pieces of any size, as they come; `fold` says what one
more event makes of a run. Both are pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import msgspec
from msgspec import structs

from ..model import Cells, Event, Run, RunError, RunState
from .events import well_formed

_decode = msgspec.json.Decoder().decode


class Reader:
    """Turns the journal's bytes into events, whatever pieces they come in.

    A line that is not whole waits for its rest; one that is no event is passed over (a machine that crashed may leave
    half a line); an event that was seen before, by its `seq`, is not given again.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._seq = -1

    @property
    def pending(self) -> int:
        """Bytes of a last line that is not whole yet."""
        return len(self._rest)

    def drop(self) -> int:
        """Give up on a last line that will not become whole; returns its bytes."""
        dropped, self._rest = len(self._rest), b""
        return dropped

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [event for line in lines if (event := self._event(line)) is not None]

    def _event(self, line: bytes) -> Event | None:
        try:
            event = well_formed(_decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if event is None or event["seq"] <= self._seq:
            return None
        self._seq = event["seq"]
        return event


def events(data: bytes) -> list[Event]:
    """All events of a whole journal."""
    return Reader().feed(data)


def fold(run: Run, event: Event) -> Run:
    """The run after one more event; what it has taken in already, and what comes after its end, changes nothing."""
    if event["seq"] <= run.seq or run.state.ended:
        return run
    change = _FOLDS.get(event["event"], _seen)
    return structs.replace(run, seq=event["seq"], seen=event.get("time"), **change(run, event))


def fold_all(run: Run, more: Iterable[Event]) -> Run:
    """The run after several more events."""
    return reduce(fold, more, run)


def _started(run: Run, event: Event) -> dict[str, object]:
    return {
        "state": RunState.RUNNING,
        "started": run.started or event.get("time"),
        "cells": Cells(total=event.get("cells", 0)),
        "attempt": event.get("attempt", 1),
        "waiting": "",
    }


def _cell_done(run: Run, event: Event) -> dict[str, object]:
    done = run.cells.done + (event.get("status") == "ok")
    return {"cells": Cells(done=done, total=run.cells.total), "state": RunState.RUNNING}


def _seen(run: Run, event: Event) -> dict[str, object]:
    del run, event
    return {}


def _ended(run: Run, event: Event) -> dict[str, object]:
    del run
    error = event.get("error")
    return {
        "state": RunState(event["status"]),
        "ended": event.get("time"),
        "seconds": event.get("seconds"),
        "early": event.get("early", False),
        "error": msgspec.convert(error, RunError) if error else None,
        "sha256": event.get("sha256"),
        "undelivered": event.get("undelivered"),
        "waiting": "",
    }


# `submitted` is written before the target is asked, so that it goes along: it does not yet make the run submitted.
_FOLDS = {
    "started": _started,
    "cell-done": _cell_done,
    "ended": _ended,
}
