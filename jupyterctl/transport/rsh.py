"""A remote shell for other programs, over the way a keeper holds: `python -m jupyterctl.transport.rsh NAME WORDS…`.

rsync takes it for ssh. No login is made: where there is no keeper it fails.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

import msgspec

from .broker import CHUNK
from .keepers import address


def main() -> None:
    """Execute the words there, our own input and output theirs."""
    name, *words = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.connect(str(address(name)))
        profile = msgspec.json.decode(os.environ["JUPYTERCTL_PROFILE"])
        request = {"do": "stream", "profile": profile, "command": " ".join(words)}
        keeper.sendall(msgspec.json.encode(request) + b"\n")
        said = b""
        while not said.endswith(b"\n"):
            said += keeper.recv(1) or sys.exit("the keeper is gone")
        if b'"error"' in said:
            sys.exit(msgspec.json.decode(said)["error"]["message"])
        threading.Thread(target=_send, args=(keeper,), daemon=True).start()
        while data := keeper.recv(CHUNK):
            _write(data)


def _send(keeper: socket.socket) -> None:
    while data := os.read(0, CHUNK):
        keeper.sendall(data)
    keeper.shutdown(socket.SHUT_WR)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
