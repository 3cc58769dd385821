"""`jupyterctl cp` and `sync`: files to a target and back."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from ..core.plain import named, printable
from ..core.session import Session
from . import ask, diagnostics, output
from .complete import complete_target

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..core.copying import Mirroring

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
_LOOKING = "looking at what is there already"
"""Shown until the first byte goes over: a large file that was begun is read at both ends before it goes on."""
_MIRRORING = "comparing, and copying what differs"
"""Shown until something says more, which rsync does not."""


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option("-r", "--recursive", is_flag=True, help="Copy a folder with all that is in it.")
@_json
def cp(*, source: str, destination: str, recursive: bool, as_json: bool) -> None:
    """Copy a file to a target or back; `NAME:PATH` is a path there, from the profile's folder on.

    A slash at the end of DESTINATION means a folder, made where there is none. What is broken off goes on where it was
    when it is asked for again.
    """
    session = Session(notify=diagnostics.warning)
    with Copying(_LOOKING) as copying:
        place = session.copy(source, destination, copying.show, recursive=recursive)
    if as_json:
        output.document({"copied": place})
    else:
        diagnostics.info(f"copied to {printable(place)}")


@click.command()
@click.argument("target", shell_complete=complete_target)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path())
@click.option("--back", is_flag=True, help="From the target to here.")
@click.option("--delete", is_flag=True, help="Remove what the other side no longer has.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be copied and removed.")
@ask.YES
@_json
def sync(*, target: str, folder: Path, back: bool, delete: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make TARGET's working folder as FOLDER is (this one, where none is named); what `.gitignore` names is left out.

    Only what differs in size or time goes over, by rsync where both machines have it.
    """
    session = Session(notify=diagnostics.warning)
    if delete and not (dry_run or yes):
        trial = session.mirror(target, folder, lambda *_: None, back=back, delete=True, dry_run=True)
        _ask_about(trial, target, back=back)
    with Copying(_MIRRORING) as copying:
        done = session.mirror(target, folder, copying.show, back=back, delete=delete, dry_run=dry_run)
    if as_json:
        told = {"copied": done.copied, "removed": done.removed, "by": done.by, "into": done.into}
        output.document({**told, "dry_run": dry_run})
        return
    if dry_run:
        for name in done.copied:
            output.line(f"copy    {printable(name)}")
        for name in done.removed:
            output.line(f"remove  {printable(name)}")
    by = f", by {done.by}" if done.copied and not dry_run else ""
    looked = " (only looked)" if dry_run else ""
    said = f"{len(done.copied)} copied, {len(done.removed)} removed"
    diagnostics.info(f"{said}{by}, in {printable(done.into)}{looked}")


def _ask_about(trial: Mirroring, target: str, *, back: bool) -> None:
    """Name what would be removed, and from which folder, before it is."""
    removed, folder = trial.removed, trial.into if back else trial.into.removeprefix(f"{target}:")
    if removed:
        where = "here" if back else f"at `{target}`"
        question = f"In `{printable(folder)}`, remove {named(removed)} {where}?"
        ask.confirm(question, yes=False, declined="nothing was copied or removed")


class Copying:
    """A context in which the files that go over are shown by a bar; it is gone afterwards."""

    def __init__(self, at_first: str) -> None:
        """`at_first` is said while nothing is known to go over."""
        self._at_first = at_first
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._name: str | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, Task, TextColumn, TransferSpeedColumn
            from rich.text import Text

            class Amount(DownloadColumn):
                """Nothing, rather than `0/?`, while no size is known."""

                def render(self, task: Task) -> Text:
                    return Text() if task.total is None else super().render(task)

            console = Console(stderr=True, highlight=False, markup=False, emoji=False)
            text = TextColumn("{task.description}", markup=False)
            columns = (BarColumn(bar_width=24), Amount(), TransferSpeedColumn(), text)
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(self._at_first, total=None)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, name: str, done: int, size: int) -> None:
        """A file, and how much of it is over."""
        if self._bar and self._task is not None:
            if self._name == name:
                self._bar.update(self._task, completed=done, total=size)
            else:  # what is over already has not just come over: it is no part of the speed
                self._bar.reset(self._task, description=printable(name), completed=done, total=size)
            self._name = name
