"""Connections to an engine that are used again.

The SDK keeps a pool for each address of a request, up to 25 at once: asked about many containers, it opens a connection
for each question and keeps it. An engine is one place, and has one pool.
"""

from __future__ import annotations

from typing import Any

from docker.transport.unixconn import UnixHTTPAdapter

IDLE = 3
"""Connections that are kept though nothing goes over them; over ssh each is a login."""
_ONE = "engine"


class Adapter(UnixHTTPAdapter):  # type: ignore[misc]
    """To an engine that listens at a socket of this machine; what the SDK's client sends its requests by."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(f"http+unix://{path}", timeout=seconds, max_pool_size=IDLE)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # noqa: ARG002 - the SDK's signature
        """The pool."""
        return super().get_connection(_ONE)
