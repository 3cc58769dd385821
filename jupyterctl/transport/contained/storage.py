"""Object storage, where a profile names it: what a run leaves there, and what is too large to come with it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import MissingLibraryError, TargetError, UnreachableError


def below(storage: str, run_id: str) -> str:
    """The address of a run's files."""
    return f"{storage.rstrip('/')}/{run_id}"


def fetch(address: str, destination: Path) -> None:
    """Copy a file here, in place at once; FileNotFoundError where there is none."""
    files, path = _open(address)
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    try:
        files.get_file(path, str(temporary))
        temporary.replace(destination)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise UnreachableError(f"the storage does not give `{address}`: {error}", "try again in a while") from error
    finally:
        temporary.unlink(missing_ok=True)


def put(source: Path, address: str) -> None:
    """Copy a file there."""
    files, path = _open(address)
    try:
        files.put_file(str(source), path)
    except Exception as error:
        raise TargetError(
            f"the storage does not take `{address}`: {error}", "look at its name and your rights"
        ) from error


def remove(address: str) -> None:
    """Remove all that lies below."""
    files, path = _open(address)
    with suppress(FileNotFoundError):
        files.rm(path, recursive=True)


def _open(address: str) -> tuple[Any, str]:
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise MissingLibraryError(f"the storage `{address}` ({error})", "storage") from error
    return files, path
