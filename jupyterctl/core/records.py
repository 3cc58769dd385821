"""A run's record on this machine: one directory with what the run was made of, and what has come back of it.

run.json        the run itself, from which a lost store is rebuilt
in.ipynb        the notebook as it was when the run was made
events.jsonl    the journal, as far as it has been fetched: a prefix of the one at the target
out.ipynb       the result, once it has been fetched and verified
runner.log      the runner's own log, fetched with it
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from .. import paths
from ..model import Json, Run, now
from .journal import events

JOURNAL, INPUT, OUTPUT, LOG = "events.jsonl", "in.ipynb", "out.ipynb", "runner.log"


def directory(run_id: str) -> Path:
    """Where the record of a run is."""
    return paths.runs() / run_id


def create(run: Run, notebook: Path) -> None:
    """Make the record of a new run, with the first event of its journal."""
    folder = paths.private(directory(run.id))
    shutil.copyfile(notebook, folder / INPUT)
    (folder / INPUT).chmod(0o600)
    keep(run)
    paths.write(folder / JOURNAL, _line(0, "queued", target=run.target, place={}))


def keep(run: Run) -> None:
    """Write the run as it is now."""
    paths.write(directory(run.id) / "run.json", msgspec.json.encode(run))


def submitted(run: Run, place: dict[str, str]) -> None:
    """The second event: the run is handed to the place (host, pod, job …, and what executes it there)."""
    file = directory(run.id) / JOURNAL
    first = file.read_bytes().partition(b"\n")[0]
    paths.write(file, first + b"\n" + _line(1, "submitted", target=run.target, place=place))


def journal(run_id: str, offset: int = 0) -> bytes:
    """The journal from a byte on, as far as it has been fetched."""
    try:
        with (directory(run_id) / JOURNAL).open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


def extend(run_id: str, offset: int, data: bytes) -> None:
    """Put bytes of the journal where they belong; two processes that do this at once write the same."""
    if data:
        descriptor = os.open(directory(run_id) / JOURNAL, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, data, offset)
        finally:
            os.close(descriptor)


def close(run_id: str, status: str, name: str, value: str) -> None:
    """Write the last event for a run that cannot write it any more."""
    data = journal(run_id)
    whole = data[: data.rfind(b"\n") + 1]
    error: dict[str, Json] = {"name": name, "value": value, "cell": None, "traceback": []}
    known = events(whole)
    line = _line(known[-1]["seq"] + 1 if known else 0, "ended", status=status, seconds=None, error=error)
    paths.write(directory(run_id) / JOURNAL, whole + line)


def remove(run_id: str) -> None:
    """Remove the record."""
    shutil.rmtree(directory(run_id), ignore_errors=True)


def _line(seq: int, event: str, **fields: object) -> bytes:
    return msgspec.json.encode({"seq": seq, "time": now(), "event": event, **fields}) + b"\n"
