"""What keys do whatever is on the screen: letters move in what is read, and what was typed ahead finds its line.

A slow line delivers several keys at once. Textual sends all of them to what has the keys before the first is acted on;
those that nobody there wanted come back here.
"""

from __future__ import annotations

from typing import Any, ClassVar
from weakref import WeakSet

from textual import events
from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

SCROLLING = {"j": "down", "k": "up", "g": "home", "G": "end"}
"""Tables have the same for their own."""


class Keys(App[None]):
    """An app in which they do so."""

    BINDINGS: ClassVar[list[Any]] = [Binding(key, f"scroll('{to}')", show=False) for key, to in SCROLLING.items()]

    def __init__(self) -> None:
        super().__init__()
        self._settled: WeakSet[Screen[Any]] = WeakSet()
        """Screens that have chosen which of their widgets has the keys."""

    def action_scroll(self, to: str) -> None:
        """Move in what has the keys."""
        if self.focused is not None:
            getattr(self.focused, f"scroll_{to}")(animate=False)

    def on_key(self, event: events.Key) -> None:
        """Hand a letter on to the line that was opened meanwhile; a new screen gets its keys once it is there."""
        from textual.widgets import Input

        key, screen = events.Key(event.key, event.character), self.screen
        if isinstance(self.focused, Input) and event.is_printable:
            self.focused.post_message(key)
        elif self.focused is None and screen not in self._settled:
            event.prevent_default()
            screen.call_later(self._settle, screen, key)

    def _settle(self, screen: Screen[Any], key: events.Key) -> None:
        self._settled.add(screen)
        self.post_message(key)
