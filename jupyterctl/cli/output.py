"""The only module that writes to stdout: data, and nothing but data."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence

import msgspec

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;]*m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)", re.DOTALL)


def line(text: str = "") -> None:
    """One line of plain text."""
    sys.stdout.write(text + "\n")


def document(value: object) -> None:
    """One JSON document, indented where a person reads it."""
    data = msgspec.json.encode(value)
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    raw(data + b"\n")


def record(value: object) -> None:
    """One line of a JSON stream, flushed at once."""
    raw(msgspec.json.encode(value) + b"\n")


def raw(data: bytes) -> None:
    """Bytes as they are, flushed."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns aligned by width, the last one free; heads are written in capitals, as `ps` does.

    Text is written as it is: control characters, which could steer the terminal, are replaced.
    """
    lines = [[head.upper() for head in heads], *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(heads))]
    for row in lines:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def text(value: str) -> None:
    """Text of any shape from outside, as it comes; on a terminal it may colour, but not steer."""
    sys.stdout.write(tame(value, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    sys.stdout.flush()


def tame(value: str, *, colour: bool) -> str:
    r"""The text without escape sequences, but for colours where they are wanted, and without other control characters.

    >>> tame("a\x1b[31mb\x1b[2Jc\x07", colour=True), tame("a\x1b[31mb", colour=False)
    ('a\x1b[31mbc', 'ab')
    """

    def keep(found: re.Match[str]) -> str:
        return found[0] if colour and found[0].endswith("m") and found[0].startswith("\x1b[") else ""

    kept = _ESCAPE.sub(keep, value)
    return "".join(char for char in kept if char.isprintable() or char in "\n\r\t" or (colour and char == "\x1b"))


def printable(text: str) -> str:
    """The text on one line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in text)
