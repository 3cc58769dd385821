"""Labs in pods: a StatefulSet of one."""

from __future__ import annotations


class Labs:
    """The server half of the Target protocol."""
