"""A way to a machine over paramiko: commands, files and byte streams in one authenticated connection."""

from __future__ import annotations

import threading

from .transport import FastTransport


class ParamikoWay:
    """Implements `way.Way` over an authenticated transport, which it owns from here on."""

    def __init__(self, transport: FastTransport, description: str) -> None:
        self.transport = transport
        self.description = description
        self.closed = threading.Event()
        self.why = ""
