"""What lies over a screen for a moment: a question, an error, the commands for what can be done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from ...core.plain import printable
from ...errors import JupyterctlError
from .. import actions

if TYPE_CHECKING:
    from ...transport.ssh.way import Question
    from ..app import Dashboard

Result = TypeVar("Result")


class Dialog(ModalScreen[Result], Generic[Result]):
    """A box in the middle, with a title; escape leaves it with no answer."""

    CSS_PATH = "../dialogs.tcss"
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "dismiss(None)", "back", show=False),
        Binding("left,h", "app.focus_previous", show=False),
        Binding("right,l", "app.focus_next", show=False),
    ]
    title_text = ""

    @property
    def board(self) -> Dashboard:
        """The app."""
        return cast("Dashboard", self.app)

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="box") as box:
            box.border_title = Content(self.board.glyphs.draw(self.title_text))
            yield from self.body()

    def body(self) -> Iterable[Widget]:
        """What is in it."""
        return ()

    def text(self, text: str, **kw: Any) -> Static:
        """Plain text."""
        return Static(Content(self.board.glyphs.draw(text)), **kw)


class Confirm(Dialog[bool]):
    """Asks before something is ended; what is safe has the focus."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("y", "dismiss(True)", show=False),
        Binding("n", "dismiss(False)", show=False),
    ]

    def __init__(self, question: str, *, verb: str, safe: str = "Cancel", details: Sequence[str] = ()) -> None:
        super().__init__(classes="danger")
        self.title_text = question
        self.verb, self.safe = verb, safe
        self.details = details

    def body(self) -> Iterable[Widget]:
        """What will be, and the two ways on."""
        if self.details:
            with VerticalScroll(id="details", can_focus=False):
                yield self.text("\n".join(map(printable, self.details)))
        with Horizontal(id="buttons"):
            yield Button(Content(f"{self.safe}  esc"), id="no", compact=True)
            yield Button(Content(f"{self.verb}  y"), id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        """The safe answer first."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def _answered(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class Failure(Dialog[None]):
    """An error: what went wrong and what to do; for one that nobody foresaw, the traceback to copy."""

    BINDINGS: ClassVar[list[Any]] = [Binding("c", "copy", show=False)]

    def __init__(self, error: BaseException) -> None:
        super().__init__(classes="danger")
        self.title_text = "That did not work"
        self.message, self.hint, self.details = told(error)

    @property
    def whole(self) -> str:
        """All of it, as it is copied."""
        return "\n".join(filter(None, (self.message, self.hint, self.details)))

    def body(self) -> Iterable[Widget]:
        """The message, the hint, the buttons."""
        yield self.text(self.message, id="message")
        if self.hint:
            yield self.text(self.hint, id="hint")
        if self.details:
            with VerticalScroll(id="details"):
                yield self.text(self.details)
        with Horizontal(id="buttons"):
            yield Button(Content("Close  esc"), id="no", compact=True)
            yield Button(Content("Copy  c"), id="copy", compact=True)

    def on_mount(self) -> None:
        """Enter closes."""
        self.query_one("#no").focus()

    def action_copy(self) -> None:
        """Put all of it into the clipboard."""
        self.app.copy_to_clipboard(self.whole)
        self.board.say("copied")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.dismiss(None)


def told(error: BaseException) -> tuple[str, str, str]:
    """An error's message, hint and details."""
    if isinstance(error, JupyterctlError):
        return error.message, error.hint, ""
    import traceback

    details = "".join(traceback.format_exception(error))
    return f"{type(error).__name__}: {error}", "a fault of jupyterctl: please report it with these lines", details


class Commands(Dialog[None]):
    """The command lines that do what the keys do; enter copies one."""

    title_text = "The same as a command"

    def body(self) -> Iterable[Widget]:
        """The last one first, then all for what the cursor is on."""
        yield self.text("enter copies", id="hint")
        yield OptionList(*(Option(self._line(label, line), id=line) for label, line in self._lines()))

    def _lines(self) -> Iterable[tuple[str, str]]:
        from .mode import Base

        seen = set()
        if self.board.did:
            seen.add(self.board.did)
            yield "last", self.board.did
        below = self.app.screen_stack[-2] if self in self.app.screen_stack else self.app.screen
        if isinstance(below, Base):
            for action in actions.ACTIONS.get(below.mode, ()):
                line = below.command_for(action)
                if line and line not in seen:
                    seen.add(line)
                    yield action.label, line

    def _line(self, label: str, line: str) -> Content:
        return Content.assemble((f"{label:<12} ", "$quiet"), self.board.glyphs.draw(line))

    @on(OptionList.OptionSelected)
    def _copied(self, event: OptionList.OptionSelected) -> None:
        self.app.copy_to_clipboard(event.option_id or "")
        self.board.say("copied")
        self.dismiss(None)


class Pick(Dialog[str]):
    """Choose one of several, found by typing; gives its key."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.title_text = title
        self.choices = choices

    def body(self) -> Iterable[Widget]:
        """A line to type in, and what fits it."""
        yield Input(id="typed", placeholder="type to find", compact=True)
        options = OptionList(id="options")
        options.can_focus = False
        yield options

    def on_mount(self) -> None:
        """All of them at first."""
        self._fill("")
        self.query_one(Input).focus()

    def _fill(self, typed: str) -> None:
        options = self.query_one(OptionList)
        words = typed.casefold().split()
        found = [(key, text) for key, text in self.choices if all(word in text.casefold() for word in words)]
        options.clear_options().add_options(
            Option(Content(self.board.glyphs.draw(printable(text))), id=key) for key, text in found
        )
        options.highlighted = 0 if found else None

    def action_move(self, by: int) -> None:
        """Up and down while one types."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self.dismiss(options.get_option_at_index(options.highlighted).id)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)


class Address(Dialog[None]):
    """A server's address, with its token, for a person whose browser is elsewhere."""

    BINDINGS: ClassVar[list[Any]] = [Binding("c", "copy", show=False)]

    def __init__(self, name: str, address: str) -> None:
        super().__init__()
        self.title_text = f"Open `{name}`"
        self.address = address

    def body(self) -> Iterable[Widget]:
        """The address, and a way to copy it."""
        yield self.text("No browser can be opened from here. Its address, with the token that lets one in:", id="hint")
        yield self.text(self.address, id="message")
        with Horizontal(id="buttons"):
            yield Button(Content("Copy  c"), id="copy", compact=True)
            yield Button(Content("Close  esc"), id="no", compact=True)

    def action_copy(self) -> None:
        """Put the address into the clipboard."""
        self.app.copy_to_clipboard(self.address)
        self.board.say("copied")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "copy":
            self.action_copy()
        self.dismiss(None)


class Answer(Dialog[str]):
    """What only the person knows: a password, a second factor, whether a host key is the right one."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.title_text = "The machine asks" if question.kind == "prompt" else "To log in"
        self.question = question

    def body(self) -> Iterable[Widget]:
        """The words, and a field; or yes and no."""
        yield self.text(printable(self.question.text))
        if self.question.kind == "host-key":
            with Horizontal(id="buttons"):
                yield Button(Content("Cancel  esc"), id="no", compact=True)
                yield Button(Content("It is the right one"), id="yes", variant="error", compact=True)
        else:
            yield Input(password=self.question.secret, compact=True)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    @on(Button.Pressed, "#yes")
    def _yes(self) -> None:
        self.dismiss("yes")

    @on(Button.Pressed, "#no")
    def _no(self) -> None:
        self.dismiss(None)
