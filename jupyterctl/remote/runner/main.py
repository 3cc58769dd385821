"""Attempts at a notebook, from the first to the last, and the journal's last word."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from .execution import Execution, Failure
from .journal import Journal
from .kernel import Kernel
from .task import Task

EXIT_CODES = {"succeeded": 0, "failed": 1, "cancelled": 4, "timed-out": 5, "kernel-died": 6}
PAPERMILLS_NAME = {"r": "R"}
"""Languages that papermill knows by another name than the lower-case one."""
TARGET_FAILED = 3
"""Exit code of a failure that no cell is to blame for."""


def run() -> None:
    """Run the task beside the archive that this is part of, and end the process with the outcome's exit code.

    The argument `contained` says that this is the first process of a container.
    """
    directory = Path(sys.argv[0]).absolute().parent
    if sys.argv[1:] == ["contained"]:
        from .contained import supervise

        code = supervise(directory, lambda: Runner(directory).run())
    else:
        code = Runner(directory).run()
    sys.stdout.flush()
    os._exit(code)


class Runner:
    """All attempts at one task."""

    def __init__(self, directory: Path) -> None:
        os.chdir(directory)
        self.task = Task(directory)
        self.journal = Journal(directory, self.task.mask)
        self._began = time.monotonic()
        self.execution = Execution(self.task, self.journal, 1, self._began)
        self._cancelled = ""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._cancel)
        signal.signal(signal.SIGINT, self._cancel)

    def _cancel(self, number: int, _: object) -> None:
        self._cancelled = f"asked to end ({signal.Signals(number).name})"
        self.execution.stop("cancelled", "Cancelled", self._cancelled)

    def run(self) -> int:
        """Try until it succeeds, is cancelled, or was tried often or long enough; returns the exit code."""
        status, failure = attempt(self.execution)
        while status != "succeeded" and self._may_try_again():
            number = self.execution.attempt + 1
            self.journal.write("retry", attempt=number, of=self.task.retries + 1, status=status, error=failure)
            self.execution = Execution(self.task, self.journal, number, self._began)
            if self._cancelled:  # since the last attempt was over
                self.execution.stop("cancelled", "Cancelled", self._cancelled)
            status, failure = attempt(self.execution)
        self._last_word(status, failure, time.monotonic() - self._began)
        return TARGET_FAILED if status == "failed" and failure and failure["cell"] is None else EXIT_CODES[status]

    def _may_try_again(self) -> bool:
        timeout = self.task.timeout
        late = timeout is not None and time.monotonic() - self._began >= timeout
        return self.execution.attempt <= self.task.retries and not self._cancelled and not late

    def _last_word(self, status: str, failure: Failure | None, seconds: float) -> None:
        saver = self.execution.saver
        extra: dict[str, object] = {"early": True} if self.execution.early and status == "succeeded" else {}
        if saver.undelivered:
            extra["undelivered"] = saver.undelivered
        self.journal.release()
        self.journal.write(
            "ended",
            status=status,
            seconds=round(seconds, 3),
            error=failure,
            sha256=saver.digest,
            bytes=saver.size,
            **extra,
        )


def attempt(execution: Execution) -> tuple[str, Failure | None]:
    """Run the notebook once: status and failure."""
    error = None
    try:
        execution.kernel = Kernel(execution.task)
        execution.start_clock()
        execute(execution)
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is the journal's last word
        error = raised
        execution.journal.note(f"{type(raised).__name__}: {raised}")
    try:
        return finish(execution, *execution.outcome(error))
    finally:
        execution.stop_clock()


def execute(execution: Execution) -> None:
    """Execute through papermill. Its verdict is not asked for: it counts an error that a cell was allowed to raise."""
    engine = load_engine()
    import papermill
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    papermill_engines.register("jupyterctl", engine)
    assert execution.kernel is not None  # noqa: S101 - made just before
    with suppress(PapermillExecutionError):
        papermill.execute_notebook(
            "in.ipynb",
            None,
            parameters=execution.task.parameters,
            engine_name="jupyterctl",
            kernel_name=execution.kernel.name,
            language=PAPERMILLS_NAME.get(execution.task.language, execution.task.language),
            progress_bar=False,
            execution=execution,
        )


def load_engine() -> type:
    """Our engine and papermill, imported without collecting garbage and without what is never used: a quarter faster.

    jsonschema imports whatever checkers of formats are installed, for web addresses and lengths of time; the schema
    of notebooks has no such formats, and nbformat checks none.
    """
    for checker in ("rfc3987_syntax", "rfc3986_validator", "isoduration"):
        sys.modules.setdefault(checker, None)  # type: ignore[arg-type] # an import of it raises ImportError
    gc.disable()
    from .engine import Engine

    gc.enable()
    return Engine


def finish(execution: Execution, status: str, failure: Failure | None) -> tuple[str, Failure | None]:
    """Save and end the kernel; a result that cannot be saved is a failure of the place, not of a cell."""
    if execution.notebook is not None:
        execution.journal.release()
        try:
            execution.saver.save(execution.notebook)
        except OSError as error:
            value = f"the notebook could not be saved: {error.strerror}: {execution.saver.path}"
            status, failure = "failed", {"name": "OutputNotSaved", "value": value, "cell": None, "traceback": []}
    if execution.kernel is not None:
        graceful = status in ("succeeded", "failed") and execution.kernel.process.poll() is None
        if not execution.kernel.end(execution.client if graceful else None) and graceful:
            execution.journal.note("the kernel did not end by itself and was killed")
    return status, failure
