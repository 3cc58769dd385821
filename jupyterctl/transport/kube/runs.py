"""Runs in pods: a Job."""

from __future__ import annotations


class Runs:
    """The run half of the Target protocol."""
