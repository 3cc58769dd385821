"""One server in full: its state layer by layer, and its profile with the file of each value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ...core import words
from ...errors import JupyterctlError
from ...model import Facts
from ...paths import tilde
from ..glyphs import STYLES, Cell, server
from .facts import facts, heading, put

if TYPE_CHECKING:
    from ...core.profiles import Value
    from ...core.session import Session
    from ...core.status import Status
    from ..app import Dashboard

PATIENCE_SECONDS = 0.1
"""How long the cursor rests on a row before it is shown."""
TOLD_SECONDS = 5.0
"""How often a server's place is asked what it says of it, while it is looked at."""


class ServerView(VerticalScroll, can_focus=True):
    """The server, the steps of its start while it starts, and its settings."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.status: Status | None = None
        self.values: list[Value] = []
        self.told = Facts()
        """What the place says of the server beside its state."""
        self._timer: Any = None
        self._read_for = ""
        """The server whose profile is shown, or will be."""

    @property
    def board(self) -> Dashboard:
        """The app."""
        return cast("Dashboard", self.app)

    def on_mount(self) -> None:
        """Ask again from time to time."""
        self.set_interval(TOLD_SECONDS, self._ask)

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(id="text")

    def show(self, status: Status | None) -> None:
        """Show a server once the cursor rests on it."""
        other = (status and status.name) != (self.status and self.status.name)
        self.status = status
        if other:
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(PATIENCE_SECONDS, self._rested)
        elif self._timer is None:
            self._rested()

    def tick(self) -> None:
        """Tell the ages of now."""
        if self._timer is None:
            self._rested()

    def on_resize(self) -> None:
        """Wrap the lines anew; one that has just come into view has not been drawn yet."""
        self.tick()

    def _rested(self) -> None:
        self._timer = None
        if not self.is_on_screen:
            return
        if self.status is not None and self.status.name != self._read_for:
            self.values, self.told, self._read_for = [], Facts(), self.status.name
            self.board.background(self._values(self.status.name))
            self._ask()
        self._draw()

    async def _values(self, name: str) -> None:
        def values(session: Session) -> list[Value]:
            return session.profile_values(session.server_profile(name))

        try:
            found = await self.board.sessions.ask(values)
        except JupyterctlError:
            return  # what is wrong with it stands in its row
        if self.status is not None and self.status.name == name:
            self.values = found
            self._draw()

    def _ask(self) -> None:
        """Have the place asked, if the server is seen and is known to have a way."""
        if self.status is not None and self.is_on_screen and self.status.link.state and self.status.state != "stopped":
            self.board.background(self._tell(self.status.name))

    async def _tell(self, name: str) -> None:
        try:
            found = await self.board.sessions.ask(lambda session: session.facts(name))
        except JupyterctlError:
            return  # how the server is stands in its row
        if self.status is not None and self.status.name == name and found != self.told:
            self.told = found
            self._draw()

    def _draw(self) -> None:
        text = Content("")
        if self.status is not None:
            parts = [self._facts(self.status), self._phases(self.status.name), self._events(), self._settings()]
            text = Content("\n\n").join(part for part in parts if part)
        put(self.query_one("#text", Static), text)

    def _facts(self, status: Status) -> Content:
        known, counts = status.health.kernels, kernels(status)
        active = words.ago(known.last_activity) if known else ""
        pairs: list[tuple[str, Cell | str]] = [
            ("server", Cell(status.name, "strong")),
            ("state", self._state(status)),
            ("error", Cell(status.error or "", "bad")),
            ("kind", status.kind or ""),
            ("place", status.place or ""),
            ("address", status.link.url or ""),
            ("link", status.link.state or ""),
            ("carried by", status.link.way or ""),
            ("round trip", f"{status.link.round_trip * 1000:.0f} ms" if status.link.round_trip else ""),
            ("fix", Cell(status.fix or "", "warn")),
            ("way", status.health.way or ""),
            ("http", status.health.http or ""),
            ("kernels", f"{counts}, last active {active}" if active else counts),
            ("folder", tilde(Path(status.root)) if status.root else ""),
            ("since", f"{status.since} ({words.ago(status.since)})" if status.since else ""),
            ("version", f"JupyterLab {status.version}" if status.version else ""),
            *self.told.values.items(),
        ]
        return facts(pairs, self.board.glyphs, self.size.width)

    def _state(self, status: Status) -> Cell:
        """As its row has it: what is being done with it comes first."""
        doing, _, _ = self.board.phases.get(status.name, "").partition(": ")
        return Cell(f"◐ {doing}", "busy") if doing else how(status)

    def _phases(self, name: str) -> Content:
        steps = self.board.steps.get(name, [])
        if not steps:
            return Content("")
        lines = [heading("Steps")]
        for phase in steps:
            glyph = {"done": Cell("✓", "good"), "failed": Cell("✗", "bad")}.get(phase.state, Cell("◐", "busy"))
            said = "; ".join(filter(None, (phase.detail, phase.hint)))
            text = f"{glyph.text} {phase.name:<12} {words.seconds(phase.seconds):>8}  {said}"
            lines.append(Content.styled(self.board.glyphs.draw(text), STYLES[glyph.tone]))
        return Content("\n").join(lines)

    def _events(self) -> Content:
        if not self.told.events:
            return Content("")
        return Content("\n").join([heading("Events"), *map(Content, self.told.events)])

    def _settings(self) -> Content:
        if not self.values:
            return Content("")
        lines = [heading("Profile")]
        for value in self.values:
            source = value.file.name if value.file else "default"
            tone = STYLES["dim"] if value.file is None else ""
            name, origin = (f"{value.key:<20} ", STYLES["dim"]), (f"  {source}", STYLES["dim"])
            lines.append(Content.assemble(name, (value.text, tone), origin))
        return Content("\n").join(lines)


def kernels(status: Status) -> str:
    """How many kernels are busy and idle."""
    known = status.health.kernels
    if known is None:
        return ""
    counts = [f"{count} {word}" for count, word in ((known.busy, "busy"), (known.idle, "idle")) if count]
    return ", ".join(counts) or "none"


def how(status: Status) -> Cell:
    """The state of a server; of one that nobody has asked yet, that it is not connected."""
    if status.state == "unknown" and not status.error:
        return Cell("○ unconnected", "dim")
    return server(status.state)
