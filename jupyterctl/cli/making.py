"""How the making of an environment is shown: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..core.plain import printable
from ..environments.solve import Step
from . import diagnostics

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_WORDS = {"solve": "looking for packages in", "install": "installing", "pip": "", "venv": "making an environment with"}


class Making:
    """A context in which steps are shown; the bar is gone afterwards."""

    def __init__(self) -> None:
        self._last = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, step: Step) -> None:
        """One step, or how far it is."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=_line(step), completed=step.done, total=step.total or None)
        elif step.step == "pip" or step.step != self._last:
            diagnostics.info(_line(step))
        self._last = step.step


def _line(step: Step) -> str:
    text = step.text
    if step.step == "install":
        text = f"{step.done} of {step.total} packages: {text}" if step.done else f"{step.total} packages"
    return printable(f"{_WORDS.get(step.step, '')} {text}".strip())


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    return Progress(
        SpinnerColumn(), BarColumn(bar_width=24), TimeElapsedColumn(), text, console=console, transient=True
    )
