"""The run half of a target whose runs are containers."""

from __future__ import annotations


class EngineRuns:
    """What the Target protocol asks about runs."""
