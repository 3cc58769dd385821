"""What is done, told step by step: each begins, and ends where the next one begins."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

from ..errors import JupyterctlError
from ..model import Phase, PhaseState


class Steps:
    """The steps of an attempt as phases: one ends where the next begins."""

    def __init__(self, tell: Callable[[Phase], object]) -> None:
        self._tell = tell
        self._name = self._detail = ""
        self._began = 0.0

    def begin(self, name: str, detail: str) -> None:
        """A step begins; the same one again only says more."""
        if name != self._name:
            self.done()
            self._name, self._began = name, time.monotonic()
        self._detail = detail
        self._tell(Phase(name=name, state=PhaseState.DOING, detail=detail))

    def done(self) -> None:
        """The step has been taken."""
        self._end(PhaseState.DONE, self._detail)

    def failed(self, error: JupyterctlError) -> None:
        """The step failed."""
        self._end(PhaseState.FAILED, error.message)

    def _end(self, state: PhaseState, detail: str) -> None:
        if self._name:
            seconds = time.monotonic() - self._began
            self._tell(Phase(name=self._name, state=state, seconds=seconds, detail=detail))
        self._name = ""


def told(work: Callable[[Steps], object]) -> Iterator[Phase]:
    """Do something in a thread of its own, and give its steps as they come; what it fails with is raised."""
    heard: queue.SimpleQueue[Phase | Exception | None] = queue.SimpleQueue()

    def do() -> None:
        steps = Steps(heard.put)
        try:
            work(steps)
            steps.done()
            heard.put(None)
        except JupyterctlError as error:
            steps.failed(error)
            heard.put(error)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            heard.put(error)

    threading.Thread(target=do, daemon=True).start()
    while (item := heard.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item
