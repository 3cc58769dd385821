"""Real sockets for whatever carries bytes, and the options that a link's sockets want."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from paramiko import ProxyCommand

UNSENT_BYTES = 1 << 18
"""What the kernel may hold that is not yet on its way: more would only make small messages wait behind bulk."""
USER_TIMEOUT_MS = 15_000
"""How long sent bytes may go unacknowledged before the kernel gives a connection up."""
COPY_BYTES = 1 << 17


def prepare(sock: socket.socket) -> None:
    """Set what a link's connection to a machine wants: no delay, no long queue, an end in time, no blocking."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        for name, value in (
            ("TCP_NODELAY", 1),
            ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
            ("TCP_NOTSENT_LOWAT", UNSENT_BYTES),
        ):
            if (option := getattr(socket, name, None)) is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setblocking(False)


def undelayed(sock: socket.socket) -> None:
    """Send small writes at once; a socket of another kind than TCP does so anyway."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def as_socket(carrier: Any) -> socket.socket:
    """The carrier itself, or one end of a pair whose other end is copied to and from it by two threads.

    A carrier is a socket, a paramiko channel or a paramiko ProxyCommand.
    """
    if isinstance(carrier, socket.socket):
        return carrier
    ours, theirs = socket.socketpair()
    for copy in (_copy_in, _copy_out):
        threading.Thread(target=copy, args=(carrier, theirs), name=f"ssh-carrier{copy.__name__}", daemon=True).start()
    return ours


def _copy_in(carrier: Any, pair: socket.socket) -> None:
    """From the carrier to the pair."""
    read = _reader(carrier)
    with suppress(Exception):
        while data := read():
            pair.sendall(data)
    with suppress(OSError):
        pair.shutdown(socket.SHUT_RDWR)


def _copy_out(carrier: Any, pair: socket.socket) -> None:
    """From the pair to the carrier; ends both when the pair has ended."""
    write = _writer(carrier)
    with suppress(Exception):
        while data := pair.recv(COPY_BYTES):
            while data:
                data = data[write(data) :]
    with suppress(Exception):
        carrier.close()
    pair.close()
    if isinstance(carrier, ProxyCommand):
        carrier.process.wait()


def _reader(carrier: Any) -> Callable[[], bytes]:
    """What reads some bytes from a carrier as soon as there are any."""
    if isinstance(carrier, ProxyCommand):
        return partial(os.read, cast("Any", carrier.process.stdout).fileno(), COPY_BYTES)
    carrier.settimeout(None)
    return partial(carrier.recv, COPY_BYTES)


def _writer(carrier: Any) -> Callable[[bytes], int]:
    """What writes some bytes to a carrier, and tells how many."""
    if isinstance(carrier, ProxyCommand):
        return partial(os.write, cast("Any", carrier.process.stdin).fileno())
    return cast("Callable[[bytes], int]", carrier.send)
