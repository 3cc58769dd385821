"""Running again: a new run with everything an earlier one was asked for."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from ..model import Run
from ..store import Store
from . import prepare, records, runs
from .given import Given


def rerun(store: Store, run: Run) -> Run:
    """A new, queued run like this one, of the notebook as it is now; of its kept copy where it is gone."""
    notebook = Path(run.notebook)
    if not notebook.is_file():
        notebook = records.directory(run.id) / records.INPUT
    request = prepare.Request(
        notebook=notebook,
        target=run.target,
        given={name: Given(value=value, source="-r") for name, value in run.parameters.items()},
        secrets=run.secrets,
        options=run.options,
    )
    prepared = prepare.prepare(request)
    if run.output is not None:
        prepare.writable(Path(run.output), notebook)
    made = prepare.run_of(prepared, request.given)
    return runs.create(store, structs.replace(made, notebook=run.notebook, output=run.output), notebook)
