"""A way that a keeper holds open, with a target whose way opens and fails as a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyterctl.core import opening
from jupyterctl.core.opening import Opening
from jupyterctl.errors import TargetError, UnreachableError
from jupyterctl.model import Link, LinkState, Profile
from jupyterctl.targets.ssh import Settings
from jupyterctl.transport.carrier import Carrier
from jupyterctl.transport.ssh.way import Ask, Question, RefusedError
from tests.conftest import wait_for

PROFILE = Profile(name="box", kind="ssh", settings=Settings(host="box"))


class Way:
    """An open way that says it is alive."""

    description, why = "box", ""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def heard(self) -> float:
        return time.monotonic()

    def probe(self) -> None:
        """It has been heard anyway."""

    def round_trip(self) -> float | None:
        return None

    def close(self) -> None:
        self.closed.set()


class Target:
    """What is opened: `outcome` is what an attempt does, given whom it may ask."""

    def __init__(self) -> None:
        self.outcome: Callable[[Ask], object] = lambda _: None
        self.attempts: list[Way] = []

    def warm(self) -> None:
        """Nothing is to be imported."""

    def open(self, ask: Ask, report: Any) -> Carrier:
        report("connect", "box")
        self.attempts.append(Way())
        self.outcome(ask)
        return cast(Carrier, SimpleNamespace(way=self.attempts[-1], close=self.attempts[-1].close))


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def held(target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """A way of that target's, with what it has said."""
    monkeypatch.setattr(opening, "load", lambda _: SimpleNamespace(create=lambda _: target))
    said: list[Link] = []
    made = Opening(PROFILE, {}, said.append)
    yield made
    made.close()


def fails(error: Exception) -> Callable[[Ask], object]:
    """An attempt that ends so."""

    def outcome(_: Ask) -> None:
        raise error

    return outcome


def refuses(asked: list[str]) -> Callable[[Ask], object]:
    """A login that asks for a password, and is refused without the right one."""

    def outcome(ask: Ask) -> None:
        answer = ask(Question(kind="password", text="Password:"))
        asked.append(answer or "nobody")
        if answer != "right":
            raise RefusedError("the login was refused", "look at the key")

    return outcome


def test_one_way_serves_all_who_ask(held: Opening, target: Target) -> None:
    carriers = [held.carrier(None), held.carrier(lambda _: "x"), held.carrier(None)]
    assert len(target.attempts) == 1
    assert carriers[0] is carriers[1] is carriers[2]
    assert held.link().state is LinkState.UP


def test_who_asks_nobody_hears_at_once_that_it_is_down(held: Opening, target: Target) -> None:
    """Attempts go on meanwhile; none of those who look waits for one."""
    target.outcome = fails(UnreachableError("`box` does not answer", "look at the network"))
    with pytest.raises(UnreachableError, match="does not answer"):
        held.carrier(None)
    stuck = threading.Event()
    target.outcome = lambda _: stuck.wait()
    tried = len(target.attempts)
    for _ in range(3):
        with pytest.raises(UnreachableError, match="does not answer"):
            held.carrier(None)
    wait_for(lambda: len(target.attempts) > tried)
    stuck.set()
    wait_for(lambda: held.link().state is LinkState.UP)
    assert held.carrier(None).way is not None


def test_who_asks_nobody_asks_nobody(held: Opening, target: Target) -> None:
    """What only a person can open is unreachable to who looks at a run, and is not tried again by itself."""
    asked: list[str] = []
    target.outcome = refuses(asked)
    for _ in range(3):
        with pytest.raises(UnreachableError, match="refused"):
            held.carrier(None)
    assert asked == ["nobody"]
    assert held.link().state is LinkState.REFUSED
    list(held.open(lambda _: "right", anew=False))
    assert asked == ["nobody", "right"]
    assert held.carrier(None).way is not None


def test_a_person_hears_what_it_was(held: Opening, target: Target) -> None:
    target.outcome = refuses([])
    with pytest.raises(TargetError, match="refused") as caught:
        held.carrier(lambda _: "wrong")
    assert not isinstance(caught.value, UnreachableError)


def test_an_attempt_of_somebody_elses_is_not_waited_for_long(
    held: Opening, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one's person may take minutes to answer."""
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.05)
    answered = threading.Event()
    target.outcome = lambda _: answered.wait()
    person = threading.Thread(target=held.carrier, args=(lambda _: "x",))
    person.start()
    wait_for(lambda: target.attempts)
    with pytest.raises(UnreachableError, match="being opened"):
        held.carrier(None)
    answered.set()
    person.join(60)
    assert held.carrier(None).way is target.attempts[0]


def test_a_way_that_is_lost_is_opened_again_for_who_looks(held: Opening, target: Target) -> None:
    held.carrier(None)
    target.attempts[0].close()
    wait_for(lambda: len(target.attempts) > 1 and held.link().state is LinkState.UP)
    assert held.carrier(None).way is not target.attempts[0]


def test_an_attempt_that_fails_leaves_standing_when_the_next_one_is(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "load", lambda _: SimpleNamespace(create=lambda _: target))
    monkeypatch.setattr(Opening, "_wanted", True)
    monkeypatch.setattr(opening.BackOff, "FIRST", 600.0)
    failed = threading.Event()

    def outcome(_: Ask) -> None:
        failed.wait()
        raise UnreachableError("`box` does not answer", "look at the network")

    target.outcome = outcome
    held = Opening(PROFILE, {}, lambda _: None)
    try:
        wait_for(lambda: held.link().next_try)
        failed.set()
        wait_for(lambda: held.link().error)
        assert held.link().next_try
    finally:
        held.close()
