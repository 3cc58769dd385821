"""Logins that only the ssh program has: with a security key, a smart card, a ticket of Kerberos."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterctl.transport.ssh import master
from jupyterctl.transport.ssh.way import RefusedError, Way
from tests.conftest import need, wait_for
from tests.sshd import Sshd, free_port

from .conftest import Person, Site, block, says

PIN = "1234"


def let_in(server: Sshd, public_key: str) -> None:
    """From now on this key, too, is let in."""
    with (server.folder / "authorized_keys").open("a") as keys:
        keys.write(f"{public_key.strip()}\n")


def opened(site: Site, ask: Person | None = None) -> Way:
    """A way to `box` by the transport that is found out to be needed."""
    return site.open(ask=ask, transport="auto")


# -- a security key ----------------------------------------------------------------------------------------------------


class SecurityKey:
    """One that is a program, for no device can be had: touched by making a file."""

    def __init__(self, folder: Path) -> None:
        need("gcc", shutil.which("gcc"), "the security key is a small program in C")
        folder.mkdir()
        self.folder, self.program, self._touched = folder, folder / "token.so", folder / "touched"
        source, to = Path(__file__).with_name("token.c"), f'-DTOUCHED="{self._touched}"'
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", self.program, to, source, "-l:libcrypto.so.3"], check=True)

    def key(self, *options: str) -> Path:
        """A new key's file."""
        file = self.folder / f"key{len(options)}"
        command = ["ssh-keygen", "-q", "-t", "ed25519-sk", "-w", self.program, "-N", "", "-f", file, *options]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return file

    def touch(self) -> None:
        """As a person does."""
        self._touched.touch()


@pytest.fixture
def security_key(tmp_path: Path) -> SecurityKey:
    return SecurityKey(tmp_path / "token")


def with_security_key(site: Site, security_key: SecurityKey, *options: str) -> None:
    """Have a server that lets in its key alone."""
    server, file = site.sshd(), security_key.key(*options)
    (server.folder / "authorized_keys").write_text(file.with_suffix(".pub").read_text())
    site.replace(block(server, site, f"IdentityFile {file}", f"SecurityKeyProvider {security_key.program}"))


def test_a_security_key_is_asked_to_be_touched_and_waited_for(
    site: Site, security_key: SecurityKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master, "LOGIN_SECONDS", 1.0)  # the machine's time, which a person may exceed
    monkeypatch.setattr(master, "CONNECT_SECONDS", 1.0)
    with_security_key(site, security_key)
    told: list[Way] = []
    person = Person()
    thread = threading.Thread(target=lambda: told.append(opened(site, person)), daemon=True)
    thread.start()
    wait_for(lambda: person.kinds == ["notice"])
    assert "Confirm user presence for key" in person.asked[0].text
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 2.5)
    assert thread.is_alive()
    security_key.touch()
    thread.join(30)
    assert says(told[0]) == "here\n"


def test_a_security_keys_pin_is_asked_for(site: Site, security_key: SecurityKey) -> None:
    with_security_key(site, security_key, "-O", "verify-required")
    security_key.touch()
    person = Person(prompt=[PIN])
    assert says(opened(site, person)) == "here\n"
    question = person.asked[0]
    assert "PIN" in question.text
    assert question.secret


# -- a smart card ------------------------------------------------------------------------------------------------------

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The public key of a smart card, which is SoftHSM's."""
    need("softhsm", MODULE.exists() and shutil.which("softhsm2-util"), "SoftHSM is not installed")
    (tmp_path / "tokens").mkdir()
    config = tmp_path / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    key = tmp_path / "card.pem"
    login = ["--token", "card", "--pin", PIN]
    for command in (
        ["softhsm2-util", "--init-token", "--free", "--label", "card", "--pin", PIN, "--so-pin", "0000"],
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key],
        ["softhsm2-util", "--import", key, *login, "--label", "ssh", "--id", "01"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return subprocess.run(["ssh-keygen", "-D", MODULE], check=True, capture_output=True, text=True).stdout


def with_card(site: Site, card: str) -> None:
    server = site.sshd()
    (server.folder / "authorized_keys").write_text(card)
    site.replace(block(server, site, f"PKCS11Provider {MODULE}"))


def test_a_smart_card_lets_in_by_its_pin(site: Site, card: str) -> None:
    with_card(site, card)
    person = Person(prompt=[PIN])
    assert says(opened(site, person)) == "here\n"
    (question,) = person.asked
    assert "PIN for 'card'" in question.text
    assert question.secret


def test_nobody_knows_the_pin(site: Site, card: str) -> None:
    with_card(site, card)
    with pytest.raises(RefusedError, match="needs an answer to `Enter PIN for 'card'"):
        opened(site)


# -- Kerberos ----------------------------------------------------------------------------------------------------------

REALM = "LAB.TEST"
KRB5 = """
[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
"""
KDC = """
[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/acl
 }}
"""


class Kerberos:
    """A realm of its own: who is `root` in it is root at its machines."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.port = folder, free_port()
        self.keytab, self._persons = folder / "host.keytab", folder / "persons.keytab"
        words = {"realm": REALM, "port": self.port, "folder": folder}
        (folder / "krb5.conf").write_text(KRB5.format(**words))
        (folder / "kdc.conf").write_text(KDC.format(**words))
        self._run("kdb5_util", "create", "-s", "-P", "master", "-r", REALM)
        for principal, keytab in (("host/localhost", self.keytab), ("root", self._persons)):
            self._run("kadmin.local", "addprinc", "-randkey", principal)
            self._run("kadmin.local", "ktadd", "-k", str(keytab), principal)
        self.process = subprocess.Popen(["krb5kdc", "-n"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)

    def log_in(self) -> None:
        """Get a ticket."""
        self._run("kinit", "-k", "-t", str(self._persons), "root")


@pytest.fixture
def kerberos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kerberos]:
    monkeypatch.setenv("PATH", os.pathsep.join(("/usr/sbin", os.environ["PATH"])))
    need("kerberos", shutil.which("krb5kdc") and shutil.which("kinit"), "no Kerberos is installed")
    folder = tmp_path / "kerberos"
    for name, file in (("KRB5_CONFIG", "krb5.conf"), ("KRB5_KDC_PROFILE", "kdc.conf"), ("KRB5CCNAME", "tickets")):
        monkeypatch.setenv(name, str(folder / file))
    monkeypatch.setenv("KRB5_KTNAME", str(folder / "host.keytab"))
    made = Kerberos(folder)
    yield made
    made.process.kill()
    made.process.wait()


def by_ticket(site: Site) -> None:
    """Have a server that lets in by tickets alone."""
    server = site.sshd(extra="GSSAPIAuthentication yes\nGSSAPIStrictAcceptorCheck no\nPubkeyAuthentication no")
    lines = ("GSSAPIAuthentication yes", "PreferredAuthentications gssapi-with-mic", "HostKeyAlias box")
    site.known_hosts.write_text(f"box {server.known_hosts.partition(' ')[2]}")
    site.replace(block(server, site, *lines).replace("HostName 127.0.0.1", "HostName localhost"))


def test_a_ticket_lets_in(site: Site, kerberos: Kerberos) -> None:
    kerberos.log_in()
    by_ticket(site)
    assert says(opened(site)) == "here\n"


def test_without_a_ticket_nobody_is_let_in(site: Site, kerberos: Kerberos) -> None:
    by_ticket(site)
    with pytest.raises(RefusedError, match="gssapi-with-mic"):
        opened(site)
