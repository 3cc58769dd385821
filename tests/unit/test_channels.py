"""Many streams over one, between two processes, as into a container."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from jupyterctl.remote import CHANNELS
from jupyterctl.remote.channels import WINDOW, Channels
from tests.conftest import PATIENCE, wait_for


class Wire:
    """Over a socket."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.end, self.source, self.sink = end, end, os.dup(end.fileno())

    def receive(self) -> bytes:
        return self.end.recv(1 << 16)

    def send(self, data: bytes) -> int:
        return self.end.send(data)


class Joined:
    """Both ends: this process's, and one that executes the file alone."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            end = theirs.fileno()
            self.process = subprocess.Popen([sys.executable, "-IS", str(CHANNELS)], stdin=end, stdout=end)
        self.wire = Wire(ours)
        self.channels = Channels(self.wire)
        self.thread = threading.Thread(target=self.channels.run, daemon=True)
        self.thread.start()
        self.told: list[str] = []

    def open(self, port: int) -> socket.socket:
        """A client's connection to a port there."""
        client, ours = socket.socketpair()
        client.settimeout(PATIENCE)
        assert self.channels.open(ours, port, self.told.append, lambda: self.told.append("lost"))
        return client

    def close(self) -> None:
        self.channels.stop()
        self.thread.join(PATIENCE)
        os.close(self.wire.sink)
        self.wire.end.close()
        self.process.wait(PATIENCE)


@pytest.fixture
def joined() -> Iterator[Joined]:
    made = Joined()
    yield made
    made.process.kill()
    made.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Listens on a port and does something with each connection; the port."""
    listeners = []

    def listen(each: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(target=each, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield listen
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def whole(end: socket.socket) -> bytes:
    """All that comes until the end."""
    parts = []
    while data := end.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


def back(connection: socket.socket) -> None:
    """Say what was said, once that has ended."""
    with connection:
        connection.sendall(whole(connection))


def test_what_is_said_comes_back_after_a_half_close(joined: Joined, serve) -> None:
    port = serve(back)
    data = os.urandom(3 * WINDOW)
    clients = [joined.open(port) for _ in range(5)]

    def say(client: socket.socket) -> None:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    for client in clients:
        threading.Thread(target=say, args=(client,), daemon=True).start()
    assert [whole(client) == data for client in clients] == [True] * 5
    for client in clients:
        client.close()


def test_one_that_is_not_read_from_holds_up_no_other(joined: Joined, serve) -> None:
    """And what waits for it is bounded: the other end is not read from any more."""
    sent = []

    def pour(connection: socket.socket) -> None:
        connection.settimeout(1)
        try:
            while True:
                sent.append(connection.send(bytes(1 << 20)))
        except OSError:
            return

    slow = joined.open(serve(pour))
    wait_for(lambda: sum(sent) > WINDOW)
    other = joined.open(serve(back))
    other.sendall(b"hello")
    other.shutdown(socket.SHUT_WR)
    assert whole(other) == b"hello"
    assert sum(sent) < 8 * WINDOW
    slow.close()
    other.close()


def test_a_port_where_nobody_listens_is_refused_and_the_client_given_back(joined: Joined) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    client = joined.open(port)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert wait_for(lambda: joined.told) == ["Connection refused"]
    client.close()


def test_an_end_of_the_other_side_ends_what_is_carried(joined: Joined, serve) -> None:
    held = threading.Event()
    carried = joined.open(serve(lambda connection: (connection.sendall(b"up"), held.wait(PATIENCE))))
    assert carried.recv(2) == b"up"
    joined.process.kill()
    assert whole(carried) == b""
    wait_for(lambda: joined.channels.ended)
    client, ours = socket.socketpair()
    assert not joined.channels.open(ours, 1, print, print)
    held.set()
    for end in (client, ours, carried):
        end.close()


def test_clients_that_go_away_leave_nothing_behind(joined: Joined, serve) -> None:
    def chatter(connection: socket.socket) -> None:
        with connection:
            try:
                while True:
                    connection.sendall(bytes(1 << 16))
            except OSError:
                return

    port = serve(chatter)
    for _ in range(60):
        with joined.open(port) as client:
            assert client.recv(1)
    wait_for(lambda: not joined.channels._channels)
    assert joined.channels.ping()
    assert joined.channels.answered.wait(PATIENCE)


def test_it_ends_with_its_wire(joined: Joined) -> None:
    joined.channels.ping()
    assert joined.channels.answered.wait(PATIENCE)
    joined.wire.end.shutdown(socket.SHUT_RDWR)
    assert joined.process.wait(PATIENCE) == 0


def test_what_is_no_frame_ends_it_with_its_words() -> None:
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    channels = Channels(wire)
    thread = threading.Thread(target=channels.run, daemon=True)
    thread.start()
    theirs.sendall(b"OCI runtime exec failed: no such file\n")
    thread.join(PATIENCE)
    assert channels.ended
    assert channels.problem == "OCI runtime exec failed: no such file"
    for end in (ours, theirs):
        end.close()
    os.close(wire.sink)
