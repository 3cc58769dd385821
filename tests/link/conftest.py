"""A real sshd, a transport logged in to it, a way over that, and things at the far end to connect to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from jupyterctl.transport.ssh.connection import ParamikoWay
from jupyterctl.transport.ssh.transport import FastTransport
from tests.sshd import Sshd

from .far import Far


def connect(sshd: Sshd, sock: object = None) -> ParamikoWay:
    """Log in with the server's own key."""
    transport = FastTransport(sock or socket.create_connection((sshd.address, sshd.port), 10))
    transport.start_client(timeout=20)
    key = paramiko.Ed25519Key.from_private_key_file(str(sshd.user_key))
    transport.auth_publickey(sshd.user, key)
    return ParamikoWay(transport, sshd.name)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def far() -> Iterator[Far]:
    """What listens at the machine."""
    server = Far()
    yield server
    server.close()


Connect = Callable[[], ParamikoWay]


@pytest.fixture
def new_way(sshd: Sshd) -> Iterator[Connect]:
    """Opens ways; all are closed afterwards."""
    made: list[ParamikoWay] = []

    def open_one() -> ParamikoWay:
        made.append(connect(sshd))
        return made[-1]

    yield open_one
    for way in made:
        way.close()


@pytest.fixture
def way(new_way: Connect) -> ParamikoWay:
    return new_way()


@pytest.fixture
def unix_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("u")
