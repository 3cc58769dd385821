"""What the forms share: a scroll of rows, the command that does the same, and the buttons."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Button, Static

from ..widgets.form import FormRow
from .mode import Base


class Form(Base[None]):
    """A form on the whole screen. Enter goes to the next field, ctrl+s does what the first button says."""

    CSS_PATH = "../forms.tcss"
    BINDINGS: ClassVar[list[Any]] = [
        Binding("ctrl+s", "submit", "save", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    title_text = ""
    verb = "Save"

    def compose(self) -> ComposeResult:
        """Title, rows, command, buttons."""
        yield Static(Content(f" {self.title_text}"), id="title")
        with VerticalScroll(id="rows", can_focus=False):
            yield from self.rows()
        yield Static(id="equivalent")
        with Horizontal(id="buttons"):
            yield Button(Content(f"{self.verb}  ^s"), id="submit", variant="primary", compact=True)
            yield Button(Content("Back  esc"), id="back", compact=True)

    def rows(self) -> Iterable[Widget]:
        """The fields."""
        return ()

    def command(self) -> str:
        """The command line that does what the form would do now."""
        return ""

    def on_mount(self) -> None:
        """Begin at the first field."""
        self.refresh_command()

    def refresh_command(self) -> None:
        """Show the command as it is now."""
        line = self.board.glyphs.draw(self.command())
        self.query_one("#equivalent", Static).update(Content.assemble(("the same: ", "$quiet"), line))

    def gather(self, work: Awaitable[None]) -> None:
        """Let something that fills the form go on by itself; where the form has been left meanwhile, it is over."""

        async def gathering() -> None:
            try:
                await work
            except NoMatches:
                if self in self.app.screen_stack:
                    raise

        self.board.carry_out(gathering())

    def row(self, key: str) -> FormRow:
        """The row of a key."""
        return next(row for row in self.query(FormRow) if row.key == key)

    def values(self) -> dict[str, str]:
        """Every row's text, by key."""
        return {row.key: row.text for row in self.query(FormRow)}

    def action_submit(self) -> None:
        """Do it, unless a field is wrong; then go there."""
        wrong = next((row for row in self.query(FormRow) if row.wrong()), None)
        if wrong is not None:
            if wrong.field is not None:
                wrong.field.focus()
            self.board.say(f"{wrong.label}: {wrong.wrong()}", severity="warning")
            return
        self.board.did = self.command()
        self.board.carry_out(self.submit())

    async def submit(self) -> None:
        """Do what the form is for."""

    @on(FormRow.Changed)
    def _changed(self) -> None:
        self.refresh_command()

    @on(Button.Pressed, "#submit")
    def _submit(self) -> None:
        self.action_submit()

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.dismiss()

    def on_input_submitted(self) -> None:
        """Enter goes on."""
        self.focus_next()
