"""A mode that is a list: a table, a filter that narrows it as it is typed, and a pane beside it where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from textual import events, on
from textual.containers import Horizontal
from textual.reactive import Reactive
from textual.widget import Widget

from ..glyphs import Cell
from ..widgets.table import Table
from .mode import Mode

if TYPE_CHECKING:
    from ..widgets.filterline import FilterLine


TICK_SECONDS = 1.0
"""Between looks at what time alone has changed: ages, and how long something takes."""


class Listing(Mode):
    """Subclasses make the `table`, say what `items` there are and by which `texts` they are found."""

    empty = ""
    """What to say where there is nothing."""
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """Textual's own paints the whole screen again for a widget that takes the keys."""
    in_detail = "esc back"
    """The keys of the detail."""
    _filter: FilterLine | None = None
    """Made when it is first wanted: its styles would cost the first paint a tenth."""

    def table(self) -> Table:
        """A new table, with the id `table`."""
        raise NotImplementedError

    def pane(self) -> Iterable[Widget]:
        """What stands beside the table on a wide screen."""
        return ()

    def items(self) -> Mapping[str, Any] | None:
        """All there is, by key; None while nobody knows."""
        raise NotImplementedError

    def texts(self) -> Mapping[str, str]:
        """The text that the filter looks through for each key, in lower case."""
        raise NotImplementedError

    def arranged(self, items: Mapping[str, Any]) -> Iterable[str]:
        """The keys in the order to show them."""
        return items

    def body(self) -> Iterable[Widget]:
        """The table, the pane, and the filter under them."""
        with Horizontal(id="panes"):
            yield self.table()
            yield from self.pane()

    def on_mount(self) -> None:
        """Let the clocks go on."""
        self.set_interval(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        if self.is_current:
            self.rows.renew()
            self.tick()

    def tick(self) -> None:
        """Show in the pane what time has changed."""

    @property
    def rows(self) -> Table:
        """The table."""
        return self.query_one("#table", Table)

    @property
    def typed(self) -> str:
        """What the filter says."""
        return self._filter.value if self._filter is not None else ""

    def problem(self) -> str:
        """Why it cannot be told what there is; empty where it can."""
        return self.board.problems.get(self.mode, "")

    def news(self) -> None:
        """Show what there is."""
        self.fill()

    def fill(self) -> None:
        """Fill the table, as filtered and sorted."""
        items = self.items()
        self.rows.show(items or {}, self._found(items or {}), self._message(items))
        self.keys()

    def keys(self) -> None:
        """Grey the keys that do nothing now; before them stands how a detail is left, or the filter that was kept."""
        super().keys()
        if self.has_class("-detail"):
            self.bar.remind(self.in_detail)
        elif self.typed:
            self.bar.remind(f"/{self.typed}  {len(self.rows.keys)} of {len(self.items() or {})}  esc clears")
        else:
            self.bar.remind("")

    def _message(self, items: Mapping[str, Any] | None) -> Cell:
        """What to say where there is no row."""
        if problem := self.problem():
            return Cell(problem, "bad")
        return Cell("loading…" if items is None else self.empty if not items else "nothing has these words", "dim")

    def _found(self, items: Mapping[str, Any]) -> list[str]:
        words = self.typed.casefold().split()
        found = list(self.arranged(items))
        texts = self.texts() if words else {}
        for word in words:
            found = [key for key in found if word in texts.get(key, "")]
        return found

    def do_filter(self) -> None:
        """Open the filter; it takes what is typed from now on, mounted or not yet."""
        from ..widgets.filterline import FilterLine

        if self._filter is None:
            self._filter = FilterLine("filter")
            self.mount(self._filter)
        self._filter.open()

    def on_input_changed(self) -> None:
        """Narrow the rows as one types."""
        self.fill()

    def on_input_submitted(self) -> None:
        """Keep what was typed, and go back to the rows."""
        self.rows.focus()
        self._close()

    def on_input_blurred(self) -> None:
        """The same where the mouse goes elsewhere; not where another window does."""
        if self.focused is not None:
            self._close()

    def _close(self) -> None:
        if self._filter is not None:
            self._filter.close()
            self.keys()

    def _end_filter(self, line: FilterLine) -> None:
        self.rows.focus()
        line.end()

    def do_detail(self) -> None:
        """What the cursor is on, on the whole screen."""
        self.add_class("-detail")
        self.query_one(".pane").focus()
        self.keys()
        self.call_after_refresh(self.moved)

    def on_key(self, event: events.Key) -> None:
        """Escape ends the filter; the arrows move in the table while one types."""
        if event.key == "escape" and self._filter is not None and self._filter.is_open:
            event.stop()
            self._end_filter(self._filter)
        elif event.key == "escape" and self.has_class("-detail"):
            event.stop()
            self.remove_class("-detail")
            self.rows.focus()
            self.keys()
        elif event.key == "escape" and self._filter is not None and self.typed:
            event.stop()
            self._end_filter(self._filter)
        elif event.key in {"up", "down"} and self._filter is not None and self._filter.has_focus:
            event.stop()
            self.rows.action_move(-1 if event.key == "up" else 1)

    @on(Table.Moved, "#table")
    def _moved(self) -> None:
        self.keys()
        self.moved()

    @on(Table.Chosen, "#table")
    def _chosen(self) -> None:
        self.action_do("detail")

    def moved(self) -> None:
        """The cursor is on another row."""
