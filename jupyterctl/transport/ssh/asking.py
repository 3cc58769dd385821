"""Putting questions to the person, each secret once, with the system's keyring where it is wanted."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...errors import MissingLibraryError
from .route import Route
from .way import Ask, Question, RefusedError

SERVICE = "jupyterctl ssh"
"""The name in the keyring under which secrets are kept, by what they are for."""


class Asker:
    """Asks, and remembers that nobody was there: what follows is not asked at all."""

    def __init__(self, ask: Ask, *, keep: bool = False) -> None:
        self._ask, self._keep = ask, keep
        self._given: dict[str, str] = {}
        self._wrong: set[str] = set()
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

    def tell(self, notice: Question) -> None:
        """Say something that wants no answer."""
        self._ask(notice)

    def secret(self, question: Question) -> tuple[str | None, bool]:
        """(answer, whether the keyring gave it)."""
        name = _name(question)
        if self._keep and name not in self._wrong and (kept := _kept(name)) is not None:
            self._given[name] = kept
            return kept, True
        answer = self(question)
        if answer is not None:
            self._given[name] = answer
        return answer, False

    def given(self, question: Question) -> bool:
        """Whether an answer was given, and not yet said to be wrong."""
        return _name(question) in self._given

    def right(self, question: Question) -> None:
        """The answer was right: keep it where that is wanted."""
        self._keep_one(_name(question))

    def all_right(self) -> None:
        """Every answer that was not said to be wrong was right."""
        for name in list(self._given):
            self._keep_one(name)

    def _keep_one(self, name: str) -> None:
        answer = self._given.pop(name, None)
        if self._keep and answer is not None:
            with suppress(Exception):  # a keyring that is locked or full; the login succeeded all the same
                _keyring().set_password(SERVICE, name, answer)

    def wrong(self, question: Question) -> None:
        """The answer was wrong: forget it, in the keyring too."""
        name = _name(question)
        self._given.pop(name, None)
        self._wrong.add(name)
        if self._keep:
            with suppress(Exception):  # it was not kept
                _keyring().delete_password(SERVICE, name)

    def __repr__(self) -> str:
        return "Asker()"


def _name(question: Question) -> str:
    return f"{question.kind} {question.about}"


def _kept(name: str) -> str | None:
    """What the keyring has; None where it has nothing, or there is none that works."""
    keyring = _keyring()
    with suppress(Exception):  # locked, or none of this system's
        found = keyring.get_password(SERVICE, name)
        return None if found is None else str(found)
    return None


def _keyring() -> Any:
    try:
        import keyring
    except ImportError as error:
        raise MissingLibraryError("keeping passwords", "keyring") from error
    return keyring


def nobody(question: Question, route: Route) -> RefusedError:
    """The error for a question that nobody answered."""
    wanted = f"a {question.kind}"
    hint = f"do it where somebody can type, or put a key there: ssh-copy-id {route.name}"
    if question.kind == "prompt":
        wanted = f"an answer to `{' '.join(question.text.split())}`"
    elif question.kind == "passphrase":
        wanted, hint = f"the passphrase of `{question.about}`", f"give the key to the agent: ssh-add {question.about}"
    elif question.kind == "host-key":
        return RefusedError(
            f"the host key of `{route.name}` is not known, and nobody is here to say whether it is right",
            f"log in once by hand, and compare its fingerprint: ssh {route.name}",
        )
    return RefusedError(f"`{route.login}` needs {wanted}, and nobody is here to give it", hint)
