"""Following runs in the foreground: Ctrl-C cancels gracefully, a second one detaches, a closed terminal detaches."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from types import FrameType

from ..model import Event, Run
from . import diagnostics
from .view import View

News = Iterator[tuple[Run, Event | None]]


class DetachedError(Exception):
    """The person let go of the run, which goes on."""


def follow(news: News, view: View, cancel: Callable[[], None]) -> Run | None:
    """Show what comes until it ends; returns the run as it was last seen. DetachedError where it was let go."""
    interrupts = 0

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        del number, frame
        interrupts += 1
        if interrupts > 1:
            raise DetachedError

    previous = signal.signal(signal.SIGINT, interrupted)
    asked = False
    last: Run | None = None
    try:
        for run, event in news:
            last = run
            if interrupts and not asked:
                asked = True
                diagnostics.info("cancelling; press ctrl-c again to stop waiting for it")
                cancel()
            if event is None:
                view.tick(run)
            else:
                view.event(run, event)
    finally:
        signal.signal(signal.SIGINT, previous)
        view.close()
    return last
