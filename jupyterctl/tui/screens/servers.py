"""Mode Servers: every target with its server, each row filled by itself, and what can be done with one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual.widget import Widget

from ...core import words
from .. import actions, serving
from ..glyphs import Cell
from ..widgets.serverview import ServerView, how, kernels
from ..widgets.table import Column, Table
from .listing import Listing

if TYPE_CHECKING:
    from ...core.status import Status

COLUMNS = (
    Column("NAME", 14, 2),
    Column("STATE", 14),
    Column("KIND", 10, 0, 3),
    Column("KERNELS", 14, 0, 2),
    Column("ADDRESS", 22, 1, 4),
    Column("SINCE", 10, 0, 5),
    Column("PLACE", 16, 3, 6),
)

ALWAYS = {"edit", "check", "detail"}
"""What can be done with any profile."""
RUNNING = {"stop", "restart", "open", "log"}
"""What needs a server."""


class Servers(Listing):
    """The list of servers."""

    mode = "servers"
    BINDINGS: ClassVar[list[Any]] = actions.bindings("servers")
    empty = "No profiles yet: n makes one."

    def table(self) -> Table:
        """Name, state, kernels, address, place."""
        return Table(COLUMNS, self._row, self.board.glyphs, id="table")

    def pane(self) -> Iterable[Widget]:
        """The server under the cursor."""
        yield ServerView(classes="pane")

    def items(self) -> Mapping[str, Status] | None:
        """All servers."""
        return self.board.servers

    def texts(self) -> Mapping[str, str]:
        """Name, kind, state and place."""
        known = (self.board.servers or {}).items()
        return {name: f"{name} {one.kind} {one.state} {one.place}".casefold() for name, one in known}

    def subject(self) -> str:
        """The server under the cursor."""
        return self.rows.key or ""

    def _row(self, status: Status) -> list[Cell | str]:
        word, _, step = self.board.phases.get(status.name, "").partition(": ")
        state = Cell(f"◐ {word}", "busy") if word else how(status)
        return [
            Cell(status.name, "strong"),
            state,
            Cell(status.kind or "?", "dim"),
            Cell(step, "busy") if word else kernels(status),
            status.link.url or "",
            Cell(words.ago(status.since).removesuffix(" ago"), "dim"),
            Cell(trouble(status) or status.place or "", "bad" if status.error else "dim"),
        ]

    def news(self) -> None:
        """The rows, the counts, the pane."""
        super().news()
        if self.board.wanted_server in self.rows.items:
            self.rows.go(self.board.wanted_server)
            self.board.wanted_server = ""
        known = (self.board.servers or {}).values()
        states = [how(status).text for status in known]
        parts = [f"{state[0]} {states.count(state)} {state[2:]}" for state in dict.fromkeys(sorted(states))]
        self.count("   ".join(parts))
        self.moved()

    def tick(self) -> None:
        """Show how long ago things were."""
        self.query_one(ServerView).tick()

    def moved(self) -> None:
        """Show the server under the cursor."""
        self.query_one(ServerView).show(self.rows.item)

    # -- what can be done ------------------------------------------------------------------------------------------

    def why_not(self, name: str) -> str:
        """Most actions need a server, some a running one."""
        if name in {"new", "filter"}:
            return ""
        status: Status | None = self.rows.item
        if status is None:
            return "there is no server here"
        return "" if name in ALWAYS else _hindrance(name, status, self.board.phases.get(status.name, ""))

    async def do_start(self) -> None:
        """Start the server, each step shown in its row."""
        await serving.start(self.board, self.subject())

    async def do_open(self) -> None:
        """Open it in the browser."""
        await serving.open_it(self.board, self.subject())

    async def do_stop(self) -> None:
        """Ask, naming what would be lost, and stop it."""
        await serving.stop(self.board, self.subject())

    async def do_reconnect(self) -> None:
        """Bring the way to it back."""
        await serving.reconnect(self.board, self.subject())

    async def do_restart(self) -> None:
        """Ask, naming what would be lost, and restart it."""
        await serving.restart(self.board, self.subject())

    async def do_shell(self) -> None:
        """A shell there; the dashboard comes back when it ends."""
        await serving.shell(self.board, self.subject())

    def do_log(self) -> None:
        """Follow its log."""
        self.board.follow("server", self.subject())

    def do_new(self) -> None:
        """Make a profile."""
        from .profile_form import ProfileForm

        self.app.push_screen(ProfileForm())

    def do_edit(self) -> None:
        """Change the profile."""
        from .profile_form import ProfileForm

        self.app.push_screen(ProfileForm(self.subject()))

    def do_check(self) -> None:
        """Look at it step by step."""
        self.board.examine(self.subject())


def _hindrance(name: str, status: Status, doing: str) -> str:
    """Why an action cannot be done with a server; empty where it can."""
    if doing:
        return f"`{status.name}` is {doing}"
    if status.state == "unknown" and status.error:
        return f"`{status.name}` is broken: {status.error}"
    if name == "reconnect" and status.link.way is None and status.link.state in {None, "up"}:
        return f"`{status.name}` has no way that could be lost"
    if name in RUNNING and status.state == "stopped":
        return f"`{status.name}` is stopped"
    return ""


def trouble(status: Status) -> str:
    """What is wrong, and when it is tried again; empty where all is well."""
    if not status.error:
        return ""
    wait = -(words.since(status.link.next_try) or 0.0) if status.link.next_try else 0.0
    return status.error + (f"; next try in {wait:.0f} s" if wait >= 1 else "")
