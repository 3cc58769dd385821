"""Text from outside made harmless: it may colour a terminal, but not steer it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;]*m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)", re.DOTALL)


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


def named(names: Sequence[str], most: int = 5) -> str:
    """Files in a sentence, the first of them by name.

    >>> named(["a", "b"]), named(["a", "b", "c"], most=1)
    ('`a`, `b`', '`a` and 2 more')
    """
    shown = ", ".join(f"`{printable(name)}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
