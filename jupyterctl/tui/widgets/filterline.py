"""The line in which one types what to look for. It lies over the key bar, whose keys type letters meanwhile.

Nothing else moves when it opens or closes, so that only its own line and the rows it is about are painted again.
"""

from __future__ import annotations

from textual.widgets import Input


class FilterLine(Input):
    """Opened by its key; enter keeps what was typed and closes it, escape ends it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            id="filter", placeholder=f"{what}: enter keeps it, esc clears it", select_on_focus=False, compact=True
        )

    @property
    def is_open(self) -> bool:
        """Whether it is to be seen."""
        return self.has_class("-open")

    def open(self) -> None:
        """Show it, and take the keys at once: `focus` would leave those that are typed already to actions."""
        self.add_class("-open")
        self.screen.set_focus(self, scroll_visible=False)

    def close(self) -> None:
        """Show the key bar again."""
        self.remove_class("-open")

    def end(self) -> None:
        """Look for nothing any more."""
        self.value = ""
        self.close()
