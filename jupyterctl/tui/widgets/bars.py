"""The line on top, with the modes and what goes on, and the line of keys at the bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.content import Content
from textual.widgets import Static

from ...core.plain import printable
from ..actions import MODES, Action
from ..glyphs import Glyphs

ALWAYS = 2
"""Keys at the end that are always there: help and quit."""


class TopBar(Static):
    """The modes, the current one marked; on the right what there is, counted."""

    def __init__(self, mode: str, glyphs: Glyphs) -> None:
        super().__init__()
        self.mode = mode
        self.glyphs = glyphs
        self.counts = ""

    def count(self, text: str) -> None:
        """Say what there is."""
        if text != self.counts:
            self.counts = text
            self.refresh()

    def render(self) -> Content:
        """The line."""
        parts: list[tuple[str, str]] = []
        if self.size.width >= 80:  # noqa: PLR2004 - below, the name gives way
            parts.append((" jupyterctl ", "bold $primary"))
        for mode, key in MODES.items():
            style = "bold $text on $primary 30%" if mode == self.mode else "$quiet"
            parts.append((f" {key} {mode.capitalize()} ", style))
        counts = self.glyphs.draw(self.counts)
        left = sum(len(text) for text, _ in parts)
        room = self.size.width - left - len(counts) - 1
        if room > 0:
            parts.append((" " * room + counts, "$quiet"))
        return Content.assemble(*parts)


class KeyBar(Static):
    """The most used keys; what cannot be done now is greyed."""

    def __init__(
        self,
        actions: Sequence[tuple[str, Action]],
        key: Callable[[str, Action], str],
        pressed: Callable[[str, str], object],
    ) -> None:
        """`key` tells an action's key, `pressed` carries out what is clicked."""
        super().__init__()
        self.pressed = pressed
        self.actions = [(mode, action) for mode, action in actions if action.bar]
        self.key = key
        self.disabled_names: set[str] = set()
        self.reminder = ""

    def disable(self, names: set[str]) -> None:
        """Grey these actions."""
        if names != self.disabled_names:
            self.disabled_names = names
            self.refresh()

    def remind(self, text: str) -> None:
        """Say before the keys what holds until it is ended."""
        if text != self.reminder:
            self.reminder = text
            self.refresh()

    def render(self) -> Content:
        """The reminder, and as many keys as there is room for; the last two, help and quit, always."""
        return Content("").join([self._reminder(), *(content for _, content in self._fitting())])

    def on_click(self, event: events.Click) -> None:
        """A click on a key's name is the key."""
        left = event.x - len(self._reminder())
        for (mode, action), content in self._fitting():
            left -= len(content)
            if left < 0:
                self.pressed(mode, action.name)
                return

    def _reminder(self) -> Content:
        """At most half the line."""
        if not self.reminder:
            return Content("")
        text = f" {printable(self.reminder)} "
        room = self.size.width // 2
        return Content.styled(text if len(text) <= room else text[: room - 1] + "…", "bold $text on $primary 30%")

    def _fitting(self) -> list[tuple[tuple[str, Action], Content]]:
        shown = [((mode, action), self._one(mode, action)) for mode, action in self.actions]
        room = self.size.width - len(self._reminder()) - sum(len(content) for _, content in shown[-ALWAYS:])
        fitting = []
        for key, content in shown[:-ALWAYS]:
            room -= len(content)
            if room < 0:
                break
            fitting.append((key, content))
        return [*fitting, *shown[-ALWAYS:]]

    def _one(self, mode: str, action: Action) -> Content:
        off = action.name in self.disabled_names
        return Content.assemble(
            (f" {self.key(mode, action)}", "$quiet" if off else "bold $accent"),
            (f" {action.label} ", "$quiet" if off else "$foreground"),
        )
