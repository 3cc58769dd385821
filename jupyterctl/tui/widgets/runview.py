"""One run in full: how it stands, its cells as they are executed, and what the cell under the cursor put out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static
from textual.worker import Worker

from ...core import words
from ...core.plain import tame
from ...core.progress import Printed, past
from ...model import Event, Outline, Run
from ...paths import tilde
from ..glyphs import CELLS, Cell, bar, run
from .facts import facts, put
from .preview import preview
from .table import Column, Table

if TYPE_CHECKING:
    from ...core.outputs import ResultCell
    from ..app import Dashboard

PATIENCE_SECONDS = 0.1
"""How long the cursor rests on a run before it is shown."""
BAR = 24
COLUMNS = (Column("", 1), Column("IN", 4, right=True), Column("CELL", 16, 1), Column("TIME", 10, right=True))


class CellLine(Struct):
    """One executed cell."""

    number: int
    index: int
    source: str
    status: str = ""
    """Empty while it runs."""
    seconds: float = 0.0
    began: float = 0.0
    """On the monotonic clock of this process."""
    outputs: list[Event] = []


class Journal:
    """The cells of a run, built from its events."""

    def __init__(self) -> None:
        self.cells: dict[str, CellLine] = {}
        self.total = 0
        self.seen = 0
        """Events so far."""
        self._current: CellLine | None = None

    def take(self, event: Event) -> None:
        """One more event; a retry begins anew."""
        kind = event["event"]
        self.seen += 1
        if kind == "started":
            self.cells, self.total, self._current = {}, event.get("cells", 0), None
        elif kind == "cell":
            began = time.monotonic() - past(event)
            line = CellLine(len(self.cells) + 1, event["index"], event["source"], began=began)
            self.cells[str(event["index"])] = self._current = line
        elif kind == "output" and self._current is not None:
            self._current.outputs.append(event)
        elif kind == "cell-done" and self._current is not None:
            self._current.status, self._current.seconds = event["status"], event["seconds"]

    @property
    def done(self) -> int:
        """Cells that have ended well."""
        return sum(cell.status == "ok" for cell in self.cells.values())


class RunView(Vertical, can_focus=False):
    """The run, followed for as long as it is shown."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.outline: Outline | None = None
        self.run: Run | None = None
        self.journal = Journal()
        self.result: list[ResultCell] = []
        """The cells of the result, once the run has ended."""
        self._follower: Worker[Any] | None = None
        self._timer: Any = None
        self._to_failure = False
        self._shows: tuple[Any, ...] | None = None
        """What the output is drawn from: drawing tables and pictures takes its time."""
        self._place: tuple[Any, ...] | None = None
        """For what it was scrolled to its beginning; of a failed cell to its end, where the exception stands."""

    @property
    def board(self) -> Dashboard:
        """The app."""
        return cast("Dashboard", self.app)

    def compose(self) -> ComposeResult:
        """Facts, cells, output."""
        yield Static(id="facts")
        yield Table(COLUMNS, self._row, self.board.glyphs, id="cells")
        with VerticalScroll(id="output"):
            yield Static(id="output-text")

    def focus(self, scroll_visible: bool = True, from_app_focus: bool = False) -> RunView:  # noqa: ARG002
        """The cells take the keys."""
        self.query_one("#cells").focus()
        return self

    def show(self, outline: Outline | None) -> None:
        """Show a run; it is followed once the cursor rests on it."""
        other = (outline and outline.id) != (self.outline and self.outline.id)
        self.outline = outline
        if other:
            self._let_go()
            self._to_failure = True
            self._timer = self.set_timer(PATIENCE_SECONDS, self._begin)
        elif self._timer is None:
            self._begin()

    def go_to_failure(self) -> None:
        """Put the cursor on the cell that failed, as soon as it is known."""
        self._to_failure = True
        self._draw_cells()

    def tick(self) -> None:
        """Tell the time that has passed."""
        if self._timer is None and self.is_on_screen:
            put(self.query_one("#facts", Static), self._facts())
            self.query_one("#cells", Table).renew()

    def on_resize(self) -> None:
        """Wrap the lines and share the height out anew; what has just come into view is followed at once."""
        if self._timer is None:
            self._begin()

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self._let_go()

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._follower is not None:
            self._follower.cancel()
        self._follower = self._timer = self.run = None
        self.journal, self.result = Journal(), []

    def _begin(self) -> None:
        self._timer = None
        if not self.is_on_screen:
            return
        self._draw()
        if self.outline is not None and self._follower is None:
            self._follower = self.board.background(self._follow(self.outline.id))

    async def _follow(self, name: str) -> None:
        async for batch in self.board.sessions.stream(lambda session: session.follow(session.find_run(name))):
            for current, event in batch:
                self.run = current
                if event is not None:
                    self.journal.take(event)
            if self.is_attached:
                self._draw()
        if self.run is not None:
            ended = self.run
            self.result = await self.board.sessions.ask(lambda session: session.result_cells(ended))
            self._draw_output()

    # -- painting --------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        put(self.query_one("#facts", Static), self._facts())
        self._draw_cells()

    def _draw_cells(self) -> None:
        table = self.query_one("#cells", Table)
        cells = self.journal.cells
        at_end = table.key is None or table.key == next(reversed(table.keys), None)
        table.show(cells, list(cells))
        error = self.run.error if self.run else None
        if self._to_failure and error is not None and error.cell is not None and str(error.cell) in cells:
            table.go(str(error.cell))
            self._to_failure = False
        elif at_end and self.run is not None and not self.run.state.ended:
            table.action_edge(last=True)
        table.styles.height = min(len(cells) + 1, max(4, self.size.height // 2 - 3)) if cells else 0
        self._draw_output()

    def _row(self, cell: CellLine) -> list[Cell | str]:
        glyph = CELLS.get(cell.status, Cell("◐", "busy"))
        took = cell.seconds if cell.status else time.monotonic() - cell.began
        return [glyph, Cell(f"[{cell.number}]", "dim"), cell.source, Cell(words.seconds(took), "dim")]

    def _facts(self) -> Content:
        shown = self.run or self.outline
        if shown is None:
            return Content("")
        total = self.journal.total or shown.cells.total
        done = self.journal.done or shown.cells.done
        pairs: list[tuple[str, Cell | str]] = [("run", Cell(shown.id, "strong")), ("state", run(shown))]
        if not shown.state.ended and total:
            pairs.append(("progress", Cell(f"{bar(done, total, BAR)} {done} of {total}", "busy")))
        elif total:
            pairs.append(("cells", f"{done} of {total}"))
        pairs += [
            ("waits", Cell(shown.waiting, "busy")),
            ("error", Cell(words.failure(shown), "bad")),
            ("time", words.seconds(shown.seconds if shown.state.ended else words.since(shown.started))),
            ("notebook", tilde(Path(shown.notebook))),
            ("parameters", words.parameters(shown)),
            ("made", words.ago(shown.created)),
        ]
        return facts([*pairs, *self._more()], self.board.glyphs, self.query_one("#facts").size.width)

    def _more(self) -> list[tuple[str, Cell | str]]:
        if self.run is None:
            return []
        plan = self.run.plan
        result = self.run.output or ""
        return [
            ("target", f"{self.run.target}: {plan.place} ({plan.reason})" if plan else self.run.target),
            ("secrets", " ".join(self.run.secrets)),
            ("sweep", self.run.sweep or ""),
            ("attempt", str(self.run.attempt) if self.run.attempt > 1 else ""),
            ("result", result),
            ("undelivered", Cell(self.run.undelivered or "", "bad")),
        ]

    @on(Table.Moved, "#cells")
    def _moved(self, event: Table.Moved) -> None:
        event.stop()
        self._draw_output()

    @on(Table.Chosen, "#cells")
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.query_one("#output").focus()

    def _draw_output(self) -> None:
        cell: CellLine | None = self.query_one("#cells", Table).item
        state = (self.outline, self.journal.seen, bool(self.result), self.size.width)
        shows = None if cell is None else (cell.index, *state)
        if shows == self._shows:
            return
        self._shows = shows
        text = Text() if cell is None else self._output(cell)
        self.query_one("#output-text", Static).update(text)
        failed = cell is not None and cell.status == "error"
        place = (self.outline and self.outline.id, cell and cell.index, failed, bool(self.result))
        if place != self._place:
            self._place = place
            output = self.query_one("#output")
            (output.scroll_end if failed else output.scroll_home)(animate=False)

    def _output(self, cell: CellLine) -> RenderableType:
        """What the result has of a cell; until there is one, what its events told."""
        if cell.index < len(self.result):
            known = self.result[cell.index]
            source = Text(self.board.glyphs.draw(tame(known.source, colour=False)) + "\n", "dim")
            width, blocks = self.size.width - 2, not self.board.glyphs.ascii_only
            return Group(source, preview(known.outputs, width, blocks=blocks))
        text, printed = Text(), Printed()
        for event in cell.outputs:
            for part, about in printed.parts(event):
                text.append_text(Text(tame(part, colour=False), "cyan") if about else _coloured(part))
        return text


def _coloured(text: str) -> Text:
    """Text of a cell in the colours that it asks for."""
    return Text.from_ansi(tame(text, colour=True))
