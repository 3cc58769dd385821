"""Whatever pieces a journal comes in, whatever lies between its lines, it says the same."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyterctl.core.journal import Reader, events, fold, fold_all
from jupyterctl.model import Cells, Event, Run, RunState

TIME = "2026-01-02T03:04:05.678Z"
ENDINGS = ["succeeded", "failed", "cancelled", "timed-out", "kernel-died", "lost"]

texts = st.text(max_size=40)
seconds = st.floats(min_value=0, max_value=1e6)
errors = st.none() | st.fixed_dictionaries(
    {
        "name": texts,
        "value": texts,
        "cell": st.none() | st.integers(0, 99),
        "traceback": st.lists(texts, max_size=3),
    }
)
kinds = st.one_of(
    st.fixed_dictionaries({"event": st.just("submitted"), "target": texts}),
    st.fixed_dictionaries({"event": st.just("started"), "cells": st.integers(0, 99), "attempt": st.integers(1, 3)}),
    st.fixed_dictionaries({"event": st.just("cell"), "index": st.integers(0, 99), "source": texts}),
    st.fixed_dictionaries({"event": st.just("output"), "index": st.integers(0, 99), "text": texts}),
    st.fixed_dictionaries(
        {
            "event": st.just("cell-done"),
            "index": st.integers(0, 99),
            "status": st.sampled_from(["ok", "error", "died"]),
            "seconds": seconds,
        }
    ),
    st.fixed_dictionaries({"event": st.just("alive"), "rss_bytes": st.integers(0)}),
    st.fixed_dictionaries({"event": texts}),  # of a newer version
    st.fixed_dictionaries(
        {"event": st.just("ended"), "status": st.sampled_from(ENDINGS), "seconds": seconds, "error": errors}
    ),
)


def numbered(given_events: list[dict[str, Any]]) -> list[Event]:
    """As a runner writes them: numbers from 0, and the time."""
    return [{"seq": seq, "time": TIME, **event} for seq, event in enumerate(given_events)]


journals = st.lists(kinds, max_size=25).map(numbered)


def lines(some: list[Event], *, ascii_only: bool = False) -> bytes:
    """A journal's bytes."""
    return b"".join(json.dumps(event, ensure_ascii=ascii_only).encode() + b"\n" for event in some)


def run() -> Run:
    """A run nothing has happened to yet."""
    return Run(id="nb-abcd", state=RunState.QUEUED, target="here", notebook="/nb.ipynb", created=TIME)


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


@given(journals, st.lists(st.integers(0), max_size=30), st.booleans())
def test_any_chopping_gives_the_same_events(some: list[Event], cuts: list[int], ascii_only: bool) -> None:
    data = lines(some, ascii_only=ascii_only)
    reader = Reader()
    assert [event for piece in chopped(data, cuts) for event in reader.feed(piece)] == some
    assert reader.pending == 0


@given(journals.filter(bool), st.integers(1))
def test_a_line_that_is_not_whole_waits(some: list[Event], missing: int) -> None:
    last = lines(some[-1:])
    cut = 1 + missing % len(last)
    data = lines(some)
    reader = Reader()
    assert reader.feed(data[:-cut]) == some[:-1]
    assert reader.pending == len(last) - cut
    assert reader.feed(data[-cut:]) == some[-1:]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_never_raises_and_every_event_is_one(pieces: list[bytes]) -> None:
    reader = Reader()
    for piece in pieces:
        for event in reader.feed(piece):
            assert isinstance(event["event"], str)
            assert isinstance(event["seq"], int)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    "time",
    "status",
    "error",
    "cells",
    "attempt",
    "seconds",
    "index",
    "source",
    "text",
    "mime",
    "sha256",
    "early",
]
almost = st.builds(
    lambda kind, seq, fields: {**fields, "event": kind, "seq": seq},
    st.sampled_from(["submitted", "started", "retry", "cell", "output", "cell-done", "ended"]) | texts,
    st.integers(0, 50) | json_values,
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6),
)
garbage = (
    st.binary(max_size=40).map(lambda line: line.replace(b"\n", b""))
    | json_values.filter(lambda value: not isinstance(value, dict)).map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"event": json_values}).map(lambda value: json.dumps(value).encode())
)


@given(journals, st.lists(st.tuples(st.integers(0, 25), garbage), max_size=8))
def test_garbage_between_lines_hides_none(some: list[Event], dirt: list[tuple[int, bytes]]) -> None:
    whole = lines(some).splitlines(keepends=True)
    for place, rubbish in dirt:
        whole.insert(min(place, len(whole)), rubbish + b"\n")
    assert events(b"".join(whole)) == some


@given(journals, st.lists(almost.map(lambda value: json.dumps(value).encode()), max_size=8))
def test_lines_that_are_nearly_events_leave_a_run_that_can_be_kept(some: list[Event], dirt: list[bytes]) -> None:
    folded = fold_all(run(), events(lines(some) + b"\n".join(dirt) + b"\n"))
    assert msgspec.json.decode(msgspec.json.encode(folded), type=Run) == folded


@given(journals, st.lists(st.integers(0, 24), max_size=10))
def test_what_was_seen_is_dropped(some: list[Event], again: list[int]) -> None:
    reader = Reader()
    assert reader.feed(lines(some)) == some
    assert reader.feed(lines([some[number] for number in again if number < len(some)])) == []


@given(journals)
def test_folding_the_same_events_again_changes_nothing(some: list[Event]) -> None:
    once = fold_all(run(), some)
    assert fold_all(once, some) == once


@given(journals, st.integers(0), st.integers(0))
def test_batches_that_overlap_fold_as_one(some: list[Event], first: int, back: int) -> None:
    cut = first % (len(some) + 1)
    overlap = cut - back % (cut + 1)
    assert fold_all(fold_all(run(), some[:cut]), some[overlap:]) == fold_all(run(), some)


@given(journals)
def test_an_end_is_final(some: list[Event]) -> None:
    folded = run()
    for event in some:
        after = fold(folded, event)
        if folded.state.ended:
            assert after == folded
        folded = after
    ends = [event for event in some if event["event"] == "ended"]
    assert folded.state.ended == bool(ends)
    if ends:
        assert folded.state == ends[0]["status"]


@given(st.lists(st.sampled_from(["ok", "error", "died", "interrupted"]), max_size=20))
def test_cells_that_are_done_are_those_that_went_well(statuses: list[str]) -> None:
    some = numbered(
        [
            {"event": "started", "cells": len(statuses)},
            *(
                {"event": "cell-done", "index": index, "status": status, "seconds": 0.1}
                for index, status in enumerate(statuses)
            ),
        ]
    )
    assert fold_all(run(), some).cells == Cells(done=statuses.count("ok"), total=len(statuses))
