"""What a person is asked: passwords, codes, several factors; and that none of it is ever shown."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator

import pytest

from jupyterctl.transport.ssh import asking
from jupyterctl.transport.ssh.asking import Asker
from jupyterctl.transport.ssh.way import Question, RefusedError
from tests.sshd import make_key

from .conftest import TRANSPORTS, Person, Site, says
from .stand_in import CODE, PASSWORD, StandIn

both = pytest.mark.parametrize("transport", TRANSPORTS)
WRONG = "wrong battery"


@pytest.fixture
def serve(site: Site) -> Iterator[Callable[..., StandIn]]:
    made: list[StandIn] = []

    def start(*wanted: str) -> StandIn:
        key = site.folder / "mine"
        make_key(key)
        server = StandIn(site.folder, list(wanted), key)
        made.append(server)
        site.known_hosts.write_text(server.known_hosts)
        site.write(
            f"Host box\n  HostName 127.0.0.1\n  Port {server.port}\n  User eve\n  IdentityFile {key}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {site.known_hosts}\n"
        )
        return server

    yield start
    for server in made:
        server.close()


@both
def test_a_password(site: Site, transport: str, serve: Callable[..., StandIn]) -> None:
    serve("password")
    person = Person(password=[PASSWORD])
    assert says(site.open(ask=person, transport=transport)) == "here\n"
    assert person.kinds == ["password"]
    assert person.asked[0].secret
    assert person.asked[0].text.startswith("password of eve@127.0.0.1")


@both
def test_a_password_is_asked_for_three_times(site: Site, transport: str, serve: Callable[..., StandIn]) -> None:
    server = serve("password")
    person = Person(password=[WRONG, WRONG, WRONG, PASSWORD])
    with pytest.raises(RefusedError, match="refuses the login"):
        site.open(ask=person, transport=transport)
    assert person.kinds == ["password"] * 3
    assert server.log.count("password wrong") == 3


@both
def test_the_machines_own_questions_in_rounds(site: Site, transport: str, serve: Callable[..., StandIn]) -> None:
    serve("keyboard-interactive")
    person = Person(prompt=[PASSWORD, CODE])
    assert says(site.open(ask=person, transport=transport)) == "here\n"
    assert person.kinds == ["prompt", "prompt"]
    assert "Password:" in person.asked[0].text
    assert "Code from your phone:" in person.asked[1].text
    assert all("\x1b" not in question.text for question in person.asked)
    if transport == "paramiko":
        assert [question.secret for question in person.asked] == [True, False]
        assert person.asked[0].text == "Two steps\nPlease answer[31m\nPassword: "


@both
def test_a_key_and_a_second_factor(site: Site, transport: str, serve: Callable[..., StandIn]) -> None:
    server = serve("publickey", "keyboard-interactive")
    person = Person(prompt=[PASSWORD, CODE])
    assert says(site.open(ask=person, transport=transport)) == "here\n"
    assert "publickey right" in server.log


@both
def test_a_second_factor_and_nobody_to_ask(site: Site, transport: str, serve: Callable[..., StandIn]) -> None:
    """The machine hears no empty answer, which would count as a wrong one."""
    server = serve("publickey", "keyboard-interactive")
    with pytest.raises(RefusedError, match=r"needs an answer to `.*Password:`, and nobody is here"):
        site.open(transport=transport)
    assert "round 1" not in server.log


@both
def test_a_password_and_nobody_to_ask(site: Site, transport: str, serve: Callable[..., StandIn]) -> None:
    serve("password")
    person = Person()
    with pytest.raises(RefusedError, match="needs a password, and nobody is here") as error:
        site.open(ask=person, transport=transport)
    assert "ssh-copy-id box" in error.value.hint
    assert person.kinds == ["password"]


@both
def test_no_secret_is_shown(
    site: Site, transport: str, serve: Callable[..., StandIn], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    serve("keyboard-interactive", "password")
    person = Person(prompt=[PASSWORD, CODE], password=[WRONG, WRONG, WRONG])
    with pytest.raises(RefusedError) as error:
        site.open(ask=person, transport=transport)
    shown = [str(error.value), repr(error.value), error.value.hint, caplog.text, repr(site.phases)]
    shown += traceback.TracebackException.from_exception(error.value, capture_locals=True).format()
    ours = [line for text in shown for line in text.splitlines() if "person =" not in line and "ask =" not in line]
    for secret in (PASSWORD, WRONG, CODE):
        assert not [line for line in ours if secret in line and "SimpleQueue" not in line]


class Ring:
    """A keyring."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get(name)

    def set_password(self, service: str, name: str, value: str) -> None:
        self.kept[name] = value

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[name]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    made = Ring()
    monkeypatch.setattr(asking, "_keyring", lambda: made)
    return made


@both
def test_passwords_are_kept_where_that_is_wanted(
    site: Site, transport: str, serve: Callable[..., StandIn], ring: Ring
) -> None:
    serve("password")
    person = Person(password=[WRONG, PASSWORD])
    site.open(ask=person, transport=transport, keep_passwords=True)
    assert list(ring.kept.values()) == [PASSWORD]
    assert says(site.open(transport=transport, keep_passwords=True)) == "here\n"
    with pytest.raises(RefusedError):
        site.open(transport=transport)


@both
def test_a_kept_password_that_is_wrong_is_forgotten(
    site: Site, transport: str, serve: Callable[..., StandIn], ring: Ring
) -> None:
    serve("password")
    site.open(ask=Person(password=[PASSWORD]), transport=transport, keep_passwords=True)
    (name,) = ring.kept
    ring.kept[name] = WRONG
    person = Person(password=[PASSWORD])
    site.open(ask=person, transport=transport, keep_passwords=True)
    assert ring.kept == {name: PASSWORD}


def test_what_nobody_answered_once_is_not_asked_again() -> None:
    person = Person()
    asker = Asker(person)
    question = Question(kind="password", text="x", about="y")
    assert asker.secret(question) == (None, False)
    assert asker.secret(question) == (None, False)
    assert len(person.asked) == 1
    assert asker.unanswered == question
