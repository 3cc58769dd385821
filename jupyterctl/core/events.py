"""What an event must carry to be acted on; one of a kind not named here, from a newer runner, may carry anything.

A journal comes from another machine: a line with a status or a number that is none is as much garbage as half a line.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from ..model import Event, RunError


class _Numbered(Struct, kw_only=True):
    event: str
    seq: int
    time: str | None = None


class _Started(_Numbered, kw_only=True):
    cells: int
    attempt: int = 1


class _Retry(_Numbered, kw_only=True):
    attempt: int
    of: int
    status: str


class _Cell(_Numbered, kw_only=True):
    index: int
    source: str


class _Output(_Numbered, kw_only=True):
    index: int
    text: str = ""
    mime: dict[str, int] = {}


class _CellDone(_Numbered, kw_only=True):
    index: int
    status: str
    seconds: float


class _Ended(_Numbered, kw_only=True):
    status: Literal["succeeded", "failed", "cancelled", "timed-out", "kernel-died", "lost"]
    seconds: float | None = None
    early: bool = False
    error: RunError | None = None
    sha256: str | None = None
    undelivered: str | None = None


_KINDS: dict[str, type[_Numbered]] = {
    "started": _Started,
    "retry": _Retry,
    "cell": _Cell,
    "output": _Output,
    "cell-done": _CellDone,
    "ended": _Ended,
}


def well_formed(value: object) -> Event | None:
    """The value itself where it is an event that can be acted on, else None."""
    if not isinstance(value, dict):
        return None
    kind = value.get("event")
    try:
        msgspec.convert(value, _KINDS.get(kind, _Numbered) if isinstance(kind, str) else _Numbered)
    except msgspec.ValidationError:
        return None
    return value
