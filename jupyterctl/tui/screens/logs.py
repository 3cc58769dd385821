"""Mode Logs: what a server logs or a run's cells print, as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.worker import Worker

from ...core.progress import Printed
from ...errors import JupyterctlError
from .. import actions
from ..widgets.filterline import FilterLine
from ..widgets.logview import LogView
from .dialogs import Pick
from .mode import Mode

if TYPE_CHECKING:
    from ...core.session import Session


class Logs(Mode):
    """One log at a time."""

    mode = "logs"
    CSS_PATH = "../logs.tcss"
    BINDINGS: ClassVar[list[Any]] = actions.bindings("logs")

    def __init__(self) -> None:
        super().__init__()
        self.shown: tuple[str, str] | None = None
        self.found = ""
        """What the search has found."""
        self._follower: Worker[Any] | None = None

    def body(self) -> Iterable[Widget]:
        """What it is the log of, the log, and the search under it."""
        yield Static(id="source")
        yield LogView(self.board.glyphs, id="panes")
        yield Static(id="empty")
        yield FilterLine("search")

    def on_mount(self) -> None:
        """Tell at once whether the log is followed."""
        self.watch(self.view, "following", self._title, init=False)

    @property
    def view(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    @property
    def search(self) -> FilterLine:
        """The line one types in what to look for."""
        return self.query_one(FilterLine)

    def subject(self) -> str:
        """The server or run."""
        return self.shown[1] if self.shown else ""

    def command_for(self, action: actions.Action) -> str:
        """A run's log has a command of its own."""
        kind = self.shown[0] if self.shown else ""
        line = super().command_for(action)
        return line.replace("jupyterctl logs", "jupyterctl runs logs") if kind == "run" else line

    def news(self) -> None:
        """Follow what was asked for since."""
        super().news()
        wanted = self.board.source
        self.set_class(wanted is None, "-empty")
        self.query_one("#empty", Static).update("No log is open: p picks one, l on a server or a run opens its own.")
        if wanted != self.shown and wanted is not None:
            self.shown = wanted
            self._open(*wanted)
        self._title()

    def _open(self, kind: str, name: str) -> None:
        if self._follower is not None:
            self._follower.cancel()
        self.view.restart()
        self.view.focus()
        self._follower = self.board.background(self._follow(kind, name))

    async def _follow(self, kind: str, name: str) -> None:
        pieces = _run_log if kind == "run" else _server_log
        try:
            async for batch in self.board.sessions.stream(lambda session: pieces(session, name)):
                if text := "".join(batch):
                    self.view.feed(text)
                    self._title()
        except JupyterctlError as error:
            self.view.add(filter(None, ("", error.message, error.hint)))
        self.view.flush()
        self._title()

    def _title(self) -> None:
        if self.shown is None:
            return
        kind, name = self.shown
        state = "following" if self.view.following else "paused: end follows again"
        wrap = ", wrapped" if self.view.wrap else ""
        line = f"{kind} {name}  ·  {self.view.line_count} lines  ·  {state}{wrap}{self.found}"
        self.query_one("#source", Static).update(Content(self.board.glyphs.draw(line)))

    # -- what can be done ------------------------------------------------------------------------------------------

    def why_not(self, name: str) -> str:
        """All but picking need a log; going on needs a text."""
        if name == "source":
            return ""
        if self.shown is None:
            return "no log is open"
        if name in {"next", "previous"} and not self.search.value:
            return "search for something first"
        return ""

    async def do_source(self) -> None:
        """Pick a server or a run."""
        servers = [(f"server {name}", f"server {name}") for name in self.board.servers or {}]
        runs = [
            (f"run {name}", f"run {name}  {run.state}") for name, run in list((self.board.runs or {}).items())[:500]
        ]
        picked = await self.app.push_screen_wait(Pick("Whose log?", [*servers, *runs]))
        if picked:
            kind, _, name = picked.partition(" ")
            self.board.source = (kind, name)
            self.news()

    def do_filter(self) -> None:
        """Open the search."""
        self.search.open()

    def do_next(self) -> None:
        """The next place."""
        self._find(forward=True, again=True)

    def do_previous(self) -> None:
        """The place before."""
        self._find(forward=False, again=True)

    def do_wrap(self) -> None:
        """Wrap, or do not."""
        self.view.toggle_wrap()
        self._title()

    def do_follow(self) -> None:
        """To the end, and stay there."""
        self.view.to_end()
        self._title()

    async def do_save(self) -> None:
        """Write the whole log, not only what is kept here, to a file in the working directory."""
        assert self.shown is not None  # noqa: S101 - why_not has seen to it
        kind, name = self.shown
        file = await self.board.sessions.ask(lambda session: _save(session, kind, name))
        self.board.say(f"saved as {file}")

    @on(Input.Changed, "#filter")
    def _typed(self) -> None:
        self._find(forward=False, again=False)

    @on(Input.Submitted, "#filter")
    def _entered(self) -> None:
        self.view.focus()
        self.search.close()

    @on(Input.Blurred, "#filter")
    def _left(self) -> None:
        if self.focused is not None:
            self.search.close()

    def on_key(self, event: events.Key) -> None:
        """Escape ends the search, else it leads back to where the log was opened."""
        if event.key == "escape" and (self.search.is_open or self.search.value):
            event.stop()
            self.view.focus()
            self.search.end()
        elif event.key == "escape" and self.board.came_from:
            event.stop()
            self.board.action_mode(self.board.came_from)
        self.call_after_refresh(self._title)

    def _find(self, *, forward: bool, again: bool) -> None:
        wanted = self.search.value
        count = self.view.find(wanted, forward=forward, again=again)
        self.found = f"  ·  {count or 'no'} {'line' if count == 1 else 'lines'} with `{wanted}`" if wanted else ""
        self._title()
        self.keys()


def _run_log(session: Session, name: str) -> Iterator[str]:
    printed = Printed()
    for _, event in session.follow(session.find_run(name)):
        yield printed.take(event) if event is not None and event["event"] == "output" else ""


def _server_log(session: Session, name: str) -> Iterator[str]:
    news = session.follow_server_log(name)
    began = next(news, "")  # where it goes on from is settled before what there is already is read
    yield session.server_log(name)
    yield began
    yield from news


def _save(session: Session, kind: str, name: str) -> Path:
    if kind == "run":
        outputs = (event for event in session.events(session.run(name)) if event["event"] == "output")
        text = "".join(map(Printed().take, outputs))
    else:
        text = session.server_log(name, 10**9)
    file = session.cwd / f"{name}.log"
    number = 1
    while file.exists():
        number += 1
        file = session.cwd / f"{name}-{number}.log"
    file.write_text(text, encoding="utf-8")
    return file
