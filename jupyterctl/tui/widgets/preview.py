"""Outputs of a cell as a terminal can show them: text with its colours, Markdown, tables, pictures in half blocks."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from ...core import words
from ...core.outputs import Output
from ...core.plain import printable, tame

MOST_TEXT = 20_000
"""Characters of one output that are shown."""
MOST_ROWS = 60
WIDEST = 100
"""Cells that a picture takes at most."""


def preview(outputs: Iterable[Output], width: int, *, blocks: bool) -> RenderableType:
    """All outputs of a cell, one under the other; `blocks` tells whether the terminal can draw pictures."""
    return Group(*(part for output in outputs for part in _parts(output, width, blocks=blocks)))


def _parts(output: Output, width: int, *, blocks: bool) -> Iterator[RenderableType]:
    if output.mime.startswith("image/"):
        size = words.size(len(output.data) or len(output.text))
        yield Text(f"[{output.mime}, {size}] {printable(output.plain)}", "dim")
        if blocks and output.data and (picture := draw(output.data, min(width, WIDEST))):
            yield picture
    elif output.mime == "text/markdown":
        from rich.markdown import Markdown

        yield Markdown(output.text[:MOST_TEXT], hyperlinks=False)
    elif output.mime == "text/html" and (rows := table(output.text)):
        yield _table(rows)
    else:
        yield ansi(output.plain if output.mime == "text/html" else output.text)


def ansi(text: str) -> Text:
    """Text with its own colours; what would steer a terminal is taken out, what is too long is cut."""
    cut = text[:MOST_TEXT] + (f"\n… {len(text) - MOST_TEXT} characters more" if len(text) > MOST_TEXT else "")
    return Text.from_ansi(tame(cut, colour=True))


def table(html: str) -> list[list[str]]:
    """The rows of the first table in a page, the heading among them; empty where there is none.

    >>> table("<table><tr><th>a</th></tr><tr><td>1</td></tr></table>")
    [['a'], ['1']]
    """
    reader = _Rows()
    reader.feed(html)
    return [row for row in reader.rows if row]


class _Rows(HTMLParser):
    """Collects the cells of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """A row or a cell begins."""
        del attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"} and self.rows:
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        """A cell ends."""
        if tag in {"td", "th"} and self._cell is not None:
            self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        """What a cell says."""
        if self._cell is not None:
            self._cell.append(data)


def _table(rows: list[list[str]]) -> Table:
    head, *body = rows
    shown = Table(*(Column(Text(printable(cell))) for cell in head), box=None, header_style="bold", pad_edge=False)
    for row in body[:MOST_ROWS]:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    if len(body) > MOST_ROWS:
        shown.caption = f"{len(body) - MOST_ROWS} rows more"
    return shown


def draw(data: bytes, width: int) -> Text | None:
    """A picture, two pixels a character; None where Pillow is not installed or cannot read it."""
    try:
        from PIL import Image
    except ImportError:
        return None
    try:
        picture = Image.open(io.BytesIO(data)).convert("RGBA")
    except (OSError, ValueError):
        return None
    columns = min(width, picture.width)
    lines = max(1, round(picture.height * columns / picture.width / 2))
    white = Image.new("RGBA", picture.size, "white")
    small = Image.alpha_composite(white, picture).convert("RGB").resize((columns, lines * 2))
    return _half_blocks(small.tobytes(), columns, lines)


def _half_blocks(pixels: bytes, columns: int, lines: int) -> Text:
    """Pixels of three bytes, row by row, as characters whose upper half is one pixel and whose ground is the other."""

    def colour(column: int, row: int) -> str:
        at = 3 * (row * columns + column)
        return f"#{pixels[at : at + 3].hex()}"

    text = Text()
    for line in range(lines):
        for column in range(columns):
            text.append("▀", Style(color=colour(column, 2 * line), bgcolor=colour(column, 2 * line + 1)))
        text.append("\n")
    return text
