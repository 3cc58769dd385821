"""Questions to the person. None is asked where nobody is there to answer: the command then says which flag it wants."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..errors import UsageError
from . import diagnostics

YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def someone() -> bool:
    """Whether a person can be asked: both what they type and what they see are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool, declined: str, code: int = 1) -> None:
    """Go on only if the person says so, or said so with `--yes`. The question names the object.

    UsageError where nobody can be asked. On no the command says what was not done, and ends with that exit code.
    """
    if yes:
        return
    if not someone():
        raise UsageError(f"{question[:1].lower()}{question[1:]} This needs an answer", "add --yes")
    if not click.confirm(question, default=False, err=True):
        diagnostics.info(declined)
        raise click.exceptions.Exit(code)


def text(question: str, read: Callable[[str], Any], default: str | None = None) -> Any:
    """An answer as `read` makes of it; asked again, with its words, as long as it raises ValueError or UsageError."""

    def value(answer: str) -> Any:
        try:
            return read(answer)
        except (ValueError, UsageError) as error:
            raise click.UsageError(str(error)) from error

    return click.prompt(question, default=default, value_proc=value, show_default=bool(default), err=True)


def lines(question: str) -> list[str]:
    """Answers one a line, until an empty one."""
    given: list[str] = []
    while answer := click.prompt(question, default="", show_default=False, err=True):
        given.append(answer)
    return given


def choose(question: str, names: Sequence[str]) -> str:
    """One of several names, typed or given by its number from 1."""

    def value(answer: str) -> str:
        if answer.isdecimal() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        if answer not in names:
            raise ValueError(f"choose one of {', '.join(names)}, or its number")
        return answer

    for number, name in enumerate(names, 1):
        diagnostics.info(f"  {number}  {name}")
    return str(text(question, value))
