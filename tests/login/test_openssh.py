"""What only the way through the ssh program does: its master, its relays, its end."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from jupyterctl.transport.ssh import master, openssh
from jupyterctl.transport.ssh.openssh import OpenSSHWay
from jupyterctl.transport.ssh.pump import READ
from jupyterctl.transport.ssh.relay import CopyingRelay, Relay
from jupyterctl.transport.ssh.way import ClosedError, RefusedError
from tests.conftest import PATIENCE, wait_for
from tests.link.far import Far, blob
from tests.sshd import CONFIG, free_port

from .conftest import TRANSPORTS, Site, says


@pytest.fixture
def far():
    server = Far()
    yield server
    server.close()


@pytest.fixture(params=[Relay, CopyingRelay])
def way(request: pytest.FixtureRequest, site: Site, monkeypatch: pytest.MonkeyPatch) -> OpenSSHWay:
    """Moving bytes both ways that there are: by the system, and through a buffer."""
    monkeypatch.setattr(openssh, "KIND", request.param)
    site.sshd()
    opened = site.open(transport="openssh")
    assert isinstance(opened, OpenSSHWay)
    return opened


class Client:
    """A connection through a way, and what became of it."""

    def __init__(self, way: OpenSSHWay, to: tuple[str, int] | str) -> None:
        self.socket, self.given = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.refused: list[str] = []
        self.lost = threading.Event()
        way.forward(self.given, to, self.refused.append, self.lost.set)

    def say(self, line: str) -> Client:
        self.socket.sendall(f"{line}\n".encode())
        return self

    def rest(self) -> bytes:
        parts = []
        while data := self.socket.recv(1 << 20):
            parts.append(data)
        return b"".join(parts)


def gone(way: OpenSSHWay) -> None:
    wait_for(lambda: not way._relays)


@pytest.mark.parametrize("size", [0, 1, 70_001, 30_000_000])
def test_what_the_far_end_sends_arrives_whole(way: OpenSSHWay, far: Far, size: int) -> None:
    client = Client(way, far.to).say(f"send {size}")
    assert client.rest() == blob(size)
    client.socket.close()
    gone(way)


@pytest.mark.parametrize("size", [0, 1, 70_001, 30_000_000])
def test_what_the_client_sends_arrives_whole_and_its_end_is_half_a_close(way: OpenSSHWay, far: Far, size: int) -> None:
    client = Client(way, far.to).say("sum")
    client.socket.sendall(blob(size))
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest().decode() == hashlib.sha256(blob(size)).hexdigest()
    gone(way)


def test_a_client_that_reads_late_gets_all(way: OpenSSHWay, far: Far) -> None:
    slow = Client(way, far.to).say("send 20000000")
    quick = Client(way, far.to).say("send 1000000")
    assert quick.rest() == blob(1_000_000)
    assert slow.rest() == blob(20_000_000)


def test_nobody_listens(way: OpenSSHWay) -> None:
    client = Client(way, ("127.0.0.1", free_port()))
    client.socket.sendall(b"unread")
    wait_for(lambda: client.refused)
    assert client.given.recv(100) == b"unread"
    assert not client.lost.is_set()
    gone(way)


def test_a_client_that_goes_away(way: OpenSSHWay, far: Far) -> None:
    client = Client(way, far.to).say("send 50000000")
    assert client.socket.recv(1000)
    client.socket.close()
    gone(way)
    assert Client(way, far.to).say("send 5").rest() == blob(5)


def test_many_connections_leave_nothing_behind(way: OpenSSHWay, far: Far) -> None:
    Client(way, far.to).say("send 10").rest()
    gone(way)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        clients = [Client(way, far.to).say("send 10000") for _ in range(40)]
        assert all(client.rest() == blob(10_000) for client in clients)
        for client in clients:
            client.socket.close()
    gone(way)
    wait_for(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)


@pytest.fixture
def unix(tmp_path_factory: pytest.TempPathFactory):
    """A unix socket that returns what it is sent."""
    path = str(tmp_path_factory.mktemp("u") / "s")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def accept() -> None:
        try:
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_a_unix_socket(way: OpenSSHWay, unix: str) -> None:
    for _ in range(3):
        client, data = Client(way, unix), blob(3_000_000)

        def send(client: Client = client, data: bytes = data) -> None:
            client.socket.sendall(data)
            client.socket.shutdown(socket.SHUT_WR)

        threading.Thread(target=send).start()
        assert client.rest() == data
    gone(way)
    assert len(way._listeners) == 1


def test_a_unix_socket_where_nobody_listens(way: OpenSSHWay, tmp_path: Path) -> None:
    client = Client(way, str(tmp_path / "none"))
    client.socket.sendall(b"unread")
    wait_for(lambda: client.refused)
    assert client.given.recv(100) == b"unread"
    gone(way)


def test_commands(way: OpenSSHWay) -> None:
    stream = way.execute("cat; echo complaint >&2; exit 3")
    stream.write(b"line\n" * 100_000)
    stream.end_input()
    parts = []
    while data := stream.read(1 << 16):
        parts.append(data)
    assert b"".join(parts) == b"line\n" * 100_000
    assert stream.wait(10) == 3
    wait_for(lambda: stream.errors() == "complaint\n")
    stream.close()


def test_a_command_may_be_let_go_of_while_it_complains(way: OpenSSHWay) -> None:
    """The thread that hears it may have been told so just before."""
    stream = way.execute("echo complaint >&2; sleep 60")
    stream.close()
    stream._complain(READ)
    assert way.execute("echo out").read(100) == b"out\n"


def test_a_command_that_is_still_running_has_no_status(way: OpenSSHWay) -> None:
    stream = way.execute("sleep 1000")
    assert stream.wait(0) is None
    stream.close()


def test_files(way: OpenSSHWay, tmp_path: Path) -> None:
    files = way.files()
    with files.open(str(tmp_path / "there"), "w") as file:
        file.write(blob(300_000))
    assert (tmp_path / "there").read_bytes() == blob(300_000)
    with files.open(str(tmp_path / "there")) as file:
        file.prefetch()
        assert file.read() == blob(300_000)
    files.close()


def test_a_machine_that_runs_no_commands(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master, "LOGIN_SECONDS", 1.0)
    site.sshd(extra="ForceCommand cat", options="ConnectTimeout 1")
    with pytest.raises(RefusedError, match="lets us in, but runs no commands"):
        site.open(transport="openssh")


def test_a_machine_without_file_transfer(site: Site) -> None:
    server = site.sshd()
    server.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.sshd.CONFIG", CONFIG.replace("internal-sftp", "/nowhere/sftp-server"))
        server.start()
    for transport in TRANSPORTS:
        with pytest.raises(RefusedError, match="offers no file transfer"):
            site.open(transport=transport).files()


def test_a_probe_is_answered(way: OpenSSHWay) -> None:
    before = way.heard()
    way.probe()
    wait_for(lambda: way.round_trip() is not None)
    assert way.heard() > before


def test_the_end_is_noticed_and_tells_why(site: Site, far: Far) -> None:
    server = site.sshd()
    way = site.open(transport="openssh")
    client = Client(way, far.to).say("send 10")
    assert client.rest() == blob(10)
    server.kill_sessions()
    assert way.closed.wait(10)
    assert way.why
    for use in (lambda: way.execute("true"), way.files, way.probe, lambda: Client(way, far.to)):
        with pytest.raises(ClosedError):
            use()


def test_nothing_is_left_of_it(site: Site) -> None:
    site.sshd()
    way = site.open(transport="openssh")
    folder, process = way._master.folder, psutil.Process(way._master.process.pid)
    assert folder.stat().st_mode & 0o777 == 0o700
    way.close()
    assert not folder.exists()
    assert not process.is_running()
    assert way.why == "it was closed here"
    way.close()


def test_a_master_of_the_persons_own_is_left_alone(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = tmp_path_factory.mktemp("m") / "s"
    lines = "ControlMaster auto", f"ControlPath {own}", "ControlPersist yes", "LocalForward 1 localhost:1"
    site.sshd(options="\n".join((*lines, "RemoteCommand false", "RequestTTY force", "SessionType none")))
    assert says(site.open(transport="openssh")) == "here\n"
    assert not own.exists()


def test_what_a_killed_process_left_is_removed(
    site: Site, tmp_path_factory: pytest.TempPathFactory, monkeypatch
) -> None:
    place = tmp_path_factory.mktemp("p")
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, own = place / f"jctl-{ended.pid}-x", place / f"jctl-{os.getpid()}-x"
    for folder in (left, own):
        folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    site.sshd()
    site.open(transport="openssh")
    assert not left.exists()
    assert own.exists()
    assert len(list(place.iterdir())) == 2


def test_two_hundred_at_once(way: OpenSSHWay, far: Far) -> None:
    """More than the program lets wait for it."""
    with ThreadPoolExecutor(100) as pool:
        clients = list(pool.map(lambda _: Client(way, far.to).say("send 1000"), range(200)))
        assert all(rest == blob(1000) for rest in pool.map(Client.rest, clients))
    assert not any(client.refused or client.lost.is_set() for client in clients)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_start_up_files_may_print_where_files_are_transferred(site: Site, transport: str, tmp_path: Path) -> None:
    """As a noisy `~/.bashrc` does where the sftp program is started by the login shell."""
    noise = tmp_path / "noise"
    noise.write_text('#!/bin/sh\necho Welcome\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    noise.chmod(0o755)
    site.sshd(extra=f"ForceCommand {noise}")
    server = site.servers[0]
    server.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.sshd.CONFIG", CONFIG.replace("internal-sftp", "/usr/lib/openssh/sftp-server"))
        server.start()
    files = site.open(transport=transport).files()
    with files.open(str(tmp_path / "there"), "w") as file:
        file.write(blob(300_000))
    assert (tmp_path / "there").read_bytes() == blob(300_000)
    files.close()
