"""`jupyterctl cp` and `sync`: files to a target and back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from ..core.plain import printable
from ..core.session import Session
from . import ask, diagnostics, output
from .complete import complete_target

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
_NAMED = 5
"""Files that are named in a question."""


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
    with Copying() as copying:
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
        _ask_about(trial.removed, target, back=back)
    with Copying() as copying:
        done = session.mirror(target, folder, copying.show, back=back, delete=delete, dry_run=dry_run)
    if as_json:
        output.document({"copied": done.copied, "removed": done.removed, "by": done.by, "dry_run": dry_run})
        return
    if dry_run:
        for name in done.copied:
            output.line(f"copy    {printable(name)}")
        for name in done.removed:
            output.line(f"remove  {printable(name)}")
    said = f"{len(done.copied)} copied, {len(done.removed)} removed"
    diagnostics.info(f"{said} (only looked)" if dry_run else said if not done.copied else f"{said}, by {done.by}")


def _ask_about(removed: Sequence[str], target: str, *, back: bool) -> None:
    """Name what would be removed before it is."""
    if removed:
        shown = ", ".join(f"`{printable(name)}`" for name in removed[:_NAMED])
        more = f" and {len(removed) - _NAMED} more" if len(removed) > _NAMED else ""
        question = f"Remove {shown}{more} {'here' if back else f'at `{target}`'}?"
        ask.confirm(question, yes=False, declined="nothing was copied or removed")


class Copying:
    """A context in which the files that go over are shown by a bar; it is gone afterwards."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            console = Console(stderr=True, highlight=False, markup=False, emoji=False)
            text = TextColumn("{task.description}", markup=False)
            columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), text)
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, name: str, done: int, size: int) -> None:
        """A file, and how much of it is over."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=printable(name), completed=done, total=size)
