"""Putting questions to the person, each secret once, with the system's keyring where it is wanted."""

from __future__ import annotations

from contextlib import suppress

from ...errors import MissingLibraryError
from .way import Ask, Question

SERVICE = "jupyterctl ssh"
"""The name in the keyring under which secrets are kept, by what they are for."""


class Asker:
    """Asks, and remembers that nobody was there: what follows is not asked at all."""

    def __init__(self, ask: Ask, *, keep: bool = False) -> None:
        self._ask, self._keep = ask, keep
        self._given: dict[str, str] = {}
        self.unanswered: Question | None = None
        """The first question that nobody answered."""

    def __call__(self, question: Question) -> str | None:
        """The answer; None where nobody gives one, now or before."""
        if self.unanswered is not None:
            return None
        answer = self._ask(question)
        if answer is None:
            self.unanswered = question
        return answer

    def secret(self, question: Question) -> tuple[str | None, bool]:
        """(answer, whether the keyring gave it)."""
        if self._keep and (kept := _keyring().get_password(SERVICE, _name(question))) is not None:
            return str(kept), True
        answer = self(question)
        if answer is not None:
            self._given[_name(question)] = answer
        return answer, False

    def right(self, question: Question) -> None:
        """The answer was right: keep it where that is wanted."""
        answer = self._given.pop(_name(question), None)
        if self._keep and answer is not None:
            with suppress(Exception):  # a keyring that is locked or full; the login succeeded all the same
                _keyring().set_password(SERVICE, _name(question), answer)

    def wrong(self, question: Question) -> None:
        """The answer was wrong: forget it."""
        self._given.pop(_name(question), None)
        if self._keep:
            with suppress(Exception):  # it was not kept
                _keyring().delete_password(SERVICE, _name(question))

    def __repr__(self) -> str:
        return "Asker()"


def _name(question: Question) -> str:
    return f"{question.kind} {question.about}"


def _keyring():  # noqa: ANN202
    try:
        import keyring
    except ImportError as error:
        raise MissingLibraryError("keeping passwords", "keyring") from error
    return keyring
