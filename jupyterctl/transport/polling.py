"""Whether a socket has something to say."""

from __future__ import annotations

import select
import ssl
from typing import Any


def readable(sock: Any, seconds: float = 0.0) -> bool:
    """Whether something has come, or comes within so many seconds; an end counts."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(max(0.0, seconds) * 1000))
