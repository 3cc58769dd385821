"""All keys of the screen below, as they are now."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from .. import actions
from ..glyphs import STYLES
from .dialogs import Dialog
from .mode import Base


class Help(Dialog[None]):
    """The keys, what they do, and the few things that are everywhere the same."""

    title_text = "Keys"

    def body(self) -> Iterable[Widget]:
        """A table of keys."""
        with VerticalScroll(id="keys"):
            yield Static(Content("\n").join(self._lines()))

    def on_mount(self) -> None:
        """The arrows scroll."""
        self.query_one("#keys").focus()

    def _lines(self) -> Iterable[Content]:
        below = self.app.screen_stack[-2]
        mode = below.mode if isinstance(below, Base) else "app"
        if mode != "app":
            yield Content.styled(mode.capitalize(), "bold $primary")
            for action in actions.ACTIONS[mode]:
                reason = below.why_not(action.name) if isinstance(below, Base) else ""
                yield self._line(self.board.key_of(mode, action), action.help, reason)
            yield Content("")
        yield Content.styled("Everywhere", "bold $primary")
        for name, key in actions.MODES.items():
            keys = self.board.preferences.keys.get(f"mode.{name}", key)
            yield self._line(keys, f"Show {name}")
        for action in actions.ACTIONS["app"]:
            yield self._line(self.board.key_of("app", action), action.help)
        yield self._line("ctrl+p", "The palette as well")
        yield self._line("esc", "Back")
        yield self._line("j k g G", "Down, up, first, last, as the arrows do")

    def _line(self, key: str, text: str, reason: str = "") -> Content:
        parts = [(f"  {key:>9}  ", "bold $accent"), (text, "")]
        if reason:
            parts = [(f"  {key:>9}  ", STYLES["dim"]), (f"{text} ({reason})", STYLES["dim"])]
        return Content.assemble(*((self.board.glyphs.draw(part), style) for part, style in parts))
