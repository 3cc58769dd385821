"""Mode Runs: every run, live, and what can be done with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from textual.widget import Widget

from ...core import words
from ...model import Outline, RunState
from .. import actions, glyphs, running
from ..glyphs import Cell
from ..widgets.runview import RunView
from ..widgets.table import Column, Table
from .listing import Listing

COLUMNS = (
    Column("RUN", 16, 2),
    Column("STATE", 15),
    Column("TARGET", 10, 1, 4),
    Column("CELLS", 14, 0, 3),
    Column("TIME", 10, right=True),
    Column("MADE", 10, 0, 2, right=True),
    Column("NOTEBOOK", 16, 2, 6),
    Column("PARAMETERS", 12, 3, 5),
)
ORDER = {state: number for number, state in enumerate(RunState)}
SORTS: dict[str, Callable[[Outline], Any]] = {
    "RUN": attrgetter("id"),
    "STATE": lambda run: ORDER[run.state],
    "TARGET": attrgetter("target"),
    "TIME": lambda run: -(run.seconds or 0.0),
    "NOTEBOOK": attrgetter("notebook"),
}
"""Column to what it is sorted by; without one the newest is first."""
WELL = {RunState.SUCCEEDED, RunState.CANCELLED}
"""Ends that nobody need look into."""
BAR = 6


class Runs(Listing):
    """The list of runs."""

    mode = "runs"
    CSS_PATH = "../runs.tcss"
    BINDINGS: ClassVar[list[Any]] = actions.bindings("runs")
    empty = "No runs yet: n runs a notebook."
    in_detail = "enter output  esc back"

    def __init__(self) -> None:
        super().__init__()
        self.sort = ""
        """The column it is sorted by."""
        self._sorted: tuple[Mapping[str, Outline], str, list[str]] = ({}, "", [])
        """The runs that were sorted, the column, and their ids in that order."""

    def table(self) -> Table:
        """State, cells, time."""
        return Table(COLUMNS, self._row, self.board.glyphs, id="table")

    def pane(self) -> Iterable[Widget]:
        """The run under the cursor."""
        yield RunView(classes="pane")

    def items(self) -> Mapping[str, Outline] | None:
        """All runs."""
        return self.board.runs

    def texts(self) -> Mapping[str, str]:
        """Id, state, target, notebook, sweep and parameters."""
        return self.board.texts

    def arranged(self, items: Mapping[str, Outline]) -> Iterable[str]:
        """By the chosen column."""
        if not self.sort:
            return items
        of, by, names = self._sorted
        if of is not items or by != self.sort:
            column = dict(zip(items, map(SORTS[self.sort], items.values()), strict=True))
            names = sorted(items, key=column.__getitem__)
            self._sorted = (items, self.sort, names)
        return names

    def subject(self) -> str:
        """The run under the cursor."""
        return self.rows.key or ""

    def _row(self, run: Outline) -> list[Cell | str]:
        cells = run.waiting
        if run.cells.total:
            counted = f"{run.cells.done}/{run.cells.total}"
            cells = counted if run.state.ended else f"{glyphs.bar(run.cells.done, run.cells.total, BAR)} {counted}"
        took = words.seconds(run.seconds if run.state.ended else words.since(run.started))
        return [
            Cell(run.id, "strong"),
            glyphs.run(run),
            run.target,
            Cell(cells, "dim" if run.state.ended else "busy"),
            Cell("waits", "busy") if run.waiting else took,
            Cell(words.ago(run.created).removesuffix(" ago"), "dim"),
            Path(run.notebook).name,
            Cell(words.parameters(run), "dim"),
        ]

    def news(self) -> None:
        """The rows, the counts, the pane."""
        super().news()
        if self.board.wanted_run in self.rows.keys:
            self.rows.go(self.board.wanted_run)
            self.board.wanted_run = ""
        known = list((self.board.runs or {}).values())
        live = sum(not run.state.ended for run in known)
        failed = sum(run.state.ended and run.state not in WELL for run in known)
        all_ = "1 run" if len(known) == 1 else f"{len(known)} runs"
        self.count(f"{live} live   {failed} failed   {all_}" if known else "")
        self.moved()

    def tick(self) -> None:
        """Show how long the run goes on."""
        self.query_one(RunView).tick()

    def moved(self) -> None:
        """Show the run under the cursor."""
        self.query_one(RunView).show(self.rows.item)

    # -- what can be done ------------------------------------------------------------------------------------------

    def why_not(self, name: str) -> str:
        """Live runs can be cancelled, ended ones removed, failed ones looked into."""
        if name in {"new", "filter", "sort"}:
            return ""
        run: Outline | None = self.rows.item
        if run is None:
            return "there is no run here"
        reasons = {
            "cancel": f"`{run.id}` has ended: {run.state}" if run.state.ended else "",
            "remove": "" if run.state.ended else f"`{run.id}` goes on; cancel it first",
            "failing": f"no cell of `{run.id}` has failed" if run.error is None or run.error.cell is None else "",
            "open": "" if run.started else f"`{run.id}` has no result yet",
        }
        return reasons.get(name, "")

    def do_new(self) -> None:
        """Run a notebook."""
        from .run_form import RunForm

        self.app.push_screen(RunForm())

    async def do_cancel(self) -> None:
        """Ask, and end the run."""
        await running.cancel(self.board, self.subject())

    async def do_again(self) -> None:
        """Run it again, and go to the new run."""
        await running.again(self.board, self.subject())

    async def do_open(self) -> None:
        """Its result as a page."""
        await running.open_report(self.board, self.subject())

    async def do_remove(self) -> None:
        """Ask, and forget it."""
        await running.remove(self.board, self.subject())

    def do_log(self) -> None:
        """Follow what it prints."""
        self.board.follow("run", self.subject())

    def do_failing(self) -> None:
        """To the cell that failed."""
        self.do_detail()
        self.query_one(RunView).go_to_failure()

    def do_sort(self) -> None:
        """By the next column that is shown, at last by age again."""
        names = list(SORTS)
        shown = self.rows.titles_shown
        later = names[names.index(self.sort) + 1 :] if self.sort else names
        self.sort = next((name for name in later if name in shown), "")
        self.rows.titles = {self.sort: " ▾"} if self.sort else {}
        self.fill()
        self.moved()
