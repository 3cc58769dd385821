"""All runs as a list shows them, kept current at the price of what has changed.

Looking again costs one number read from the store while nothing was written. An ended run changes no more, so only
those that are live and those not seen before are read.
"""

from __future__ import annotations

from itertools import islice

from ..model import Outline
from ..store import Store
from . import words

FIRST, PAGE = 100, 2000
"""Runs read at the first look, so that a screen fills at once, and at most at each later one."""


class Ledger:
    """`runs` by id, the newest first, as of the last `poll`."""

    def __init__(self, store: Store) -> None:
        self.runs: dict[str, Outline] = {}
        self.texts: dict[str, str] = {}
        """What a run is found by, in lower case: its id, state, target, notebook, sweep and parameters."""
        self._store = store
        self._version = -1
        self._page = FIRST

    def poll(self) -> bool:
        """Look at the store; whether anything is new."""
        version = self._store.version()
        if version == self._version:
            return False
        ids = self._store.ids("")
        unseen = list(islice((name for name in ids if name not in self.runs), self._page))
        live = [name for name, run in self.runs.items() if not run.state.ended]
        fresh = {run.id: run for run in self._store.outlines([*unseen, *live])}
        self.texts |= {name: _text(run) for name, run in fresh.items()}
        known = self.runs | fresh
        self.runs = {name: known[name] for name in ids if name in known}
        if len(unseen) < self._page:
            self._version = version
        self._page = PAGE
        return True


def _text(run: Outline) -> str:
    parts = (run.id, run.state.value, run.target, run.notebook, run.sweep or "", words.parameters(run))
    return " ".join(parts).casefold()
