"""What a client of a link is told while nothing carries its connection: a short HTTP 503, and the connection's end."""

from __future__ import annotations

import html
import socket
import time
from contextlib import suppress

REQUEST_SECONDS = 2.0
"""How long to wait for the client's request before answering without having seen it."""
LINGER_SECONDS = 1.0
"""How long to wait for the client to read the answer and close."""
HEAD_BYTES = 1 << 16
"""The longest head of a request that is looked at."""
RETRY_SECONDS = 3
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{retry}"><title>{title}</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;padding:0 1em}}</style></head>
<body><h1>{title}</h1><p>{story}</p><p><small>This page looks again every {retry} seconds.</small></p></body></html>
"""


def answer(client: socket.socket, title: str, story: str) -> None:
    """Read the client's request, answer it with 503, and close the connection.

    Takes at most REQUEST_SECONDS + 2 * LINGER_SECONDS, whatever the client does or does not do.
    """
    with client, suppress(OSError):
        head = _head(client, time.monotonic() + REQUEST_SECONDS)
        client.settimeout(LINGER_SECONDS)
        client.sendall(response(head, title, story))
        client.shutdown(socket.SHUT_WR)
        _drain(client, time.monotonic() + LINGER_SECONDS)


def response(head: bytes, title: str, story: str) -> bytes:
    """The whole answer to a request with that head: a page for who asks for HTML, plain text for others.

    >>> response(b"GET / HTTP/1.1", "No connection", "The machine does not answer.").splitlines()[0]
    b'HTTP/1.1 503 Service Unavailable'
    """
    page = wants_page(head)
    text = PAGE.format(retry=RETRY_SECONDS, title=html.escape(title), story=html.escape(story))
    body = (text if page else f"{title}: {story}\n").encode()
    lines = (
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: text/{'html' if page else 'plain'}; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Retry-After: {RETRY_SECONDS}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    said = "".join(f"{line}\r\n" for line in (*lines, "")).encode()
    return said if head.startswith(b"HEAD ") else said + body


def wants_page(head: bytes) -> bool:
    r"""Whether a request says that it accepts HTML.

    >>> wants_page(b"GET / HTTP/1.1\r\nHost: x\r\naccept: text/html, */*\r\n")
    True
    >>> wants_page(b"GET /api HTTP/1.1\r\nAccept: application/json\r\nX: text/html\r\n")
    False
    """
    fields = (line.partition(b":") for line in head.lower().split(b"\r\n")[1:])
    return any(name.strip() == b"accept" and b"text/html" in value for name, _, value in fields)


def _head(client: socket.socket, deadline: float) -> bytes:
    """What the client has sent of its request when its head is complete, or time is up."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES and (left := deadline - time.monotonic()) > 0:
        client.settimeout(left)
        try:
            data = client.recv(HEAD_BYTES)
        except TimeoutError:
            break
        if not data:
            break
        head += data
    return head


def _drain(client: socket.socket, deadline: float) -> None:
    """Read on, so that what was sent is not lost to a reset, until the client closes or time is up."""
    while (left := deadline - time.monotonic()) > 0:
        client.settimeout(left)
        if not client.recv(HEAD_BYTES):
            return
