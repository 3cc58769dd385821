"""A log that is followed until the reader scrolls up, with search, wrapping and a bounded buffer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.reactive import reactive
from textual.widgets import Log

from ...core.plain import tame
from ..glyphs import Glyphs

MOST_LINES = 20_000
"""What is kept to scroll back to; saving takes the whole log from its place."""
LONGEST = 4000
"""Characters of a line that are kept."""


class Search(Highlighter):
    """Marks where the text stands that is looked for."""

    def __init__(self) -> None:
        self.wanted = ""

    def highlight(self, text: Text) -> None:
        """Mark it in one line."""
        if self.wanted:
            import re

            text.highlight_regex(f"(?i){re.escape(self.wanted)}", "reverse bold")


class LogView(Log):
    """Textual's log, fed with pieces of any size."""

    following: reactive[bool] = reactive(default=True, repaint=False)
    """Whether it stays at the end."""

    def __init__(self, glyphs: Glyphs, **kw: Any) -> None:
        super().__init__(highlight=True, max_lines=MOST_LINES, auto_scroll=False, **kw)
        self.search = Search()
        self.highlighter = self.search
        self.glyphs = glyphs
        self.wrap = False
        self.place: int | None = None
        """The line found last."""
        self._whole: deque[str] = deque(maxlen=MOST_LINES)
        self._rest = ""

    def feed(self, data: str) -> None:
        """More of the log; the last line is shown once it is whole, or another piece comes."""
        *lines, self._rest = (self._rest + tame(data, colour=False).replace("\r\n", "\n")).split("\n")
        self.add(line.rpartition("\r")[2] for line in lines)

    def flush(self) -> None:
        """Nothing more comes: show what is left."""
        if self._rest:
            self.add([self._rest])
            self._rest = ""

    def add(self, lines: Iterable[str]) -> None:
        """More lines, at once."""
        new = [line if len(line) <= LONGEST else f"{line[:LONGEST]}… ({len(line)} characters)" for line in lines]
        if new:
            self._whole.extend(new)
            self.write_lines(self._shaped(new), scroll_end=self.following)

    def restart(self) -> None:
        """Another log."""
        self._whole.clear()
        self._rest, self.following, self.place = "", True, None
        self.clear()

    def toggle_wrap(self) -> None:
        """Wrap long lines at the width there is, or let them run out of it."""
        self.wrap = not self.wrap
        self._reshape()

    def find(self, wanted: str, *, forward: bool, again: bool) -> int:
        """Go to the next place of a text, from the end on to the beginning; returns how many there are."""
        self.search.wanted = wanted
        self.notify_style_update()
        self.refresh()
        found = [number for number, line in enumerate(self.lines) if wanted.casefold() in line.casefold()]
        if not wanted or not found:
            self.place = None
            return 0
        start = self.place if again and self.place is not None else len(self.lines)
        after = [number for number in found if number > start] or found[:1]
        before = [number for number in found if number < start] or found[-1:]
        self.place = after[0] if forward else before[-1]
        self.following = False
        self.scroll_to(y=max(0, self.place - self.size.height // 2), animate=False)
        return len(found)

    def to_end(self) -> None:
        """Follow again."""
        self.following = True
        self.scroll_end(animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """A reader who scrolls up stays there; at the end the log is followed again."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and not self.is_vertical_scroll_end:
            self.following = False
        elif self.is_vertical_scroll_end:
            self.following = True

    def on_resize(self, event: events.Resize) -> None:
        """What is wrapped is wrapped anew."""
        del event
        if self.wrap:
            self._reshape()

    def _reshape(self) -> None:
        self.clear()
        self.write_lines(self._shaped(self._whole), scroll_end=self.following)

    def _shaped(self, lines: Iterable[str]) -> list[str]:
        width = max(20, self.size.width - 1)
        drawn = (self.glyphs.draw(line.expandtabs()) for line in lines)
        if not self.wrap:
            return list(drawn)
        return [line[at : at + width] for line in drawn for at in range(0, max(1, len(line)), width)]
