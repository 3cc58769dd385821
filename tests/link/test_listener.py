"""The port of a link, whatever becomes of what is behind it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from jupyterctl.errors import TargetError
from jupyterctl.transport import answers
from jupyterctl.transport.listener import Listener
from tests.conftest import PATIENCE, wait_for
from tests.sshd import Sshd, free_port

from .conftest import Connect
from .far import Far, blob

Make = Callable[..., Listener]
PAGE = b"GET /lab HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*\r\n\r\n"
API = b"GET /api HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n"


@pytest.fixture
def listen() -> Iterator[Make]:
    """Starts listeners; all are stopped afterwards."""
    made: list[Listener] = []

    def start(port: int = 0, **kw: object) -> Listener:
        made.append(Listener(port or free_port(), **kw))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.stop()


def dial(listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), PATIENCE)


def rest(client: socket.socket) -> bytes:
    parts = []
    while data := client.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)


def test_a_client_is_carried(listen: Make, new_way: Connect, far: Far) -> None:
    listener = listen()
    listener.use(new_way(), far.to)
    client = dial(listener)
    client.sendall(b"send 1000000\n")
    assert rest(client) == blob(1_000_000)


def test_only_this_machine_is_listened_to(listen: Make) -> None:
    listener = listen()
    assert listener.local_bind_addresses == [("127.0.0.1", listener.port)]


def test_a_client_waits_for_a_way_and_asks_for_one(listen: Make, new_way: Connect, far: Far) -> None:
    asked = threading.Event()
    listener = listen(wanted=asked.set)
    client = dial(listener)
    client.sendall(b"send 1000\n")
    assert asked.wait(PATIENCE)
    listener.use(new_way(), far.to)
    assert rest(client) == blob(1000)


def test_a_client_that_came_while_the_way_died_is_carried_by_the_next(
    listen: Make, new_way: Connect, sshd: Sshd, far: Far
) -> None:
    asked = threading.Event()
    listener, first = listen(wanted=asked.set), new_way()
    listener.use(first, far.to)
    sshd.kill_sessions()
    assert first.closed.wait(PATIENCE)
    client = dial(listener)
    client.sendall(b"send 1000\n")
    assert asked.wait(PATIENCE)
    listener.use(new_way(), far.to)
    assert rest(client) == blob(1000)


def test_a_browser_that_waited_in_vain_gets_a_page_that_looks_again(listen: Make) -> None:
    client = dial(listen(hold=0.1, story=lambda: "`gpu` <does> not answer."))
    client.sendall(PAGE)
    head, _, body = rest(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    for field in (b"Retry-After: 3", b"Cache-Control: no-store", b"Content-Type: text/html", b"Connection: close"):
        assert field in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"`gpu` &lt;does&gt; not answer." in body
    assert b'http-equiv="refresh"' in body


def test_a_program_that_waited_in_vain_gets_plain_text(listen: Make) -> None:
    client = dial(listen(hold=0.1, story=lambda: "`gpu` does not answer."))
    client.sendall(API)
    head, _, body = rest(client).partition(b"\r\n\r\n")
    assert b"Content-Type: text/plain" in head
    assert body == b"No connection yet: `gpu` does not answer.\n"


def test_a_client_that_says_nothing_is_answered_too(listen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "REQUEST_SECONDS", 0.2)
    assert rest(dial(listen(hold=0.1))).startswith(b"HTTP/1.1 503 ")


def test_clients_that_say_nothing_are_answered_however_many(listen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "REQUEST_SECONDS", 0.2)
    listener = listen(hold=0.1)
    clients = [dial(listener) for _ in range(100)]
    assert all(rest(client).startswith(b"HTTP/1.1 503 ") for client in clients)


def test_a_large_request_gets_its_answer_before_the_connection_ends(listen: Make) -> None:
    client = dial(listen(hold=0.1))
    client.sendall(b"POST /api HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000))
    assert rest(client).startswith(b"HTTP/1.1 503 ")


def test_where_jupyter_is_gone_the_answer_says_so(listen: Make, new_way: Connect) -> None:
    listener = listen()
    port = free_port()
    listener.use(new_way(), ("127.0.0.1", port))
    client = dial(listener)
    client.sendall(API)
    head, _, body = rest(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Jupyter does not answer" in body
    assert f"127.0.0.1:{port}".encode() in body


def test_the_port_is_free_after_the_stop_and_those_who_wait_are_told(listen: Make) -> None:
    listener = listen()
    port, client = listener.port, dial(listener)
    client.sendall(API)
    wait_for(lambda: listener._held)
    listener.stop()
    assert b"The link was closed" in rest(client)
    assert listen(port).port == port


def test_a_port_that_somebody_has_is_named_with_its_owner(listen: Make) -> None:
    port = listen().port
    with pytest.raises(TargetError, match=f"port {port} is taken"):
        listen(port)
