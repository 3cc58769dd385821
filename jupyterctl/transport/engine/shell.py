"""A shell in a container, for a person: `python -m jupyterctl.transport.engine.shell ORDER`.

ORDER is JSON: the engine, and either the container to enter, or what one is made of that is gone when the shell ends.
The terminal's keys go through unchanged, and its size follows.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from .. import raw
from . import images, recipe
from .client import client, words
from .frames import frames, handed
from .where import of_handle

if TYPE_CHECKING:
    from docker import DockerClient

COMMAND = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"]
BLOCK = 1 << 16


def enter(api: DockerClient, order: dict[str, Any], *, terminal: bool) -> int:
    """In a container that runs."""
    made = api.api.exec_create(
        order["container"], COMMAND, stdin=True, tty=terminal, workdir=order["root"] or None, environment=_terminal()
    )
    stream = api.api.exec_start(made["Id"], tty=terminal, socket=True)

    def resize(rows: int, columns: int) -> None:
        api.api.exec_resize(made["Id"], rows, columns)

    _talk(stream, terminal=terminal, resize=resize)
    return int(api.api.exec_inspect(made["Id"])["ExitCode"] or 0)


def visit(api: DockerClient, order: dict[str, Any], *, terminal: bool) -> int:
    """In one that is made for it."""
    binds = [msgspec.convert(one, recipe.Bind) for one in order["binds"]]
    made = api.containers.create(
        order["image"],
        COMMAND[1:],
        entrypoint=COMMAND[:1],
        mounts=recipe.mounts(binds),
        environment={**order["env"], **_terminal()},
        user=order["user"],
        network_mode=order["network"],
        working_dir=order["root"],
        stdin_open=True,
        tty=terminal,
        labels={recipe.OWNER: order["owner"]},
    )
    try:
        stream = made.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        images.start(made, order["image"], COMMAND[0])
        _talk(stream, terminal=terminal, resize=made.resize)
        return int(made.wait()["StatusCode"])
    finally:
        made.remove(force=True, v=True)


def _terminal() -> dict[str, str]:
    return {"TERM": os.environ.get("TERM", "dumb")}


def _talk(stream: Any, *, terminal: bool, resize: raw.Resize) -> None:
    """Until the shell ends: what is typed goes there, what it says comes here."""
    link, ahead = handed(stream)
    with raw.given(resize) if terminal else nullcontext():
        out = _plain if terminal else frames()
        _show(out(ahead))
        typing = True
        while True:
            ends: list[Any] = [link, 0] if typing else [link]
            ready, _, _ = select.select(ends, [], [])
            if 0 in ready:
                typed = os.read(0, BLOCK)
                typing = bool(typed)
                if typed:
                    link.sendall(typed)
                else:
                    _say_no_more(link)
            if link in ready:
                data = link.recv(BLOCK)
                if not data:
                    return
                _show(out(data))


def _show(parts: Iterator[tuple[int, bytes]]) -> None:
    for number, part in parts:
        raw.write(number, part)


def _say_no_more(link: socket.socket) -> None:
    """The shell reads an end of file; what it goes on to say is heard."""
    if isinstance(link, ssl.SSLSocket):
        link.setblocking(False)
        with suppress(ssl.SSLWantReadError):  # who waits for the other side's end would wait for all it says
            link.unwrap()
        link.setblocking(True)
    else:
        link.shutdown(socket.SHUT_WR)


def _plain(data: bytes) -> Iterator[tuple[int, bytes]]:
    yield 1, data


def main(text: str) -> int:
    """The shell's exit code."""
    order = msgspec.json.decode(text)
    at = of_handle(order)
    terminal = os.isatty(0) and os.isatty(1)
    with words(at):
        api = client(at)
        return (enter if "container" in order else visit)(api, order, terminal=terminal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
