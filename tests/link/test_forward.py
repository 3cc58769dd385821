"""Forwarded connections over a real sshd: nothing lost, nothing left over."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyterctl.transport.ssh.connection import ParamikoWay
from jupyterctl.transport.ssh.way import ClosedError
from tests.conftest import PATIENCE, wait_for
from tests.sshd import Sshd, free_port

from .conftest import Connect
from .far import Far, blob

SIZES = (0, 1, (32 << 10) - 1, 32 << 10, (32 << 10) + 1, (128 << 10) + 1, 50_000_000)


class Client:
    """A connection through a way, and what became of it."""

    def __init__(self, way: ParamikoWay, to: object) -> None:
        self.socket, given = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.refused: list[str] = []
        self.lost = threading.Event()
        self.given = given
        way.forward(given, to, self.refused.append, self.lost.set)

    def say(self, line: str) -> Client:
        self.socket.sendall(f"{line}\n".encode())
        return self

    def rest(self) -> bytes:
        """All that comes until the end."""
        parts = []
        while data := self.socket.recv(1 << 20):
            parts.append(data)
        return b"".join(parts)


def channels(way: ParamikoWay) -> int:
    return len(way.transport._channels)


def settled(way: ParamikoWay) -> None:
    wait_for(lambda: channels(way) == 0)


@pytest.mark.parametrize("size", SIZES)
def test_what_the_far_end_sends_arrives_whole(way: ParamikoWay, far: Far, size: int) -> None:
    client = Client(way, far.to).say(f"send {size}")
    assert client.rest() == blob(size)
    client.socket.close()
    settled(way)


@pytest.mark.parametrize("size", SIZES)
def test_what_the_client_sends_arrives_whole_and_its_end_is_half_a_close(way: ParamikoWay, far: Far, size: int) -> None:
    client = Client(way, far.to).say("sum")
    client.socket.sendall(blob(size))
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest().decode() == hashlib.sha256(blob(size)).hexdigest()
    settled(way)


def test_both_ways_at_once(way: ParamikoWay, far: Far) -> None:
    client, data = Client(way, far.to).say("echo"), blob(20_000_000)

    def send() -> None:
        client.socket.sendall(data)
        client.socket.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    assert client.rest() == data
    thread.join()
    settled(way)


def test_a_client_that_does_not_read_holds_up_no_other(way: ParamikoWay, far: Far) -> None:
    slow, size = Client(way, far.to).say("send 40000000"), 40_000_000
    assert Client(way, far.to).say("send 1000000").rest() == blob(1_000_000)
    assert slow.rest() == blob(size)


def test_a_far_end_that_does_not_read_holds_up_no_other(way: ParamikoWay, far: Far) -> None:
    stuck = Client(way, far.to).say("mute")
    stuck.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        list(iter(lambda: stuck.socket.send(bytes(1 << 16)), 0))
    assert Client(way, far.to).say("send 1000000").rest() == blob(1_000_000)
    stuck.socket.close()


def test_a_unix_socket_is_a_destination(way: ParamikoWay, unix_folder: object) -> None:
    far = Far(unix_folder / "s")
    assert Client(way, far.to).say("send 100000").rest() == blob(100_000)
    far.close()


@pytest.mark.parametrize("to", ["tcp", "unix"])
def test_a_destination_where_nobody_listens_gives_the_client_back_unread(way: ParamikoWay, to: str) -> None:
    client = Client(way, ("127.0.0.1", free_port()) if to == "tcp" else "/nowhere/at.sock").say("send 5")
    (reason,) = wait_for(lambda: client.refused)
    assert reason
    client.given.settimeout(PATIENCE)
    assert client.given.recv(100) == b"send 5\n"
    assert not client.lost.is_set()
    settled(way)


def test_a_far_end_that_resets_ends_the_client(way: ParamikoWay, far: Far) -> None:
    assert Client(way, far.to).say("drop").rest() == b""
    settled(way)


def test_a_hundred_at_once(way: ParamikoWay, far: Far) -> None:
    with ThreadPoolExecutor(100) as pool:
        found = list(pool.map(lambda _: Client(way, far.to).say("send 20000").rest(), range(300)))
    assert all(each == blob(20_000) for each in found)
    settled(way)


@pytest.mark.parametrize("how", ["close", "reset", "half"])
def test_downloads_given_up_leave_nothing_behind(way: ParamikoWay, far: Far, how: str) -> None:
    settled(way)
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    def give_up(_: int) -> None:
        client = Client(way, far.to).say("send 3000000")
        assert client.socket.recv(1000)
        if how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "half":
            client.socket.shutdown(socket.SHUT_WR)
        client.socket.close()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(give_up, range(200)))
    settled(way)
    wait_for(lambda: far.open == 0)
    assert not way.closed.is_set()
    wait_for(lambda: (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) <= before)


def test_the_connection_may_die_in_the_middle(new_way: Connect, sshd: Sshd, far: Far) -> None:
    way = new_way()
    clients = [Client(way, far.to).say("send 50000000") for _ in range(5)]
    for client in clients:
        assert client.socket.recv(1)
    sshd.kill_sessions()
    for client in clients:
        assert len(client.rest()) < 50_000_000
    assert way.closed.wait(PATIENCE)
    assert way.why == "the other side closed it"
    assert channels(way) == 0
    given = socket.socket()
    with pytest.raises(ClosedError, match="closed"):
        way.forward(given, far.to, print, print)
    assert given.fileno() >= 0


def test_a_client_whose_request_was_not_answered_is_given_back(new_way: Connect, sshd: Sshd, far: Far) -> None:
    import signal

    way = new_way()
    way.execute("true").wait(PATIENCE)
    sshd.kill_sessions(signal.SIGSTOP)
    client = Client(way, far.to).say("send 5")
    way.close()
    assert client.lost.wait(PATIENCE)
    client.given.settimeout(PATIENCE)
    assert client.given.recv(100) == b"send 5\n"
    sshd.kill_sessions()


def test_keys_are_exchanged_under_load(new_way: Connect, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyterctl.transport.ssh.packets import FastPacketizer

    monkeypatch.setattr(FastPacketizer, "REKEY_BYTES", 1 << 20)
    way, exchanges = new_way(), []
    original = way.transport._parse_newkeys
    way.transport._handler_table[21] = lambda m: (exchanges.append(1), original(m))

    def use(number: int) -> bool:
        client, data = Client(way, far.to).say("echo"), blob(3_000_000, number)
        sender = threading.Thread(target=lambda: (client.socket.sendall(data), client.socket.shutdown(socket.SHUT_WR)))
        sender.start()
        found = client.rest()
        sender.join()
        return found == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(24)))
    assert len(exchanges) > 20
    assert not way.closed.is_set()
    settled(way)
