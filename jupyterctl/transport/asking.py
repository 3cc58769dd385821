"""Who is there to answer while a way is being opened: a front end says it once, for the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ssh.way import Ask, Question


class _Person:
    """Nobody, until somebody says otherwise."""

    ask: Ask | None = None


def answer_with(ask: Ask | None) -> None:
    """From now on questions go to this person; None: nobody is there."""
    _Person.ask = ask


def ask(question: Question) -> str | None:
    """The person's answer; None where nobody is there, or they decline."""
    return _Person.ask(question) if _Person.ask else None
