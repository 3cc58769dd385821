"""Rows of a form: a label, what it holds, and a line of help that gives way to what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Button, Checkbox, Input, Select, Static, TextArea

from ...core.plain import printable


class FormRow(Vertical):
    """One value. `Changed` is posted when it changes; `read` is asked what is wrong with the text."""

    class Changed(Message):
        """The value of a row is another one."""

    def __init__(
        self,
        key: str,
        *,
        value: str = "",
        help: str = "",  # noqa: A002 - what it is
        placeholder: str = "",
        choices: Sequence[str] = (),
        kind: str = "text",
        read: Callable[[str], object] = str,
        label: str = "",
        classes: str = "",
    ) -> None:
        """`kind` is `text`, `choice`, `switch` or `lines`."""
        super().__init__(classes=classes)
        self.key = key
        self.label = label or key
        self.first = value
        self.help_text = help
        self.placeholder = placeholder
        self.choices = tuple(choices)
        self.kind = kind
        self.read = read
        self.field: Input | Select[str] | Checkbox | TextArea | None = None
        """What holds the value; None until the row is on its screen, as while others are being mounted."""

    def compose(self) -> ComposeResult:
        """Label and value side by side, the help under them."""
        with Horizontal(classes="row"):
            yield Static(Content(self.label), classes="label")
            self.field = self._field()
            yield self.field
            if self.kind == "text" and self.choices:
                yield _offers()
        yield Static(Content(printable(self.help_text)), classes="help")

    def _field(self) -> Input | Select[str] | Checkbox | TextArea:
        if self.kind == "choice":
            options = [(choice, choice) for choice in self.choices]
            start: Any = self.first if self.first in self.choices else Select.NULL
            return Select(options, value=start, allow_blank=True, prompt=self.placeholder or "default", compact=True)
        if self.kind == "switch":
            return Checkbox(value=self.first == "true", compact=True)
        if self.kind == "lines":
            return TextArea(self.first, compact=True, placeholder=self.placeholder)
        suggester = SuggestFromList(self.choices, case_sensitive=True) if self.choices else None
        return Input(self.first, placeholder=self.placeholder, suggester=suggester, compact=True, select_on_focus=False)

    async def offer(self, choices: Sequence[str]) -> None:
        """Offer these from now on; what is filled in, or half typed, stays."""
        self.choices = tuple(choices)
        for select in self.query(Select):
            chosen = select.value
            select.set_options((choice, choice) for choice in choices)
            if chosen in self.choices:
                select.value = chosen
        for field in self.query(Input):
            field.suggester = SuggestFromList(choices, case_sensitive=True) if choices else None
            if choices and not self.query(".offers"):
                await self.query_one(".row").mount(_offers())

    @property
    def text(self) -> str:
        """The value as text; empty where nothing is given. A row whose field is still to come has its first value.

        Where the machine is slow one row of a form is filled in, and asks for all, before another one is there.
        """
        field = self.field
        if field is None:
            return self.first
        if isinstance(field, Select):
            return "" if field.value is Select.NULL else str(field.value)
        if isinstance(field, Checkbox):
            return "true" if field.value else "false"
        return field.text if isinstance(field, TextArea) else field.value

    @text.setter
    def text(self, text: str) -> None:
        self.query_one(Input).value = text

    @property
    def changed(self) -> bool:
        """Whether it is not what it was at first."""
        return self.text != self.first

    def wrong(self) -> str:
        """What is wrong with the value; empty where it is right."""
        try:
            self.read(self.text)
        except ValueError as error:
            return str(error)
        return ""

    @on(Input.Changed)
    @on(Select.Changed)
    @on(Checkbox.Changed)
    @on(TextArea.Changed)
    def _changed(self, event: Message) -> None:
        event.stop()
        wrong = self.wrong()
        self.set_class(bool(wrong), "wrong")
        self.query_one(".help", Static).update(Content(printable(wrong or self.help_text)))
        self.post_message(self.Changed())

    @on(Button.Pressed, ".offers")
    def _offer(self, event: Button.Pressed) -> None:
        event.stop()
        from ..screens.dialogs import Pick

        def take(choice: str | None) -> None:
            if choice:
                self.text = choice

        self.app.push_screen(Pick(self.label, [(choice, choice) for choice in self.choices]), take)


def _offers() -> Button:
    return Button(Content("list"), classes="offers", compact=True)
