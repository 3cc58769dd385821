"""How states are drawn: a glyph, a word and a tone, in that order of trust.

A terminal that cannot draw the glyphs gets letters: every text passes `Glyphs.draw`.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..core import words
from ..model import CheckState, Outline, RunState

_ASCII = str.maketrans(
    {
        "●": "*", "◐": "~", "○": "o", "◷": ":", "✓": "+", "✗": "x", "⚠": "!", "…": ".", "·": "-", "│": "|", "─": "-",
        "█": "#", "░": ".", "▸": ">", "▾": "v", "▴": "^", "→": ">", "↑": "^", "↓": "v", "⏎": "<", "—": "-",
    }
)  # fmt: skip


class Cell(NamedTuple):
    """A text and its tone: `good`, `bad`, `warn`, `busy`, `dim`, `strong` or none."""

    text: str
    tone: str = ""


RUN_TONES = {
    RunState.QUEUED: "dim",
    RunState.SUBMITTED: "busy",
    RunState.RUNNING: "busy",
    RunState.SUCCEEDED: "good",
    RunState.CANCELLED: "warn",
    RunState.UNKNOWN: "warn",
}
SERVERS = {
    "running": Cell("●", "good"),
    "starting": Cell("◐", "busy"),
    "stopping": Cell("◐", "busy"),
    "stopped": Cell("○", "dim"),
    "unreachable": Cell("⚠", "warn"),
    "unknown": Cell("⚠", "warn"),
}
CHECKS = {
    CheckState.OK: Cell("✓", "good"),
    CheckState.WARN: Cell("⚠", "warn"),
    CheckState.FAIL: Cell("✗", "bad"),
    CheckState.SKIP: Cell("-", "dim"),
}
CELLS = {"ok": Cell("✓", "good"), "error": Cell("✗", "bad"), "interrupted": Cell("○", "warn"), "died": Cell("✗", "bad")}
STYLES = {
    "good": "$text-success",
    "bad": "$text-error",
    "warn": "$text-warning",
    "busy": "$text-accent",
    "dim": "$quiet",
    "strong": "bold",
}
"""A tone as a style of Textual's content."""


def run(run: Outline) -> Cell:
    """A run's state."""
    return Cell(words.state(run), RUN_TONES.get(run.state, "bad"))


def server(state: str) -> Cell:
    """A server's state; one not known here is a warning."""
    glyph = SERVERS.get(state, Cell("⚠", "warn"))
    return Cell(f"{glyph.text} {state}", glyph.tone)


def bar(done: int, total: int, width: int) -> str:
    """How far something is.

    >>> bar(1, 2, 8)
    '████░░░░'
    """
    full = width * done // total if total else 0
    return "█" * full + "░" * (width - full)


def ascii_wanted() -> bool:
    """Whether the terminal cannot be trusted with more than ASCII: no UTF-8, or Linux's own console."""
    import locale

    return os.environ.get("TERM") == "linux" or "UTF" not in locale.getpreferredencoding(do_setlocale=False).upper()


class Glyphs:
    """Draws texts for one terminal."""

    def __init__(self, *, ascii_only: bool) -> None:
        self.ascii_only = ascii_only

    def draw(self, text: str) -> str:
        """The text as this terminal can show it."""
        return text.translate(_ASCII) if self.ascii_only else text
