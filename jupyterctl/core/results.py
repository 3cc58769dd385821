"""A run's result: fetched and verified, put where it was asked for, found again."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from ..errors import NotFoundError, TargetError, UsageError
from ..model import Run
from ..target import Target
from . import prepare, records


def collect(run: Run, target: Target) -> None:
    """Fetch the result and the log into the record; TargetError where the result came back damaged."""
    record = records.directory(run.id)
    for name in (records.OUTPUT, records.LOG):
        try:
            digest = target.collect(run.handle, name, record / name)
        except FileNotFoundError:
            continue
        expected = run.sha256 if name == records.OUTPUT and run.sha256 else digest
        if sha256(record / name) != expected:
            (record / name).unlink()
            raise TargetError(
                f"`{name}` of `{run.id}` came back damaged", f"`jupyterctl runs fetch {run.id}` tries again"
            )


def deliver(run: Run) -> str | None:
    """Put the result where it was asked for, unless it is there; returns why it could not be."""
    result = records.directory(run.id) / records.OUTPUT
    if run.output is None or not result.exists():
        return None
    wanted = Path(run.output)
    try:
        if not wanted.exists() or sha256(wanted) != sha256(result):
            place(result, wanted)
    except OSError as error:
        return f"{error.strerror}: {wanted}"
    return None


def place(source: Path, destination: Path) -> None:
    """Copy a file, replacing what is there at once."""
    temporary = destination.with_name(f".{destination.name[:40]}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(destination)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def sha256(file: Path) -> str:
    """Hex digest of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def put(run: Run, destination: Path | None) -> Path:
    """Put the result, as far as it has been fetched, where it is wanted; returns where it is."""
    result = records.directory(run.id) / records.OUTPUT
    if not result.exists():
        raise NotFoundError(f"`{run.id}` has saved no notebook", f"`jupyterctl runs show {run.id}` tells how it stands")
    wanted = destination or (Path(run.output) if run.output else None)
    if wanted is None:
        return result
    if wanted.is_dir():
        wanted = wanted / Path(run.notebook).name
    prepare.writable(wanted, Path(run.notebook))
    try:
        place(result, wanted)
    except OSError as error:
        raise UsageError(f"cannot write `{wanted}`: {error.strerror}", "choose another place with -o") from None
    return wanted


def output(run: Run) -> Path | None:
    """Where the result is now, None while there is none."""
    if run.output and run.state.ended and not run.undelivered and Path(run.output).exists():
        return Path(run.output)
    result = records.directory(run.id) / records.OUTPUT
    return result if result.exists() else None
