"""A remote shell for other programs, over the way a keeper holds: `python -m jupyterctl.transport.rsh NAME WORDS…`.

rsync takes it for ssh: the command's standard error and exit status become ours. No login is made: where there is no
keeper it fails. What the keeper sends back is pieces of output, each behind its `LENGTH`; a length of zero comes before
the last word, a JSON document of the exit `status` (null: it has none) and of the end of standard `errors`.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from typing import IO, Any

import msgspec

from .broker import CHUNK
from .keepers import address

LENGTH = struct.Struct(">I")
MISSING = "the machine has no such program"
"""Said on standard error where a shell there finds no program of the name, in whichever language it says so."""
_NOT_FOUND = 127
_LOST = 255
"""As ssh ends where the connection does."""


def main() -> None:
    """Execute the words there, our own input and output theirs."""
    name, *words = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.connect(str(address(name)))
        profile = msgspec.json.decode(os.environ["JUPYTERCTL_PROFILE"])
        request = {"do": "stream", "profile": profile, "command": " ".join(words)}
        keeper.sendall(msgspec.json.encode(request) + b"\n")
        answers = keeper.makefile("rb")
        said = answers.readline() or sys.exit("the keeper is gone")
        if b'"error"' in said:
            sys.exit(msgspec.json.decode(said)["error"]["message"])
        threading.Thread(target=_send, args=(keeper,), daemon=True).start()
        sys.exit(_receive(answers))


def _send(keeper: socket.socket) -> None:
    while data := os.read(0, CHUNK):
        keeper.sendall(data)
    keeper.shutdown(socket.SHUT_WR)


def _receive(answers: IO[bytes]) -> int:
    """Hand the output on until it ends; the exit status."""
    while head := answers.read(LENGTH.size):
        (length,) = LENGTH.unpack(head)
        if not length:
            break
        _write(1, answers.read(length))
    last = answers.read()
    ended: dict[str, Any] = msgspec.json.decode(last) if last else {"status": None, "errors": "the connection closed\n"}
    _write(2, ended["errors"].encode())
    if ended["status"] == _NOT_FOUND:
        _write(2, f"{MISSING}\n".encode())
    return _LOST if ended["status"] is None else int(ended["status"])


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


if __name__ == "__main__":
    main()
