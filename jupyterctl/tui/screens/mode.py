"""What all screens share: bars above and below, actions by name, and the way a verb of the session is carried out."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from .. import actions
from ..widgets.bars import KeyBar, TopBar

if TYPE_CHECKING:
    from ..app import Dashboard

Result = TypeVar("Result")

SMALLEST = (60, 18)
"""Columns and rows below which nothing sensible fits."""


class Base(Screen[Result], Generic[Result]):
    """A screen of the dashboard. Its actions are methods `do_NAME`; `why_not` may refuse one, with the reason."""

    mode: ClassVar[str] = "app"

    @property
    def board(self) -> Dashboard:
        """The app."""
        return cast("Dashboard", self.app)

    def why_not(self, name: str) -> str:
        """Why an action cannot be done now; empty where it can."""
        del name
        return ""

    def subject(self) -> str:
        """What the cursor is on, as commands name it."""
        return ""

    def command_for(self, action: actions.Action) -> str:
        """The command line that does the same to what the cursor is on; empty where none does."""
        return actions.command(action, self.subject() or "NAME")

    def action_do(self, name: str) -> None:
        """Carry an action out, or say why not."""
        if reason := self.why_not(name):
            self.board.say(reason, severity="warning")
            return
        action = actions.find(self.mode, name)
        if action.command:
            self.board.did = self.command_for(action)
        done = getattr(self, f"do_{name}")()
        if inspect.isawaitable(done):
            self.board.carry_out(done)


class Mode(Base[None]):
    """One of the numbered screens."""

    BINDINGS: ClassVar[list[Any]] = []

    def compose(self) -> ComposeResult:
        """The bars, and between them the mode's own."""
        yield TopBar(self.mode, self.board.glyphs)
        yield from self.body()
        own = [(self.mode, action) for action in actions.ACTIONS[self.mode]]
        yield KeyBar([*own, *(("app", action) for action in actions.ACTIONS["app"])], self.board.key_of, self._pressed)
        yield Static(id="too-small")

    @property
    def bar(self) -> KeyBar:
        """The line of keys."""
        return self.query_one(KeyBar)

    def _pressed(self, mode: str, name: str) -> None:
        if mode == self.mode:
            self.action_do(name)
        else:
            self.board.action_do(name)

    def body(self) -> Iterable[Widget]:
        """What is between the bars."""
        return ()

    def on_resize(self) -> None:
        """Say what is needed where nothing fits."""
        columns, rows = self.app.size
        small = columns < SMALLEST[0] or rows < SMALLEST[1]
        self.set_class(small, "-too-small")
        if small:
            text = f"The dashboard needs {SMALLEST[0]} by {SMALLEST[1]} characters;\nhere are {columns} by {rows}."
            self.query_one("#too-small", Static).update(self.board.glyphs.draw(text))

    def on_screen_resume(self) -> None:
        """Show what is current."""
        self.call_after_refresh(self.news)

    def news(self) -> None:
        """Something has changed, here or elsewhere."""
        self.keys()

    def keys(self) -> None:
        """Grey the keys that do nothing now."""
        names = [action.name for action in actions.ACTIONS[self.mode]]
        self.bar.disable({name for name in names if self.why_not(name)})

    def count(self, text: str) -> None:
        """Put counts into the top line."""
        self.query_one(TopBar).count(text)
