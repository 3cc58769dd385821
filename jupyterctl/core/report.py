"""Looking back at runs: the failing cell, a page to read, and what differs between two of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ..errors import NotFoundError, UsageError
from ..model import Json, Run
from ..store import Store
from . import journal, notebook, records, runs
from .progress import Cells, Printed


class Comparison(Struct, frozen=True, kw_only=True):
    """What differs between two runs."""

    parameters: dict[str, tuple[Json, Json]]
    """Name to both values; a parameter that one run was not given is None there."""
    seconds: tuple[float | None, float | None]
    cells: tuple[CellTime, ...]
    outputs: tuple[str, ...]
    """Lines of a difference of the two result notebooks' sources and outputs."""


class CellTime(Struct, frozen=True, kw_only=True):
    """How long a cell took in both runs; None in a run that did not have or not finish it."""

    numbers: tuple[int | None, int | None]
    """Its place among the executed cells of each run, from 1; None in a run that did not have it."""
    source: str
    seconds: tuple[float | None, float | None]


class FailingCell(Struct, frozen=True, kw_only=True):
    """The cell in which a run failed. `number` counts executed cells from 1, as Jupyter's `In [number]` does."""

    number: int
    source: str
    """Empty where the notebook did not come back."""


def failing_cell(run: Run) -> FailingCell | None:
    """The cell in which a run failed, as it ran; None where no cell is to blame."""
    if run.error is None or run.error.cell is None:
        return None
    number = 0
    for event in journal.events(records.journal(run.id)):
        number = 0 if event["event"] == "started" else number + (event["event"] == "cell")
    result = records.directory(run.id) / records.OUTPUT
    cells = notebook.read(result).cells if result.exists() else ()
    source = cells[run.error.cell].source if run.error.cell < len(cells) else ""
    return FailingCell(number=number, source=source)


def html(store: Store, run: Run, destination: Path | None) -> Path:
    """The result as one HTML page, by nbconvert; returns where it is."""
    result = result_of(store, run)
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(embed_images=True).from_filename(str(result))
    wanted = destination or records.directory(run.id) / "report.html"
    if wanted.is_dir():
        wanted = wanted / f"{run.id}.html"
    try:
        wanted.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write `{wanted}`: {error.strerror}", "choose another place with -o") from None
    return wanted


def result_of(store: Store, run: Run) -> Path:
    """The run's notebook in its record, fetched where it is not there yet."""
    result = records.directory(run.id) / records.OUTPUT
    return result if result.exists() else runs.fetch(store, run, result)


def compare(store: Store, first: Run, second: Run) -> Comparison:
    """Parameters, durations and outputs of two runs side by side."""
    names = sorted({*first.parameters, *second.parameters})
    pairs = {name: (first.parameters.get(name), second.parameters.get(name)) for name in names}
    return Comparison(
        parameters={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        seconds=(first.seconds, second.seconds),
        cells=tuple(_cell_times(first, second)),
        outputs=tuple(_outputs(store, first, second)),
    )


def _cell_times(first: Run, second: Run) -> Iterator[CellTime]:
    """Cells of the same first line stand side by side; one that only one run has stands alone."""
    before, after = _times(first), _times(second)
    lines = [line for line, _ in before], [line for line, _ in after]
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, *lines, autojunk=False).get_opcodes():
        if kind == "equal":
            for a, b in zip(range(i, i_end), range(j, j_end), strict=True):
                source, seconds = before[a]
                yield CellTime(numbers=(a + 1, b + 1), source=source, seconds=(seconds, after[b][1]))
            continue
        for a in range(i, i_end):
            yield CellTime(numbers=(a + 1, None), source=before[a][0], seconds=(before[a][1], None))
        for b in range(j, j_end):
            yield CellTime(numbers=(None, b + 1), source=after[b][0], seconds=(None, after[b][1]))


def _times(run: Run) -> list[tuple[str, float | None]]:
    """First line and seconds of each cell that was executed, in order; of the last attempt."""
    found: list[tuple[str, float | None]] = []
    for event in journal.events(records.journal(run.id)):
        if event["event"] == "started":
            found.clear()
        elif event["event"] == "cell":
            found.append((event["source"], None))
        elif event["event"] == "cell-done" and found:
            found[-1] = (found[-1][0], event["seconds"])
    return found


def _outputs(store: Store, first: Run, second: Run) -> list[str]:
    """By nbdime where it is installed, which knows what of a notebook matters; else by the lines of their outputs."""
    files = [result_of(store, run) for run in (first, second)]
    try:
        from nbdime import diff_notebooks
        from nbdime.diffing.notebooks import set_notebook_diff_targets
        from nbdime.prettyprint import PrettyPrintConfig, pretty_print_notebook_diff
    except ImportError:
        return _plain_difference(first, second)
    import io

    import nbformat

    set_notebook_diff_targets(sources=True, outputs=True, attachments=False, metadata=False, identifier=False)
    before, after = (nbformat.read(file, as_version=4) for file in files)
    out = io.StringIO()
    config = PrettyPrintConfig(out=out, use_color=False, use_git=False, use_diff=False)
    pretty_print_notebook_diff(first.id, second.id, before, diff_notebooks(before, after), config)
    return out.getvalue().splitlines()


def _plain_difference(first: Run, second: Run) -> list[str]:
    return list(difflib.unified_diff(_text(first), _text(second), first.id, second.id, lineterm="", n=1))


def _text(run: Run) -> list[str]:
    events = journal.events(records.journal(run.id))
    if not events:
        raise NotFoundError(f"`{run.id}` has no journal", "only runs that were started can be compared")
    cells = Cells()
    texts: list[str] = []
    for event in events:
        cells.take(event)
        if event["event"] == "output":
            texts.append(f"[cell {cells.number}] {Printed().take(event)}")
    return [line for text in texts for line in text.splitlines()]
