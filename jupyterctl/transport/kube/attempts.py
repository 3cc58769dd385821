"""The journal of a run whose pods were several, as one: every reader finds the same bytes at the same place.

Each attempt's log begins anew. Where it begins in the journal is decided once, by whoever first sees its pod, and kept
with the Job; bytes of a pod that is gone are blank lines, which are no events. What an attempt said was the end becomes
a retry, and numbers go on from the attempt before.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from ...model import Event, Json, RunState, now
from .logs import number

FINAL = {"succeeded", "cancelled", "timed-out"}
"""Ends after which nothing is tried again, whatever the cluster does."""
MOST = 200
"""Characters of an error that are kept with the Job, where there is little room; the attempt's own events have all."""
OPENING = 2
"""Lines that every log begins with, for they went along: the run was queued, and submitted."""


class Anchor(Struct, frozen=True, kw_only=True):
    """Where an attempt begins: its pod, the byte of the journal, the number of its first line, and that line."""

    uid: str
    offset: int = 0
    number: int = 0
    retry: dict[str, Json] = {}


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt: where it begins, and its journal as far as it is known."""

    anchor: Anchor
    lines: bytes = b""


def last_word(lines: bytes) -> Event | None:
    """The event that ends a journal, if its last line is one."""
    line = lines[lines.rfind(b"\n", 0, -1) + 1 :]
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, dict) and event.get("event") == "ended" else None


def without_end(lines: bytes) -> bytes:
    """A journal without its last word."""
    return lines[: lines.rfind(b"\n", 0, -1) + 1] if last_word(lines) else lines


def final(lines: bytes) -> bool:
    """Whether a journal ends for good."""
    word = last_word(lines)
    return word is not None and word.get("status") in FINAL


def joined(attempts: Sequence[Attempt], *, again: bool) -> bytes:
    """The journal; `again`: the last attempt may not be the last, so that its failure is not yet the run's."""
    stream = b""
    for place, attempt in enumerate(attempts):
        lines = _renumbered(attempt) if place else attempt.lines
        begins = attempt.anchor.offset  # after a blank line: what an earlier pod still says later is cut off whole
        stream = stream[: max(begins - 1, 0)].ljust(begins, b"\n")
        if final(lines):
            return stream + lines
        last = place == len(attempts) - 1
        stream += lines if last and not again else without_end(lines)
    return stream


def next_anchor(
    attempts: Sequence[Attempt], uid: str, offset: int, of: int, failure: tuple[RunState, str, str]
) -> Anchor:
    """Where the attempt of a pod begins that has just been seen; `offset` is how far its reader has come.

    `failure` is what ended the attempt before where that has no last word.
    """
    before = joined(attempts, again=True)
    place = max(len(before), offset) + 1
    known = [found for line in before.splitlines() if (found := number(line)) is not None]
    first = known[-1] + 1 if known and len(before) >= offset else place
    word = last_word(attempts[-1].lines) or {}
    state, name, value = failure
    error = word.get("error") or {"name": name, "value": value, "cell": None}
    attempt = len(attempts) + 1
    retry = {
        "seq": first,
        "time": now(),
        "event": "retry",
        "attempt": attempt,
        "of": max(of, attempt),
        "status": word.get("status", state.value),
        "error": {**error, "value": str(error["value"])[:MOST], "traceback": []},
    }
    return Anchor(uid=uid, offset=place, number=first, retry=retry)


def _renumbered(attempt: Attempt) -> bytes:
    """An attempt's lines after its retry, numbered on; how many there were before is known only of whole events."""
    kept = [msgspec.json.encode(attempt.anchor.retry)]
    for line in attempt.lines.splitlines():
        found = number(line)
        if found is None or found < OPENING:
            continue
        event = msgspec.json.decode(line)
        event["seq"] = attempt.anchor.number + 1 + found - OPENING
        if event["event"] == "started":
            event["attempt"] = attempt.anchor.retry["attempt"]
        kept.append(msgspec.json.encode(event))
    return b"\n".join(kept) + b"\n"
