"""Getting to a machine: jump hosts, proxy commands, the configuration's own words, and lines that are bad."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jupyterctl.errors import ConfigError, UnreachableError, UsageError
from jupyterctl.transport.ssh.route import resolve, split
from jupyterctl.transport.ssh.way import RefusedError
from tests.conftest import wait_for
from tests.sshd import free_port

from .conftest import TRANSPORTS, Person, Site, block, says

both = pytest.mark.parametrize("transport", TRANSPORTS)


@both
def test_two_jump_hosts(site: Site, transport: str) -> None:
    first, second = site.sshd("first"), site.sshd("second")
    box = site.sshd("box", options="ProxyJump first,second")
    way = site.open(transport=transport)
    assert says(way) == "here\n"
    assert "by way of first,second" in way.description
    for server in (first, second, box):
        assert "Accepted publickey" in server.log
    way.close()
    wait_for(lambda: not any(server.sessions() for server in (first, second, box)))


@both
def test_a_jump_host_with_a_jump_host_of_its_own(site: Site, transport: str) -> None:
    first = site.sshd("first")
    site.sshd("second", options="ProxyJump first")
    site.sshd("box", options="ProxyJump second")
    assert says(site.open(transport=transport)) == "here\n"
    assert "Accepted publickey" in first.log


@both
def test_a_jump_hosts_key_is_checked(site: Site, transport: str) -> None:
    site.sshd("first", known=False)
    site.sshd("box", options="ProxyJump first")
    with pytest.raises(RefusedError, match="host key"):
        site.open(transport=transport)


def test_the_way_ends_with_its_jump_host(site: Site) -> None:
    first = site.sshd("first")
    site.sshd("box", options="ProxyJump first")
    way = site.open()
    first.kill_sessions()
    assert way.closed.wait(10)


def test_a_jump_host_that_does_not_get_further(site: Site) -> None:
    site.sshd("first")
    site.write(f"Host box\n  HostName 127.0.0.1\n  Port {free_port()}\n  ProxyJump first\n")
    with pytest.raises(UnreachableError, match=r"`first` cannot connect to it: .*refused"):
        site.open()


def test_a_circle_of_jump_hosts_comes_to_an_end(site: Site) -> None:
    site.write("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(RefusedError, match="goes through"):
        site.open("a")


@both
def test_a_proxy_command_ends_with_the_way(site: Site, transport: str) -> None:
    first = site.sshd("first")
    command = f"ProxyCommand ssh -F {site.config} -W [%h]:%p first"
    box = site.sshd("box", options=command)
    way = site.open(transport=transport)
    assert says(way) == "here\n"
    running = [each for each in psutil.process_iter() if is_proxy(each, box.port)]
    assert running
    way.close()
    assert not psutil.wait_procs(running, timeout=10)[1]
    wait_for(lambda: not first.sessions())


@both
def test_a_proxy_command_that_fails_says_why(site: Site, transport: str) -> None:
    site.sshd("box", options="ProxyCommand echo no such gateway >&2; exit 3")
    with pytest.raises(UnreachableError, match="no such gateway" if transport == "paramiko" else "cannot be reached"):
        site.open(transport=transport)


def test_a_proxy_command_that_dies_ends_the_way(site: Site) -> None:
    site.sshd("first")
    box = site.sshd("box", options=f"ProxyCommand ssh -F {site.config} -W [%h]:%p first")
    way = site.open()
    for each in psutil.process_iter():
        if is_proxy(each, box.port):
            each.kill()
    assert way.closed.wait(10)


def is_proxy(process: psutil.Process, port: int) -> bool:
    try:
        return process.name() == "ssh" and f"[127.0.0.1]:{port}" in process.cmdline()
    except psutil.Error:
        return False


# -- the configuration ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["ssh", "no ssh"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the ssh program, and without one."""
    if request.param == "no ssh":
        monkeypatch.setattr("shutil.which", lambda _name: None)
    return str(request.param)


