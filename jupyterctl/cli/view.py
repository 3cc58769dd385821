"""What `run` and `runs attach` show while a run goes on: journal lines, plain lines, or a live view in a terminal."""

from __future__ import annotations

import sys
from typing import Protocol

from ..core import words
from ..core.progress import Cells, left_out, pictures
from ..core.session import Session
from ..model import Event, Run, RunState
from . import diagnostics, output


class View(Protocol):
    """Shows one run, or several at once."""

    def event(self, run: Run, event: Event) -> None:
        """Something happened."""

    def tick(self, run: Run) -> None:
        """Nothing happened for a moment."""

    def close(self) -> None:
        """The view ends."""


def choose(*, json: bool, log_output: bool, several: int = 0) -> View:
    """The view that fits where the output goes; `several` is how many runs a sweep has."""
    if json:
        return Journal(several=several)
    if sys.stdout.isatty():
        from .live import Live

        return Live(log_output=log_output, several=several)
    return Plain(log_output=log_output, several=several)


class Journal:
    """The journal's lines as they come, each with its run."""

    def __init__(self, *, several: int) -> None:
        self.notices = Notices(several=several)

    def event(self, run: Run, event: Event) -> None:
        """A line of the journal; what is no line of it goes to stderr."""
        if "seq" in event:
            output.record({"run": run.id, **event})
        else:
            self.notices.event(run, event)

    def tick(self, run: Run) -> None:
        """Nothing to show."""

    def close(self) -> None:
        """Nothing to end."""


class Plain:
    """One line a finished cell, for pipes and logs."""

    def __init__(self, *, log_output: bool, several: int) -> None:
        self.log_output = log_output
        self.several = several
        self.notices = Notices(several=several)
        self.cells: dict[str, Cells] = {}

    def event(self, run: Run, event: Event) -> None:
        """A line for what a person would want to know."""
        cells = self.cells.setdefault(run.id, Cells())
        done = cells.take(event)
        if "seq" not in event:
            self.notices.event(run, event)
        elif event["event"] == "ended":
            self.line(run, words.outcome(run))
        elif self.several:
            return
        elif done is not None:
            self.line(run, f"[{done.number}/{cells.total}] {done.status} {words.seconds(done.seconds)}  {done.text}")
        elif event["event"] == "output":
            self._output(run, event)
        elif event["event"] == "retry":
            self.line(run, f"attempt {event['attempt']} of {event['of']}: the one before {event['status']}")

    def line(self, run: Run, text: str) -> None:
        """One line, with the run's name where there are several."""
        output.line(f"{run.id}  {words.parameters(run)}  {text}" if self.several else text)
        sys.stdout.flush()

    def _output(self, run: Run, event: Event) -> None:
        if self.log_output and event.get("text"):
            if missing := left_out(event):
                self.line(run, f"    {missing}")
            text = event["text"].rstrip("\n")
            for line in text.split("\n"):
                self.line(run, f"    {line}")
        if named := pictures(event):
            self.line(run, f"    {named}")

    def tick(self, run: Run) -> None:
        """Nothing to show."""

    def close(self) -> None:
        """Nothing to end."""


class Notices:
    """What the place of the runs says, which stands in no journal; what many runs are told is told once."""

    def __init__(self, *, several: int) -> None:
        self.several = several
        self._reasons: set[str] = set()
        self._reachable = True

    def event(self, run: Run, event: Event) -> None:
        """It went out of reach, or came back, or says what a run waits for."""
        if event["event"] == "waiting":
            if not (self.several and event["reason"] in self._reasons):
                diagnostics.info(f"`{run.id}` waits: {event['reason']}")
            self._reasons.add(event["reason"])
            return
        reachable = event["event"] == "reachable"
        known, self._reachable = self._reachable == reachable, reachable
        if known and self.several:
            return
        if reachable:
            diagnostics.info("the place answers again")
        else:
            diagnostics.warning(f"{event['error']}; the run may go on there, trying again", event.get("hint", ""))


def result(session: Session, run: Run) -> None:
    """Where the result is, or why it is not where it was asked for."""
    where = session.output(run)
    if where is not None:
        diagnostics.info(f"result: {where}")
    if run.undelivered:
        hint = f"it is kept; `jupyterctl runs fetch {run.id} -o PATH` puts it elsewhere"
        diagnostics.error(f"the result could not be put where it was asked for: {run.undelivered}", hint)


def conclude(session: Session, run: Run) -> None:
    """After the last event: where the result is; for a run that went wrong two lines on stderr."""
    result(session, run)
    if run.state is RunState.CANCELLED:
        diagnostics.info(f"`{run.id}` was cancelled")
    elif run.state.ended and run.state is not RunState.SUCCEEDED:
        cell = session.failing_cell(run)
        where_in = f" in cell [{cell.number}]" if cell else ""
        said = words.SAID.get(run.state, run.state.value)
        diagnostics.error(f"`{run.id}`: {said}{where_in}: {words.failure(run)}", f"jupyterctl runs show {run.id}")
