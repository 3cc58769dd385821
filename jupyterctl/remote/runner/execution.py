"""One attempt at the notebook: its clock, how it is stopped, what it reports, and what came of it."""

from __future__ import annotations

import os
import platform
import threading
import time
from typing import Any, Dict

from .journal import Journal
from .kernel import Kernel
from .outputs import join_streams, summary
from .saving import Saver
from .streams import Streams
from .task import Task

ALIVE_EVERY = 10.0
PULSE = 0.1
"""Seconds between looks at the clock, and the longest that whole lines wait before they are journalled."""
TRACEBACK_LIMIT = 32768
EARLY_EXITS = ("", "0", "None", "False")
"""What SystemExit carries where the exit code is 0."""

Failure = Dict[str, Any]
"""Why an attempt did not succeed: name, value, cell, traceback; and its status where that is not `failed`."""


class StoppedError(Exception):
    """The run was asked to stop, or ended early, and no cell executes: unwind."""


class Execution:
    """The state of one attempt. Cells are reported by the engine; `stop` may come from a signal or from the clock.

    `began` is when the first attempt began, on the monotonic clock: all of them share the run's time.
    """

    def __init__(self, task: Task, journal: Journal, attempt: int, began: float) -> None:
        self.task, self.journal, self.attempt = task, journal, attempt
        self.saver = Saver(task, journal)
        self.kernel: Kernel | None = None
        self.client: Any = None
        self.notebook: Any = None
        self.stop_reason: tuple[str, str, str] | None = None
        self.failure: Failure | None = None
        self.early = False
        self._began = began
        self._kill_at: float | None = None
        self._cell: int | None = None
        self._number = 0
        """Cells begun so far; people count those that are executed, from 1."""
        self._stopped_in: int | None = None
        self._cell_began = 0.0
        self._streams = Streams(journal)
        self._over = threading.Event()

    # -- being stopped -------------------------------------------------------------------------------------------

    def stop(self, status: str, name: str, value: str) -> None:
        """Ask for a graceful end; the first reason stands. Writes nothing, so that a signal handler may call it."""
        if self.stop_reason is not None:
            return
        self.stop_reason = (status, name, value)
        self._stopped_in = self._cell
        starting = self.notebook is None or self._cell is None
        self._kill_at = time.monotonic() + (0.0 if starting else self.task.grace)
        if self.kernel is not None and not starting:
            self.kernel.interrupt()

    def start_clock(self) -> None:
        """Watch the time in a thread of its own."""
        threading.Thread(target=self._tick_until_over, daemon=True).start()

    def stop_clock(self) -> None:
        """The attempt is over."""
        self._over.set()

    def _tick_until_over(self) -> None:
        next_alive = time.monotonic() + ALIVE_EVERY
        while not self._over.wait(PULSE):
            self._streams.write(all_of_it=False)
            self._enforce_limits(time.monotonic())
            if time.monotonic() >= next_alive:
                next_alive += ALIVE_EVERY
                self._alive()

    def _enforce_limits(self, now: float) -> None:
        task = self.task
        if task.cell_timeout and self._cell is not None and now - self._cell_began >= task.cell_timeout:
            self.stop("timed-out", "CellTimeout", f"a cell took longer than {task.cell_timeout:g} s")
        if task.timeout and now - self._began >= task.timeout:
            self.stop("timed-out", "RunTimeout", f"the run took longer than {task.timeout:g} s")
        if self._kill_at is not None and now >= self._kill_at and self.kernel is not None:
            self._kill_at = None
            self.kernel.kill()

    def _alive(self) -> None:
        usage = os.statvfs(self.task.directory)
        load = self.kernel.usage() if self.kernel is not None else {}
        self.journal.write("alive", **load, disk_free=usage.f_bavail * usage.f_frsize)

    # -- told by the engine --------------------------------------------------------------------------------------

    def ready(self, info: dict[str, Any]) -> None:
        """The kernel answers, with the content of its kernel_info reply."""
        from importlib.metadata import version

        self.journal.write(
            "started",
            cells=sum(1 for cell in self.notebook.cells if executes(cell)),
            kernel=self.kernel.name if self.kernel is not None else "",
            python=info.get("language_info", {}).get("version", ""),
            papermill=version("papermill"),
            host=platform.node(),
            pid=os.getpid(),
            attempt=self.attempt,
        )
        self.saver.save_if_due(self.notebook)

    def cell_started(self, cell: Any, index: int) -> None:
        """A cell is next; StoppedError where it must not begin."""
        if self.stop_reason or self.early:
            raise StoppedError
        if executes(cell):
            line = next(line.strip() for line in cell.source.splitlines() if line.strip())
            self.journal.write("cell", index=index, source=line[:200])
            self._number += 1
            self.journal.note(f"[cell {self._number}] {line[:100]}")
            self._cell_began = time.monotonic()
            self._cell = index

    def cell_output(self, index: int, output: Any) -> None:
        """An output came: stream text is gathered for a moment, anything else is journalled at once."""
        if output.output_type == "stream":
            self._streams.gather(index, output.name, output.text)
        else:
            self.flush_stream()
            self.journal.write("output", index=index, **summary(output))
        self.saver.save_if_due(self.notebook)

    def cell_ended(self, cell: Any, index: int, status: str) -> None:
        """A cell is over: ok, error, interrupted or died."""
        self.flush_stream()
        if self._cell == index:
            seconds = time.monotonic() - self._cell_began
            self._cell = None
            join_streams(cell)
            self.journal.write("cell-done", index=index, status=status, seconds=round(seconds, 3))
        self.saver.save_if_due(self.notebook)

    def cell_failed(self, cell: Any, index: int, error: Exception | None) -> None:
        """A cell raised: remember how. sys.exit() and sys.exit(0) are an early, good end."""
        name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
        if name == "SystemExit" and value in EARLY_EXITS:
            self.early = True
            return
        outputs = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
        traceback = "\n".join(outputs[-1].traceback if outputs else [])[-TRACEBACK_LIMIT:].splitlines()
        self.failure = {"name": name, "value": value[:2000], "cell": index, "traceback": traceback}

    def kernel_died(self, index: int) -> None:
        """The kernel is gone in the middle of a cell."""
        name, value = self.kernel.death() if self.kernel is not None else ("KernelDied", "")
        self.failure = {"status": "kernel-died", "name": name, "value": value, "cell": index, "traceback": []}

    def flush_stream(self) -> None:
        """Journal all stream text that was gathered."""
        self._streams.write(all_of_it=True)

    # -- the outcome ---------------------------------------------------------------------------------------------

    def outcome(self, error: Exception | None) -> tuple[str, Failure | None]:
        """Status and failure of the attempt; `error` is what was raised outside any cell."""
        if self.stop_reason:
            status, name, value = self.stop_reason
            traceback = self.failure["traceback"] if self.failure else []
            return status, {"name": name, "value": value, "cell": self._stopped_in, "traceback": traceback}
        if self.early:
            return "succeeded", None
        if self.failure:
            return self.failure.pop("status", "failed"), self.failure
        if error is not None:
            return "failed", {"name": type(error).__name__, "value": str(error)[:2000], "cell": None, "traceback": []}
        return "succeeded", None


def executes(cell: Any) -> bool:
    """Whether a cell is executed at all."""
    return bool(cell.cell_type == "code" and cell.source.strip())