def test_include_and_match(site: Site, reader: str) -> None:
    (site.config.parent / "more").write_text("Host inc*\n  HostName %h.example.org\n  User %r\n  Port 2201\n")
    site.replace(
        f"Include {site.config.parent}/mo?e\nHost *\n  ServerAliveInterval 7\n"
        "Match originalhost incl user eve\n  IdentitiesOnly yes\n"
    )
    route = resolve("eve@incl", config=site.config)
    assert (route.host, route.user, route.port) == ("incl.example.org", "eve", 2201)
    assert route.identities_only
    assert route.server_alive_interval == 7
    assert not resolve("incl", config=site.config).identities_only


def test_an_include_in_a_block_belongs_to_it(site: Site, reader: str) -> None:
    (site.config.parent / "ports").write_text("Port 2201\nHost other\n  Port 2202\n")
    site.replace(f"Host box\n  Include {site.config.parent}/ports\n  User eve\n")
    assert (resolve("box", config=site.config).port, resolve("box", config=site.config).user) == (2201, "eve")
    assert resolve("elsewhere", config=site.config).port == 22


def test_paths_and_tokens(site: Site, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = site.folder / "key for box"
    key.touch()
    monkeypatch.setenv("SOCKETS", "/run/x")
    site.replace(
        f'Host box\n  HostName 10.1.2.3\n  Port 2022\n  User eve\n  IdentityFile "{site.folder}/key for %n"\n'
        "  IdentityFile /nowhere/none\n  IdentityAgent ${SOCKETS}/agent\n"
        "  ProxyCommand nc -x %r@%h:%p 100%%\n  ConnectTimeout 1m\n"
        '  UserKnownHostsFile "/a b/known" ~/.ssh/other\n'
    )
    route = resolve("box", config=site.config)
    assert route.identity_files == (str(key),)
    assert route.identity_agent == "/run/x/agent"
    assert route.proxy_command == "nc -x eve@10.1.2.3:2022 100%"
    assert route.user_known_hosts == ("/a b/known", str(Path.home() / ".ssh/other"))
    if reader == "ssh":
        assert route.connect_timeout == 60


def test_nothing_said(site: Site, reader: str) -> None:
    site.replace("")
    route = resolve("me@host.example:2201", config=site.config)
    assert (route.user, route.host, route.port) == ("me", "host.example", 2201)
    assert not route.alias
    assert route.strict_host_key_checking == "ask"
    assert str(Path.home() / ".ssh/known_hosts") in route.user_known_hosts
    assert route.authentications[-3:] == ("publickey", "keyboard-interactive", "password")
    assert not route.needs_openssh


def test_what_is_wrong_in_the_file_is_said(site: Site) -> None:
    site.replace("Host box\n  Prot 22\n")
    with pytest.raises(ConfigError, match="line 2: Bad configuration option: prot"):
        site.open()


def test_match_of_other_types_is_an_error_without_the_ssh_program(site: Site, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    site.replace('Match exec "true"\n  Port 2201\n')
    with pytest.raises(ConfigError, match="Match exec") as error:
        site.open()
    assert "install the ssh program" in error.value.hint


def test_match_exec_is_the_ssh_programs_to_run(site: Site) -> None:
    site.replace('Match exec "test %n = box"\n  Port 2201\n')
    assert resolve("box", config=site.config).port == 2201
    assert resolve("bax", config=site.config).port == 22


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "a b", "box:0", "box:x", "", "a;b", "$(x)", "me@", "box\n"])
def test_names_that_cannot_be(text: str) -> None:
    if text == "box\n":
        assert split(text) == ("", "box", None)
        return
    with pytest.raises(UsageError):
        split(text)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("PreferredAuthentications gssapi-with-mic", "gssapi"),
        ("PKCS11Provider /usr/lib/x.so", "PKCS11Provider"),
        ("RevokedHostKeys /etc/ssh/revoked", "RevokedHostKeys"),
    ],
)
def test_what_only_the_ssh_program_can_do(site: Site, line: str, why: str) -> None:
    site.replace(f"Host box\n  GSSAPIAuthentication yes\n  {line}\n")
    assert why in resolve("box", config=site.config).needs_openssh


