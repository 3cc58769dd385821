"""The only module that writes to stderr: messages for the person, in colour on a terminal only."""

from __future__ import annotations

import os
import sys

_COLOURS = {"red": "31", "yellow": "33", "cyan": "36", "green": "32", "bold": "1", "dim": "2"}


def paint(text: str, colour: str) -> str:
    """The text in a colour where stderr is a terminal and NO_COLOR is not set."""
    if os.environ.get("NO_COLOR") or not sys.stderr.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def error(message: str, hint: str = "") -> None:
    """Two lines: what went wrong, and what to do."""
    _write(f"{paint('error', 'red')}: {message}", hint)


def warning(message: str, hint: str = "") -> None:
    """Something the person should know, though the work goes on."""
    _write(f"{paint('warning', 'yellow')}: {message}", hint)


def info(message: str) -> None:
    """What is being done."""
    _write(message, "")


def transient(message: str) -> None:
    """What is being waited for; the next message takes its place. Only a terminal shows it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{message}\r")
        sys.stderr.flush()


def clear() -> None:
    """Take away what is being waited for, before the person is asked something."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _write(message: str, hint: str) -> None:
    sys.stdout.flush()
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[K")
    sys.stderr.write(message + "\n")
    if hint:
        sys.stderr.write(f"{paint('hint', 'cyan')}: {hint}\n")
    sys.stderr.flush()
