"""Whether the machine is the one we know: against real servers, and by the file's text alone."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from jupyterctl.transport.ssh import hostkeys
from jupyterctl.transport.ssh.route import Route
from jupyterctl.transport.ssh.way import RefusedError
from tests.sshd import make_key

from .conftest import TRANSPORTS, Person, Site, block, says

both = pytest.mark.parametrize("transport", TRANSPORTS)


def public(key: Path) -> str:
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def fingerprint(key: Path) -> str:
    return subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout.split()[1]


@both
def test_an_unknown_key_is_asked_about_once_with_its_fingerprint(site: Site, transport: str) -> None:
    server = site.sshd(known=False)
    person = Person(host_key=["yes"])
    assert says(site.open(ask=person, transport=transport)) == "here\n"
    assert person.kinds == ["host-key"]
    assert not person.asked[0].secret
    assert fingerprint(server.host_key) in person.asked[0].text
    if transport == "paramiko":
        assert str(site.known_hosts) in person.asked[0].text
    assert public(server.host_key) in site.known_hosts.read_text()
    if transport == "paramiko":
        assert site.known_hosts.stat().st_mode & 0o777 == 0o600
    site.open(ask=person, transport=transport)
    assert len(person.asked) == 1


@both
@pytest.mark.parametrize("hashed", ["yes", "no"])
def test_what_is_written_is_hashed_where_that_is_wanted(site: Site, transport: str, hashed: str) -> None:
    server = site.sshd(known=False, options=f"HashKnownHosts {hashed}")
    site.open(ask=Person(host_key=["yes"]), transport=transport)
    assert ("127.0.0.1" not in site.known_hosts.read_text()) == (hashed == "yes")
    found = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{server.port}", "-f", str(site.known_hosts)],
        capture_output=True,
        check=False,
    )
    assert found.returncode == 0
    assert says(site.open(transport=transport)) == "here\n"


@both
@pytest.mark.parametrize("answer", ["no", "", "maybe"])
def test_a_key_that_is_not_accepted(site: Site, transport: str, answer: str) -> None:
    site.sshd(known=False)
    with pytest.raises(RefusedError, match="was not accepted"):
        site.open(ask=Person(host_key=[answer]), transport=transport)
    assert not site.known_hosts.exists() or not site.known_hosts.read_text()


@both
def test_an_unknown_key_and_nobody_to_ask(site: Site, transport: str) -> None:
    site.sshd(known=False)
    with pytest.raises(RefusedError, match="is not known, and nobody is here") as error:
        site.open(transport=transport)
    assert "ssh box" in error.value.hint


@both
@pytest.mark.parametrize("checking", ["ask", "yes", "no", "accept-new"])
def test_a_changed_key_is_always_refused(site: Site, transport: str, checking: str) -> None:
    server = site.sshd(known=False, options=f"StrictHostKeyChecking {checking}")
    other = site.folder / "other"
    make_key(other)
    site.known_hosts.write_text(f"# mine\n[127.0.0.1]:{server.port} {public(other)}\n")
    person = Person(host_key=["yes"])
    with pytest.raises(RefusedError, match="has changed") as error:
        site.open(ask=person, transport=transport)
    assert f"{site.known_hosts}:2" in error.value.message
    assert fingerprint(server.host_key) in error.value.message
    assert "ssh-keygen -f" in error.value.hint
    assert "-R" in error.value.hint
    assert not person.asked
    assert public(server.host_key) not in site.known_hosts.read_text()


@both
def test_strict_checking_refuses_what_is_unknown(site: Site, transport: str) -> None:
    site.sshd(known=False, options="StrictHostKeyChecking yes")
    person = Person(host_key=["yes"])
    with pytest.raises(RefusedError, match="is not known, and the ssh configuration wants it to be"):
        site.open(ask=person, transport=transport)
    assert not person.asked


@both
def test_accept_new_writes_it_down(site: Site, transport: str) -> None:
    server = site.sshd(known=False, options="StrictHostKeyChecking accept-new")
    site.open(transport=transport)
    assert public(server.host_key) in site.known_hosts.read_text()


@both
def test_a_revoked_key_is_refused_even_where_it_is_known(site: Site, transport: str) -> None:
    server = site.sshd()
    with site.known_hosts.open("a") as text:
        text.write(f"@revoked * {public(server.host_key)}\n")
    with pytest.raises(RefusedError, match="revoked"):
        site.open(transport=transport)


@both
def test_another_type_of_key_is_no_unknown_machine(site: Site, transport: str) -> None:
    """The server prefers nothing: it has two keys, the file knows only the one that would come second."""
    second = site.folder / "second"
    make_key(second, "ecdsa")
    server = site.sshd(extra=f"HostKey {second}", known=False)
    site.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public(second)}\n")
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_an_rsa_host_key_is_known_by_its_type(site: Site, transport: str) -> None:
    second = site.folder / "second"
    make_key(second, "rsa")
    server = site.sshd(extra=f"HostKey {second}", known=False)
    site.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public(second)}\n")
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_a_host_key_alias_stands_in_the_file(site: Site, transport: str) -> None:
    server = site.sshd(known=False, options="HostKeyAlias Precious")
    site.known_hosts.write_text(f"precious {public(server.host_key)}\n")
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_a_line_without_the_port_vouches_too(site: Site, transport: str) -> None:
    server = site.sshd(known=False)
    site.known_hosts.write_text(f"127.0.0.1 {public(server.host_key)}\n")
    assert says(site.open(transport=transport)) == "here\n"


@both
def test_several_files(site: Site, transport: str) -> None:
    server = site.sshd(known=False)
    more = site.folder / "more hosts"
    more.write_text(f"[127.0.0.1]:{server.port} {public(server.host_key)}\n")
    user = f"IdentityFile {server.user_key}"
    site.replace(block(server, site, user).replace(str(site.known_hosts), f'"{site.folder / "none"}" "{more}"'))
    assert says(site.open(transport=transport)) == "here\n"


def test_a_host_authority_is_the_ssh_programs_to_check(site: Site) -> None:
    authority = site.folder / "authority"
    make_key(authority)
    server = site.sshd(known=False)
    pub = server.host_key.with_suffix(".pub")
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-h", "-n", "127.0.0.1", str(pub)], check=True)
    server.stop()
    server.extra = f"HostCertificate {server.host_key}-cert.pub"
    server.start()
    site.known_hosts.write_text(f"@cert-authority *,[127.0.0.1]:* {public(authority)}\n")
    assert "ssh program" in site.open(transport="auto").description
    with pytest.raises(RefusedError, match="certificate authority") as error:
        site.open(transport="paramiko")
    assert 'transport = "openssh"' in error.value.hint


# -- by the text alone ------------------------------------------------------------------------------------------------

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIKdhbW1lcmwgdGVzdCBrZXkgdGhhdCBpcyBub25lISE="


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"box ssh-ed25519 {KEY}", True),
        (f"BOX ssh-ed25519 {KEY} with a comment", True),
        (f"other,box\tssh-ed25519   {KEY}", True),
        (f"b?x ssh-ed25519 {KEY}", True),
        (f"*,!box ssh-ed25519 {KEY}", False),
        (f"!box,* ssh-ed25519 {KEY}", False),
        (f"[box]:22 ssh-ed25519 {KEY}", False),
        (f"boxes ssh-ed25519 {KEY}", False),
        ("box ssh-ed25519", False),
        ("box ssh-ed25519 not!base64", False),
        (f"@nonsense box ssh-ed25519 {KEY}", False),
        (f"# box ssh-ed25519 {KEY}", False),
        ("|1|bad|hash|x ssh-ed25519 AAAA", False),
        pytest.param(f"{hostkeys.hash_name('box')} ssh-ed25519 {KEY}", True, id="hashed"),
        pytest.param(f"{hostkeys.hash_name('bax')} ssh-ed25519 {KEY}", False, id="hashed, another"),
        (f"@revoked box ssh-ed25519 {KEY}", True),
    ],
)
def test_which_lines_name_a_machine(tmp_path: Path, line: str, found: bool) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"nonsense\n\n{line}\n\xff\n", encoding="latin-1")
    assert [entry.line for entry in hostkeys.read(str(file), "box")] == ([3] if found else [])


def test_ssh_keygen_agrees_about_a_name_that_we_hash(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "known_hosts"
    key = hostkeys.base64.b64decode(KEY)
    hostkeys.remember(str(file), "[box]:2222", "ssh-ed25519", key, hashed=True)
    done = subprocess.run(["ssh-keygen", "-F", "[box]:2222", "-f", str(file)], capture_output=True, check=False)
    assert done.returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_last_line_without_an_end_is_not_run_into(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"a ssh-ed25519 {KEY}")
    hostkeys.remember(str(file), "b", "ssh-ed25519", hostkeys.base64.b64decode(KEY), hashed=False)
    assert file.read_text() == f"a ssh-ed25519 {KEY}\nb ssh-ed25519 {KEY}\n"


def test_only_lines_that_name_the_machine_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "known_hosts"
    names = [hostkeys.hash_name(f"h{number}") if number % 2 else f"h{number}" for number in range(3000)]
    file.write_text("".join(f"{name} ssh-ed25519 {KEY}\n" for name in names))
    decoded: list[object] = []
    real = hostkeys.base64.b64decode
    monkeypatch.setattr(hostkeys.base64, "b64decode", lambda *a, **kw: (decoded.append(a), real(*a, **kw))[1])
    route = Route(name="h2999", host="H2999", user_known_hosts=(str(file),))
    began = time.perf_counter()
    known = hostkeys.look_up(route)
    print(f"3,000 lines: {1000 * (time.perf_counter() - began):.1f} ms")
    assert [entry.line for entry in known.keys] == [3000]
    assert len(decoded) == 1