def test_a_security_keys_file_is_for_the_ssh_program(site: Site) -> None:
    import base64
    import struct

    kind = b"sk-ssh-ed25519@openssh.com"
    blob = b"".join(struct.pack(">I", len(part)) + part for part in (kind, b"x" * 32, b"ssh:"))
    key = site.folder / "sk"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key.with_suffix(".pub").write_text(f"{kind.decode()} {base64.b64encode(blob).decode()} me\n")
    site.replace(f"Host box\n  IdentityFile {key}\n")
    assert "security key" in resolve("box", config=site.config).needs_openssh


# -- bad lines --------------------------------------------------------------------------------------------------------


@both
def test_nobody_listens(site: Site, transport: str) -> None:
    with pytest.raises(UnreachableError, match=r"127.0.0.1:.* refuses connections"):
        site.open(f"me@127.0.0.1:{free_port()}", transport=transport)


@both
def test_a_name_that_does_not_resolve(site: Site, transport: str) -> None:
    site.write("")
    with pytest.raises(UnreachableError, match=r"`nowhere.invalid` does not resolve"):
        site.open("nowhere.invalid", transport=transport)


def test_an_alias_whose_host_does_not_resolve(site: Site) -> None:
    site.write("Host box\n  HostName nowhere.invalid\n")
    with pytest.raises(UnreachableError, match="which is `box`'s HostName, does not resolve"):
        site.open()


@pytest.fixture
def listening() -> Callable[[Callable[[socket.socket], object]], int]:
    """A port where a function is called with each connection."""
    servers = []

    def listen(serve: Callable[[socket.socket], object], backlog: int = 8) -> int:
        server = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        servers.append(server)

        def run() -> None:
            kept = []
            try:
                while True:
                    kept.append(server.accept()[0])
                    serve(kept[-1])
            except OSError:
                return

        threading.Thread(target=run, daemon=True).start()
        return int(server.getsockname()[1])

    yield listen
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_a_port_that_accepts_and_says_nothing(site: Site, listening) -> None:
    site.write("")
    with pytest.raises(UnreachableError, match="says nothing for 1 s"):
        site.open(f"127.0.0.1:{listening(lambda _sock: None)}", timeout=1)


def test_a_port_that_hangs_up(site: Site, listening) -> None:
    site.write("")
    with pytest.raises(UnreachableError, match="closed the connection before any login"):
        site.open(f"127.0.0.1:{listening(socket.socket.close)}")


def test_a_port_of_something_else(site: Site, listening) -> None:
    site.write("")
    port = listening(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200))
    with pytest.raises(RefusedError, match="is no ssh server"):
        site.open(f"127.0.0.1:{port}")


@both
def test_an_address_that_never_answers(site: Site, transport: str) -> None:
    """A listener whose queue is full drops what comes."""
    site.write("Host *\n  ConnectTimeout 1\n")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        filling = []
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            filling.append(sock)
        with pytest.raises(UnreachableError, match="does not answer"):
            site.open(f"127.0.0.1:{address[1]}", transport=transport)
        for sock in filling:
            sock.close()


def test_the_next_address_is_tried(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server = site.sshd()
    real = socket.getaddrinfo

    def both_families(host: str, port: int, *rest: object, **kw: object):
        if host != "two.invalid":
            return real(host, port, *rest, **kw)
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, kind, 6, "", ("::1", server.port, 0, 0)),
            (socket.AF_INET, kind, 6, "", ("127.0.0.1", server.port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both_families)
    site.replace(
        block(server, site, f"IdentityFile {server.user_key}", "HostKeyAlias box").replace(
            "127.0.0.1", "two.invalid", 1
        )
    )
    site.known_hosts.write_text(f"box {server.known_hosts.partition(' ')[2]}")
    assert says(site.open()) == "here\n"


def test_the_person_is_asked_by_name_of_each_machine(site: Site) -> None:
    site.sshd("first", known=False)
    site.sshd("box", options="ProxyJump first", known=False)
    person = Person(host_key=["yes", "yes"])
    site.open(ask=person)
    assert [question.text.split()[0] for question in person.asked] == ["first", "box"]
