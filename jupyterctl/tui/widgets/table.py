"""A table of thousands of rows of which only those on screen are ever drawn.

Rows are items under keys; `draw` makes an item's cells when its line is painted, so that filling costs nothing. Lines
that look as before are not painted again, and a line that has been seen in the same look is not composed again. Columns
share the width there is, and the least needed go first when it is short. Cells are plain text with a tone; markup in
them means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any, ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ...core.plain import printable
from ..glyphs import Cell, Glyphs

GAP = 2
"""Cells between columns."""
MOST_LINES = 2000
"""Composed lines that are kept."""
NOTHING = Cell("")
TONES = ("good", "bad", "warn", "busy", "dim", "strong")


class Column(NamedTuple):
    """One column: at least `width` cells and its `share` of what is left; given up in the order of `rank`, 0 never."""

    title: str
    width: int
    share: int = 0
    rank: int = 0
    right: bool = False


class Look(NamedTuple):
    """What a line shows; lines of the same look are the same."""

    cells: tuple[Cell, ...] = ()
    ground: str = "row"
    """`row`, `cursor` or `head`."""
    mark: bool = False
    columns: bool = True
    """False for a text that goes over all columns."""


class Table(ScrollView, can_focus=True):
    """Rows with a cursor; `Moved` tells where it is, `Chosen` that enter or a second click was meant for a row."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head", "table--cursor", *(f"table--{tone}" for tone in TONES),
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("home,g", "edge(False)", show=False),
        Binding("end,G", "edge(True)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row; None where there is none."""

        def __init__(self, table: Table, key: str | None) -> None:
            self.table, self.key = table, key
            super().__init__()

        @property
        def control(self) -> Table:
            """The table."""
            return self.table

    class Chosen(Moved):
        """A row was meant."""

    def __init__(
        self,
        columns: Sequence[Column],
        draw: Callable[[Any], Sequence[Cell | str]],
        glyphs: Glyphs,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.draw = draw
        self.glyphs = glyphs
        self.items: Mapping[str, Any] = {}
        self.keys: Sequence[str] = ()
        self.titles: dict[str, str] = {}
        """What is put behind a column's title, such as the sign of the sort."""
        self._message = NOTHING
        self._cursor = 0
        self._widths: tuple[int, ...] = ()
        self._painted: dict[int, Look] = {}
        """What stands in each line of the widget."""
        self._lines: dict[Look, Strip] = {}
        """Lines composed before, as wide and in such styles as now."""
        self._styles: dict[str, Style] = {}
        """Grounds and tones; empty until they are asked for again."""
        self._composed_in: dict[str, Style] = {}

    @property
    def key(self) -> str | None:
        """The key under the cursor."""
        return self.keys[self._cursor] if self._cursor < len(self.keys) else None

    @property
    def item(self) -> Any:
        """What is under the cursor, None where there is no row."""
        return None if self.key is None else self.items[self.key]

    @property
    def titles_shown(self) -> list[str]:
        """The titles of the columns for which there is room."""
        return [column.title for column, width in zip(self.columns, self._widths, strict=False) if width]

    def show(self, items: Mapping[str, Any], keys: Sequence[str], message: Cell = NOTHING) -> None:
        """Show these keys' items, in this order, or the message where there are none.

        The cursor stays on its key, or where it was.
        """
        self._message = message
        before = self.key
        self.items, self.keys = items, keys
        if before is not None and (self._cursor >= len(keys) or keys[self._cursor] != before):
            self._cursor = keys.index(before) if before in keys else min(self._cursor, len(keys) - 1)
        self._cursor = max(0, self._cursor)
        self.virtual_size = Size(self.size.width, len(keys) + 1)
        if self.key != before:
            self._reveal()
            self.post_message(self.Moved(self, self.key))
        self.renew()

    def renew(self) -> None:
        """Repaint the lines that look otherwise by now; nobody says when one that tells the time does."""
        for y in range(self.size.height):
            if self._painted.get(y) != self._look(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def go(self, key: str) -> None:
        """Put the cursor on a key, if it is there."""
        if key in self.keys:
            self._move_to(self.keys.index(key))

    # -- moving --------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._move_to(self._cursor + by)

    def action_page(self, by: int) -> None:
        """A screen up or down."""
        self._move_to(self._cursor + by * max(1, self.size.height - 2))

    def action_edge(self, last: bool) -> None:
        """To the first or the last row."""
        self._move_to(len(self.keys) - 1 if last else 0)

    def action_choose(self) -> None:
        """The row under the cursor is meant."""
        if self.key is not None:
            self.post_message(self.Chosen(self, self.key))

    def on_click(self, event: events.Click) -> None:
        """The row under the mouse; twice means enter."""
        if event.y == 0 or not self.keys:
            return
        self._move_to(event.y - 1 + int(self.scroll_y))
        if event.chain > 1:
            self.action_choose()

    def _move_to(self, index: int) -> None:
        index = max(0, min(index, len(self.keys) - 1))
        if index == self._cursor or not self.keys:
            return
        self._cursor = index
        self._reveal()
        self.renew()
        self.post_message(self.Moved(self, self.key))

    def _reveal(self) -> None:
        first, room = int(self.scroll_y), max(1, self.size.height - 1)
        if self._cursor < first:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= first + room:
            self.scroll_to(y=self._cursor - room + 1, animate=False, force=True)

    # -- painting ------------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Share the width out anew."""
        self.virtual_size = Size(event.size.width, len(self.keys) + 1)
        self._widths = _widths(self.columns, event.size.width - 2)
        self._lines.clear()
        self._painted.clear()
        self._reveal()

    def render_line(self, y: int) -> Strip:
        """One line: the titles stay on top."""
        look = self._painted[y] = self._look(y)
        styles = self._current_styles()
        if look not in self._lines:
            if len(self._lines) >= MOST_LINES:
                self._lines.clear()
            self._lines[look] = self._compose_line(look, styles)
        return self._lines[look]

    def _look(self, y: int) -> Look:
        if y == 0:
            return Look(tuple(Cell(c.title + self.titles.get(c.title, "")) for c in self.columns), "head")
        if not self.keys:
            return self._message_at(y)
        index = y - 1 + int(self.scroll_y)
        if index >= len(self.keys):
            return Look()
        cells = tuple(
            cell if isinstance(cell, Cell) else Cell(cell) for cell in self.draw(self.items[self.keys[index]])
        )
        mark = index == self._cursor
        return Look(cells, "cursor" if mark and self.has_focus_within else "row", mark)

    def _message_at(self, y: int) -> Look:
        """A line of the message, which stands in the middle."""
        room = max(1, self.size.width - 4)
        lines = [piece for line in self._message.text.splitlines() for piece in wrap(line, room)]
        at = y - max(1, (self.size.height - len(lines)) // 2)
        text = lines[at].center(self.size.width - 1) if 0 <= at < len(lines) else ""
        return Look((Cell(text, self._message.tone),), columns=False)

    def _compose_line(self, look: Look, styles: Mapping[str, Style]) -> Strip:
        ground = styles[look.ground]
        segments = [Segment(self.glyphs.draw("▸") if look.mark else " ", ground)]
        widths = self._widths if look.columns else (self.size.width - 1,)
        rights = (column.right for column in self.columns)
        for cell, size, right in zip(look.cells, widths, rights, strict=False):
            if size:
                text = fitted(self.glyphs.draw(printable(cell.text)), size, right=right)
                toned = ground + styles[cell.tone] if cell.tone else ground
                segments += [Segment(text, toned), Segment(" " * GAP, ground)]
        return Strip(segments).adjust_cell_length(self.size.width, ground)

    def _current_styles(self) -> Mapping[str, Style]:
        """Grounds, and tones with their own colour and weight alone; lines in other styles are forgotten."""
        if not self._styles:
            for tone in TONES:
                style = self.get_component_rich_style(f"table--{tone}", partial=True)
                self._styles[tone] = Style(color=style.color, bold=style.bold, dim=style.dim)
            for ground in ("head", "cursor"):
                self._styles[ground] = self.get_component_rich_style(f"table--{ground}")
            self._styles["row"] = self.rich_style
            if self._styles != self._composed_in:
                self._lines.clear()
                self._composed_in = dict(self._styles)
        return self._styles

    def notify_style_update(self) -> None:
        """Perhaps other colours from now on."""
        super().notify_style_update()
        self._styles.clear()


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly so many cells; what is cut is marked.

    >>> fitted("abcdef", 4), fitted("ab", 4, right=True)
    ('abc…', '  ab')
    """
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if right else text + " " * (width - length)


def _widths(columns: Sequence[Column], width: int) -> tuple[int, ...]:
    """Cells for each column, 0 for one given up; what is left over goes by share."""
    kept = list(columns)
    while sum(column.width + GAP for column in kept) - GAP > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    spare = max(0, width - sum(column.width + GAP for column in kept) + GAP)
    shares = sum(column.share for column in kept) or 1
    return tuple(column.width + spare * column.share // shares if column in kept else 0 for column in columns)
