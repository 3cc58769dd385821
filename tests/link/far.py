"""A server at the far end of a link, told by each connection's first line what to do with it."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from contextlib import suppress
from pathlib import Path

CHUNK = 1 << 16


def blob(size: int, seed: int = 7) -> bytes:
    """So many bytes that repeat nowhere soon."""
    return random.Random(seed).randbytes(size)


class Far:
    """`send N`: sends blob(N) and ends · `sum`: reads to the end, then sends the checksum of it · `echo`: echoes, and
    ends when the client has · `drop`: resets · `mute`: reads nothing and says nothing."""

    def __init__(self, path: Path | None = None) -> None:
        family = socket.AF_UNIX if path else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(str(path) if path else ("127.0.0.1", 0))
        self._listener.listen(1024)
        self.to = str(path) if path else ("127.0.0.1", int(self._listener.getsockname()[1]))
        self.open = 0
        """Connections that have not ended."""
        self._count = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._count:
            self.open += 1
        try:
            with client, suppress(OSError):
                line = b""
                while not line.endswith(b"\n"):
                    if not (byte := client.recv(1)):
                        return
                    line += byte
                verb, *rest = line.decode().split()
                getattr(self, f"_{verb}")(client, *rest)
        finally:
            with self._count:
                self.open -= 1

    def _send(self, client: socket.socket, size: str) -> None:
        client.sendall(blob(int(size)))

    def _sum(self, client: socket.socket) -> None:
        digest = hashlib.sha256()
        while data := client.recv(CHUNK):
            digest.update(data)
        client.sendall(digest.hexdigest().encode())

    def _echo(self, client: socket.socket) -> None:
        while data := client.recv(CHUNK):
            client.sendall(data)

    def _drop(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def _mute(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        threading.Event().wait(60)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
