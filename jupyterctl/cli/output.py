"""The only module that writes to stdout: data, and nothing but data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from ..core.plain import printable, tame


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


@contextmanager
def until_interrupted() -> Iterator[None]:
    """What would go on for ever is ended by ^C as it should be: by its exit code, without an error."""
    try:
        yield
    except KeyboardInterrupt:
        import click

        raise click.exceptions.Exit(130) from None


def discard() -> None:
    """Nobody reads any more: what is written from now on goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns aligned by width, the last one free; heads are written in capitals, as `ps` does.

    Text is written as it is: control characters, which could steer the terminal, are replaced.
    """
    lines = [[head.upper() for head in heads], *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(heads))]
    for row in lines:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def clear() -> None:
    """Begin at the top of an empty screen; elsewhere than on a terminal, after an empty line."""
    sys.stdout.write("\x1b[H\x1b[2J" if sys.stdout.isatty() else "\n")


def text(value: str) -> None:
    """Text of any shape from outside, as it comes; on a terminal it may colour, but not steer."""
    sys.stdout.write(tame(value, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    sys.stdout.flush()
