"""Logging in with keys, by both transports, against a real sshd."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyterctl.transport.ssh.way import RefusedError
from tests.sshd import make_key

from .conftest import TRANSPORTS, Person, Site, block, says

both = pytest.mark.parametrize("transport", TRANSPORTS)


@both
def test_a_key_logs_in_without_a_question(site: Site, transport: str) -> None:
    site.sshd()
    person = Person()
    way = site.open(ask=person, transport=transport)
    assert says(way) == "here\n"
    assert not person.asked
    assert [phase for phase, _ in site.phases][:3] == ["resolve", "connect", "authenticate"]
    assert way.description.startswith("root@127.0.0.1:")


@both
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_of_every_type(site: Site, transport: str, kind: str) -> None:
    server = site.sshd()
    key = site.folder / "another"
    make_key(key, kind)
    (server.folder / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    site.replace(block(server, site, f"IdentityFile {key}", "IdentitiesOnly yes"))
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_an_encrypted_key_is_asked_for_once(site: Site, transport: str) -> None:
    server = site.sshd()
    encrypt(server.user_key)
    person = Person(passphrase=["sesame"])
    assert says(site.open(ask=person, transport=transport)) == "here\n"
    assert person.kinds == ["passphrase"]
    assert person.asked[0].about == str(server.user_key)


@both
def test_a_wrong_passphrase_is_asked_for_again(site: Site, transport: str) -> None:
    server = site.sshd()
    encrypt(server.user_key)
    person = Person(passphrase=["seasame", "sesame"])
    assert says(site.open(ask=person, transport=transport)) == "here\n"
    assert person.kinds == ["passphrase", "passphrase"]


def test_a_passphrase_is_not_asked_for_where_the_machine_does_not_take_the_key(site: Site) -> None:
    server = site.sshd()
    stranger = site.folder / "stranger"
    make_key(stranger, passphrase="sesame")
    site.replace(block(server, site, f"IdentityFile {stranger}", f"IdentityFile {server.user_key}"))
    person = Person()
    assert says(site.open(ask=person)) == "here\n"
    assert not person.asked


@both
def test_nobody_to_ask_says_what_is_wanted(site: Site, transport: str) -> None:
    server = site.sshd()
    encrypt(server.user_key)
    with pytest.raises(RefusedError) as error:
        site.open(transport=transport)
    assert error.value.message.endswith(f"needs the passphrase of `{server.user_key}`, and nobody is here to give it")
    assert error.value.hint == f"give the key to the agent: ssh-add {server.user_key}"


@both
def test_a_key_in_the_agent(site: Site, transport: str, agent: Callable[..., str], monkeypatch) -> None:
    server = site.sshd()
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(server.user_key))
    server.user_key.rename(site.folder / "away")
    site.replace(block(server, site))
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_an_rsa_key_in_the_agent_signs_by_a_hash_that_is_taken(
    site: Site, transport: str, agent: Callable[..., str], monkeypatch
) -> None:
    server = site.sshd()
    key = site.folder / "rsa"
    make_key(key, "rsa")
    (server.folder / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(key))
    site.replace(block(server, site))
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_identity_agent_is_asked_rather_than_the_one_of_the_environment(
    site: Site, transport: str, agent: Callable[..., str]
) -> None:
    server = site.sshd()
    path = agent(server.user_key)
    site.replace(block(server, site, f'IdentityAgent "{path}"', f"IdentityFile {site.folder}/none"))
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_identities_only_leaves_the_others_of_an_agent_alone(
    site: Site, transport: str, agent: Callable[..., str], monkeypatch
) -> None:
    """Six strangers in the agent, and a server that takes three tries: only the named key is tried."""
    server = site.sshd(extra="MaxAuthTries 3")
    strangers = [site.folder / f"stranger{number}" for number in range(6)]
    for stranger in strangers:
        make_key(stranger)
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(*strangers, server.user_key))
    shutil.move(server.user_key, site.folder / "away")
    site.replace(block(server, site, f"IdentityFile {server.user_key}.pub", "IdentitiesOnly yes"))
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_too_many_keys_hint_at_identities_only(
    site: Site, transport: str, agent: Callable[..., str], monkeypatch
) -> None:
    server = site.sshd(extra="MaxAuthTries 3")
    strangers = [site.folder / f"stranger{number}" for number in range(6)]
    for stranger in strangers:
        make_key(stranger)
    monkeypatch.setenv("SSH_AUTH_SOCK", agent(*strangers))
    site.replace(block(server, site))
    with pytest.raises(RefusedError, match="Too many authentication failures") as error:
        site.open(transport=transport)
    assert "IdentitiesOnly" in error.value.hint


@both
def test_a_key_that_is_not_taken(site: Site, transport: str) -> None:
    server = site.sshd()
    (server.folder / "authorized_keys").write_text("")
    with pytest.raises(RefusedError, match="refuses the login") as error:
        site.open(transport=transport)
    assert "ssh -v box" in error.value.hint
    if transport == "paramiko":
        assert f"tried `{server.user_key}`; it takes publickey" in error.value.message


@both
def test_a_user_that_does_not_exist(site: Site, transport: str) -> None:
    site.sshd()
    with pytest.raises(RefusedError) as error:
        site.open("nosuchuser@box", transport=transport)
    assert "`nosuchuser@127.0.0.1:" in error.value.message
    assert "is `nosuchuser` the right user" in error.value.hint


@both
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_user_certificate(site: Site, transport: str, kind: str, beside: bool) -> None:
    server, authority, key = site.sshd(), site.folder / "authority", site.folder / "mine"
    make_key(authority)
    make_key(key, kind)
    sign(authority, key, "-n", "root")
    (server.folder / "authorized_keys").write_text(f"cert-authority {authority.with_suffix('.pub').read_text()}")
    lines = [f"IdentityFile {key}", "IdentitiesOnly yes"]
    if not beside:
        shutil.move(f"{key}-cert.pub", site.folder / "elsewhere.pub")
        lines.append(f"CertificateFile {site.folder / 'elsewhere.pub'}")
    site.replace(block(server, site, *lines))
    assert says(site.open(transport=transport)) == "here\n"


def test_a_file_that_is_no_key_is_passed_over(site: Site) -> None:
    server = site.sshd()
    nonsense = site.folder / "nonsense"
    nonsense.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnothing\n-----END OPENSSH PRIVATE KEY-----\n")
    site.replace(block(server, site, f"IdentityFile {nonsense}", f"IdentityFile {server.user_key}"))
    assert says(site.open()) == "here\n"


def encrypt(key: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "sesame", "-f", str(key)], check=True, capture_output=True
    )


def sign(authority: Path, key: Path, *options: str) -> None:
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", *options, str(key.with_suffix(".pub"))]
    subprocess.run(command, check=True, capture_output=True)
