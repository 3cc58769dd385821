"""How far a run is, counted from its events as they come."""

from __future__ import annotations

from ..model import Event
from . import words
from .plain import printable


def past(event: Event) -> float:
    """Seconds since an event, by its own time: whoever follows a run may come late to it.

    >>> round(past({"event": "cell", "time": "2026-01-01T00:00:00.000Z"}) / 86400) > 0, past({"event": "waiting"})
    (True, 0.0)
    """
    return max(words.since(event.get("time")) or 0.0, 0.0)


class Done:
    """A finished cell: its number among those executed, its status, its first line and how long it took."""

    def __init__(self, number: int, event: Event, text: str) -> None:
        self.number = number
        self.index: int = event["index"]
        self.status: str = event["status"]
        self.seconds: float = event["seconds"]
        self.text = text


class Cells:
    """Counts a run's cells as Jupyter does: the first one executed is 1."""

    def __init__(self) -> None:
        self.total = 0
        self.number = 0
        self.text = ""
        self.running = False

    def take(self, event: Event) -> Done | None:
        """Take one event in; the cell it finishes, if it does."""
        kind = event["event"]
        if kind == "started":
            self.total, self.number, self.running = event["cells"], 0, False
        elif kind == "cell":
            self.number, self.text, self.running = self.number + 1, printable(event["source"]), True
        elif kind == "cell-done":
            self.running = False
            return Done(self.number, event, self.text)
        return None


def pictures(event: Event) -> str:
    """What of an output is no text, by type and size: `image/png 12.3 KiB`."""
    sizes = event.get("mime") or {}
    shown = [f"{mime} {words.size(size)}" for mime, size in sizes.items() if mime != "text/plain"]
    return ", ".join(shown)


def left_out(event: Event) -> str:
    """The line that stands before an output's text where the journal has only its end; empty where it has it all."""
    cut = event.get("cut")
    return f"… {cut:,} characters left out: they are in the notebook" if isinstance(cut, int) and cut > 0 else ""


class Printed:
    """What outputs look like on a terminal, one after the other; pictures are named.

    What is left out is said on a line of its own, and what comes from elsewhere than the text before begins on one.
    """

    def __init__(self) -> None:
        self._line_open = False
        self._source: object = None
        """The cell and the stream that were printed last."""

    def take(self, event: Event) -> str:
        """The text of one more output."""
        return "".join(text for text, _ in self.parts(event))

    def parts(self, event: Event) -> list[tuple[str, bool]]:
        """The same in parts, each with whether it is no text of the output but something said about it."""
        stream, missing, named = event.get("kind") == "stream", left_out(event), pictures(event)
        source = event["index"], event.get("name")
        text = str(event.get("text", ""))
        if text and not stream:
            text += "\n"
        apart = self._line_open and (missing or not stream or source != self._source)
        lines = [("\n" if apart else "", False), (missing and f"{missing}\n", True), (text, False)]
        kept = [(part, about) for part, about in [*lines, (named and f"[{named}]\n", True)] if part]
        self._source = source
        self._line_open = not kept[-1][0].endswith("\n") if kept else self._line_open
        return kept
