"""A shell in a lab's pod, for a person: `python -m jupyterctl.transport.kube.shell ORDER`.

ORDER is JSON: the cluster, the pod, the folder to be in. The terminal's keys go through unchanged, and its size
follows. Without a terminal the shell executes what it is given; it is told the length, for the protocol that old
servers speak knows no end of input.
"""

from __future__ import annotations

import json
import os
import select
import ssl
import sys
from contextlib import nullcontext
from typing import Any

import msgspec

from ...errors import JupyterctlError
from .. import raw
from . import streams
from .api import Cluster

HOME = '[ -w "${HOME:-/}" ] && [ "${HOME:-/}" != / ] || export HOME=/jupyterctl/home; cd "$1" 2>/dev/null;'
TALK = f"{HOME} command -v bash >/dev/null 2>&1 && exec bash; exec sh"
OBEY = f'{HOME} given=$(head -c "$2"); eval "$given"'
RESIZE = 4
"""The channel that hears of the terminal's size."""
BLOCK = 1 << 16


class Shell:
    """One, over its websocket; everything happens in the one thread that waits for both ends."""

    def __init__(self, cluster: Cluster, pod: str, words: list[str], *, terminal: bool) -> None:
        command = ["env", f"TERM={os.environ.get('TERM', 'dumb')}", "sh", "-c", *words]
        query = [("command", word) for word in command]
        asked = {"stdin": True, "stdout": True, "stderr": not terminal, "tty": terminal}
        query += [("container", "main"), *((key, str(value).lower()) for key, value in asked.items())]
        self._socket = streams.connect(cluster, pod, "exec", query)
        self._socket.settimeout(None)
        self.code: int | None = None

    def send(self, channel: int, data: bytes) -> None:
        """Say something on a channel."""
        self._socket.send_binary(bytes([channel]) + data)

    def talk(self, *, typing: bool) -> int:
        """Until the shell ends: what is typed goes there, what it says comes here; its exit code."""
        sock = self._socket.sock
        while self.code is None:
            ends: list[Any] = [sock, 0] if typing else [sock]
            pending = isinstance(sock, ssl.SSLSocket) and sock.pending()
            ready = [sock] if pending else select.select(ends, [], [], streams.PING_SECONDS)[0]
            if not ready:
                self._socket.ping()
            if 0 in ready:
                typed = os.read(0, BLOCK)
                typing = bool(typed)
                self.send(streams.STDIN, typed)
            if sock in ready and not self._hear():
                break
        return self.code if self.code is not None else 1

    def _hear(self) -> bool:
        """Whether there is more to come."""
        import websocket

        opcode, data = self._socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return False
        if data and data[0] == streams.STATUS:
            self.code = streams.code(data[1:])
        elif len(data) > 1:
            raw.write(2 if data[0] == streams.STDERR else 1, data[1:])
        return True


def enter(cluster: Cluster, pod: str, folder: str) -> int:
    """Give our terminal, or what is piped to us, to a shell in a pod; its exit code."""
    terminal = os.isatty(0) and os.isatty(1)
    given = b"" if terminal else sys.stdin.buffer.read()
    words = [TALK, "sh", folder] if terminal else [OBEY, "sh", folder, str(len(given))]
    shell = Shell(cluster, pod, words, terminal=terminal)

    def resize(rows: int, columns: int) -> None:
        shell.send(RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    if given:
        shell.send(streams.STDIN, given)
    with raw.given(resize) if terminal else nullcontext():
        return shell.talk(typing=terminal)


def main(text: str) -> int:
    """The shell's exit code."""
    order = msgspec.json.decode(text)
    cluster = Cluster(order["kubeconfig"], order["context"], order["namespace"])
    return enter(cluster, order["pod"], order["folder"])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except JupyterctlError as problem:
        sys.exit(f"error: {problem.message}\nhint: {problem.hint}")
