"""Following runs in the foreground: Ctrl-C cancels gracefully, a second one detaches, a closed terminal detaches."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType

from ..errors import UnreachableError
from ..model import Event, Run
from . import diagnostics, output
from .view import View

HANG_UPS = (signal.SIGHUP, signal.SIGTERM)
"""Signals after which nobody watches any more."""
News = Iterator[tuple[Run, Event | None]]


class DetachedError(Exception):
    """The person, or what they watched it by, let go of the run, which goes on; `code` is the command's exit code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class _Signals:
    """Takes signals while a run is followed: what they ask for is done between two events, never in the middle."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.hung_up = 0
        self._previous = {number: signal.signal(number, self._take) for number in (signal.SIGINT, *HANG_UPS)}

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number in HANG_UPS:
            self.hung_up = number
            return
        self.interrupts += 1
        if self.interrupts > 1:
            raise DetachedError(128 + signal.SIGINT)

    def restore(self) -> None:
        """As it was before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def follow(news: News, view: View, cancel: Callable[[], None]) -> Run | None:
    """Show what comes until it ends; returns the run as it was last seen. DetachedError where it was let go."""
    signals = _Signals()
    asked = False
    last: Run | None = None
    try:
        for run, event in news:
            last = run
            if signals.hung_up:
                raise DetachedError(128 + signals.hung_up)
            if signals.interrupts and not asked:
                asked = True
                diagnostics.info("cancelling; press ctrl-c again to stop waiting for it")
                _ask(cancel, run)
            _show(view, run, event)
    finally:
        signals.restore()
        with suppress(OSError):
            view.close()
    return last


def _ask(cancel: Callable[[], None], run: Run) -> None:
    try:
        cancel()
    except UnreachableError as error:
        name = run.sweep or run.id
        message = f"`{name}` could not be cancelled and may go on: {error.message}"
        raise UnreachableError(message, f"cancel it later: jupyterctl runs cancel {name}") from error


def _show(view: View, run: Run, event: Event | None) -> None:
    try:
        view.tick(run) if event is None else view.event(run, event)
    except OSError as error:
        output.discard()
        raise DetachedError(128 + signal.SIGPIPE) from error
