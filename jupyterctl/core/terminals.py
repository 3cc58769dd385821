"""The keeper's part in a person's shell at the place: what they type goes there, what it shows comes back."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import JupyterctlError
from ..transport.ssh.way import ClosedError, Screen

if TYPE_CHECKING:
    from ..transport.carrier import Carrier
    from ..transport.ssh.way import Stream, Terminal
    from .keeper import Conversation

CHUNK = 1 << 16
STATUS_SECONDS = 5.0
"""How long a command that shows no more may take to say how it ended."""


def carry(carrier: Carrier, request: dict[str, Any], conversation: Conversation) -> Iterator[tuple[str, Any]]:
    """Execute a command that has the person's input, and with a `screen` a terminal; ends as it does.

    `begun` comes first; from then on the person's side says `data`, `size` and `end`. Bytes travel as base64.
    """
    way = carrier.way
    stream: Stream | Terminal
    if request["screen"]:
        stream = way.terminal(request["command"], msgspec.convert(request["screen"], Screen))
    else:
        stream = way.execute(request["command"])
    yield "begun", None
    threading.Thread(target=_hear, args=(conversation, stream), daemon=True).start()
    try:
        while data := stream.read(CHUNK):
            yield "data", base64.b64encode(data).decode()
        status = stream.wait(STATUS_SECONDS)
        yield "errors", stream.errors()
        if way.closed.is_set():
            raise ClosedError("the connection closed while the shell ran", "open another one once it is up")
        yield "result", status
    finally:
        stream.close()


def _hear(conversation: Conversation, stream: Stream | Terminal) -> None:
    """What the person says, until they are gone: then the command loses its terminal."""
    resize = getattr(stream, "resize", lambda *_: None)
    with suppress(JupyterctlError, OSError):
        while (said := conversation.read()) is not None:
            if "data" in said:
                stream.write(base64.b64decode(said["data"]))
            elif "size" in said:
                columns, rows = said["size"]
                resize(columns, rows)
            elif "end" in said:
                stream.end_input()
        stream.close()
