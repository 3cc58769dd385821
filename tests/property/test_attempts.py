"""However a run's logs come in, and whichever of them are gone: its reader sees one journal that only grows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jupyterctl.model import RunState
from jupyterctl.transport.kube.attempts import Anchor, Attempt, joined, next_anchor

GONE = (RunState.LOST, "PodGone", "its pod is gone")


@dataclass
class Pod:
    """One attempt as the cluster has it: its log, and what becomes of that."""

    log: list[dict[str, Any]]
    known: int
    """Lines that the reader's looks have shown before the next one begins."""
    late: bool
    """Whether the rest of its log comes after the next pod has begun, as of one that takes its time to end."""
    vanishes: bool
    """Whether its log is gone then."""


def log(cells: int, word: str | None) -> list[dict[str, Any]]:
    """What an attempt writes."""
    told: list[dict[str, Any]] = [{"event": "queued"}, {"event": "submitted"}, {"event": "started", "cells": cells}]
    told += [{"event": "output", "text": "x" * (cell * 7)} for cell in range(cells)]
    told += [{"event": "ended", "status": word, "error": None}] if word else []
    return [{"seq": seq, "time": "2026-01-02T03:04:05Z", **event} for seq, event in enumerate(told)]


def lines(events: list[dict[str, Any]]) -> bytes:
    """As a log has them."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    """An attempt that another one follows."""
    made = log(draw(st.integers(0, 4)), draw(st.sampled_from([None, "failed", "kernel-died"])))
    known = draw(st.integers(0, len(made)))
    return Pod(made, known, late=draw(st.booleans()), vanishes=draw(st.booleans()))


@dataclass
class Reader:
    """Who follows the run, and keeps what it has read."""

    attempts: list[Attempt] = field(default_factory=list)
    data: bytes = b""

    def see(self, place: int, text: bytes, *, again: bool = True) -> None:
        """The log of an attempt is now this; read on."""
        self.attempts[place] = Attempt(anchor=self.attempts[place].anchor, lines=text)
        self.data += joined(self.attempts, again=again)[len(self.data) :]

    def begin(self, uid: str) -> None:
        """Another pod."""
        known = self.attempts
        anchor = next_anchor(known, uid, len(self.data), 3, GONE) if known else Anchor(uid=uid)
        self.attempts.append(Attempt(anchor=anchor))

    def events(self) -> list[dict[str, Any]]:
        """What it makes of it: each line is an event or blank."""
        return [json.loads(line) for line in self.data.split(b"\n") if line]


@given(st.lists(pods(), max_size=3), st.integers(0, 4), st.booleans())
def test_a_reader_sees_one_journal_that_only_grows(before: list[Pod], cells: int, well: bool) -> None:
    reader = Reader()
    for place, pod in enumerate(before):
        reader.begin(f"pod-{place}")
        for upto in range(pod.known + 1):
            reader.see(place, lines(pod.log[:upto]))
        if place:
            _let_rest_come(reader, before, place - 1)
    reader.begin("last")
    if before:
        _let_rest_come(reader, before, len(before) - 1)
    last = log(cells, "succeeded" if well else "failed")
    for upto in range(len(last)):
        reader.see(len(before), lines(last[:upto]))
    reader.see(len(before), lines(last), again=False)

    told = reader.events()
    numbers = [event["seq"] for event in told]
    assert numbers == sorted(set(numbers)), "each number once, and they only grow"
    assert [event["event"] for event in told].count("retry") == len(before)
    assert [event["attempt"] for event in told if event["event"] == "retry"] == list(range(2, len(before) + 2))
    ends = [event for event in told if event["event"] == "ended"]
    assert ends == told[-1:], "the last word of an attempt that another follows is none"
    assert [event["event"] for event in told if event["event"] == "output"].count("output") >= cells
    if not any(pod.vanishes for pod in before):
        assert joined(reader.attempts, again=False).startswith(reader.data), "who reads it all later reads the same"


def _let_rest_come(reader: Reader, before: list[Pod], place: int) -> None:
    """What becomes of a log once the next pod has begun."""
    pod = before[place]
    if pod.vanishes:
        reader.see(place, b"")
    elif pod.late:
        reader.see(place, lines(pod.log))
