"""Local ports: which are free, who has one, and which to choose for a profile."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from contextlib import suppress

FIRST, COUNT = 20000, 8000
"""Where ports are chosen from: below what systems give to outgoing connections, and few programs' own."""


def free(port: int) -> bool:
    """Whether somebody could listen there on this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def candidates(seed: str) -> Iterator[int]:
    """Free ports for a profile; where they begin depends on the seed, so that users of one machine seldom meet."""
    start = zlib.crc32(seed.encode())
    ports = (FIRST + (start + step) % COUNT for step in range(COUNT))
    return filter(free, ports)


def owner(port: int) -> str:
    """Who listens on a port, in words: `python3 (pid 4711)`; `another user's program` where that may not be known."""
    import psutil

    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                return f"`{psutil.Process(connection.pid).name()}` (pid {connection.pid})"
    return "another user's program"
