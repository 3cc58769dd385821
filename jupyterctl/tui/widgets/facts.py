"""Labels and values, aligned, as the detail panes show them."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

from textual.content import Content
from textual.widgets import Static

from ...core.plain import printable
from ..glyphs import STYLES, Cell, Glyphs

LABEL = 12
"""Cells that a label takes."""
LEAST = 20


def facts(pairs: Iterable[tuple[str, Cell | str]], glyphs: Glyphs, width: int) -> Content:
    """One line a pair, wrapped under itself at `width`; those with nothing to say are left out."""
    lines = []
    for label, value in pairs:
        cell = value if isinstance(value, Cell) else Cell(value)
        pieces = wrap(glyphs.draw(printable(cell.text)), max(LEAST, width - LABEL), break_on_hyphens=False)
        for number, piece in enumerate(pieces):
            head = label if number == 0 else ""
            lines.append(Content.assemble((f"{head:<{LABEL}}", STYLES["dim"]), (piece, STYLES.get(cell.tone, ""))))
    return Content("\n").join(lines)


def heading(text: str) -> Content:
    """A line over a section."""
    return Content.styled(text, "bold $primary")


def put(at: Static, text: Content) -> None:
    """Let a widget show a text; where it does already, nothing is laid out and painted again."""
    shown = at.content
    if not (isinstance(shown, Content) and shown.plain == text.plain and shown.spans == text.spans):
        at.update(text)


class Facts(Static):
    """Labels and values as wide as there is room."""

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002 - what Textual calls it
        super().__init__(id=id)
        self.glyphs = glyphs
        self.pairs: tuple[tuple[str, Cell | str], ...] = ()

    def show(self, *pairs: tuple[str, Cell | str]) -> None:
        """Show these from now on."""
        self.pairs = pairs
        self.on_resize()

    def on_resize(self) -> None:
        """Wrap the lines anew."""
        self.update(facts(self.pairs, self.glyphs, self.size.width))
