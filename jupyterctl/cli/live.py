"""The live view in a terminal: a line for each finished cell, and below them a bar with what runs now."""

from __future__ import annotations

import time

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from ..core import words
from ..core.progress import Cells, Done, left_out, past, pictures
from ..model import Event, Run, RunState
from .view import Notices

STYLES = {"ok": ("✓", "green"), "error": ("✗", "red"), "interrupted": ("○", "yellow"), "died": ("✗", "red")}
COLOURS = {RunState.SUCCEEDED: "green", RunState.CANCELLED: "yellow"}


class Live:
    """One bar a run; with several, one more for all, and only what each has come to is written above them."""

    def __init__(self, *, log_output: bool, several: int) -> None:
        self.console = Console(highlight=False, markup=False, emoji=False)
        self.log_output = log_output
        self.several = several
        self.notices = Notices(several=several)
        self.cells: dict[str, Cells] = {}
        self.bars: dict[str, TaskID] = {}
        self.began: dict[str, float] = {}
        self.pictures: list[str] = []
        self.decoder = AnsiDecoder()
        self.progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}", markup=False),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[clock]}", style="dim", markup=False),
            console=self.console,
            transient=True,
            refresh_per_second=8,
        )
        self.all = self.progress.add_task("runs", total=several, clock="") if several else None
        self.progress.start()

    def event(self, run: Run, event: Event) -> None:
        """Write what is over, redraw what goes on."""
        cells = self.cells.setdefault(run.id, Cells())
        done = cells.take(event)
        kind = event["event"]
        if "seq" not in event:
            self.notices.event(run, event)
        elif kind == "cell":
            self.began[run.id] = time.monotonic() - past(event)
        elif kind == "output":
            self._output(event)
        elif kind == "retry":
            self.console.print(Text(f"attempt {event['attempt']} of {event['of']}: {event['status']}", "yellow"))
        elif kind == "ended":
            self._ended(run)
        if done is not None and not self.several:
            self._done(done)
        self.tick(run)

    def tick(self, run: Run) -> None:
        """Bring the bar up to date."""
        cells = self.cells.setdefault(run.id, Cells())
        if run.state.ended or run.state is RunState.QUEUED or (self.several and not run.started):
            return
        if run.id not in self.bars:
            self.bars[run.id] = self.progress.add_task(words.state(run), total=1, clock="")
        name = f"{run.id} {words.parameters(run)} " if self.several else ""
        text, clock = f"{name}starting", ""
        if cells.running:
            text = f"{name}[{cells.number}] {cells.text}"
            clock = words.seconds(time.monotonic() - self.began.get(run.id, time.monotonic()))
        self.progress.update(
            self.bars[run.id],
            completed=cells.number - cells.running,
            total=max(1, cells.total),
            description=text[: max(20, self.console.width - 56)],
            clock=clock,
        )

    def close(self) -> None:
        """Take the bars away."""
        self.progress.stop()

    def _done(self, done: Done) -> None:
        glyph, colour = STYLES.get(done.status, ("?", ""))
        width = max(20, self.console.width - 26)
        text = done.text if len(done.text) <= width else done.text[: width - 1] + "…"
        line = Text.assemble((f" {glyph} ", colour), (f"[{done.number}] ", "dim"), text.ljust(width))
        line.append(f" {words.seconds(done.seconds):>10}", "dim")
        self.console.print(line, no_wrap=True, crop=True)
        for named in self.pictures:
            self.console.print(Text(f"      {named}", "cyan"))
        self.pictures.clear()

    def _output(self, event: Event) -> None:
        if self.log_output and event.get("text"):
            if missing := left_out(event):
                self.console.print(Text(f"      {missing}", "dim"))
            for line in self.decoder.decode(event["text"]):
                self.console.print(Text("      ").append_text(line))
        if not self.several and (named := pictures(event)):
            self.pictures.append(named)

    def _ended(self, run: Run) -> None:
        if run.id in self.bars:
            self.progress.remove_task(self.bars.pop(run.id))
        if self.all is not None:
            self.progress.advance(self.all)
        colour = COLOURS.get(run.state, "red")
        name = f"{run.id} {words.parameters(run)}  " if self.several else ""
        if self.several or run.state is RunState.SUCCEEDED:  # what else a run came to is told on stderr
            self.console.print(Text(f"{name}{words.GLYPHS[run.state]} {words.outcome(run)}", colour))
