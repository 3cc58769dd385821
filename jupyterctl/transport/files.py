"""Folders and files of this machine, on disks that may not be there or be full."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..errors import TargetError, UnreachableError


def reach(folder: str) -> Path:
    """The folder; UnreachableError where the disk it was on is not there."""
    directory = Path(folder)
    if not directory.parent.is_dir():
        raise UnreachableError(f"`{directory.parent}` is not there", "mount the disk it was on")
    return directory


def copy(source: Path, destination: Path) -> None:
    """Copy a file, its parents made, in place at once; TargetError says what could not be written and why."""
    temporary = destination.with_name(f".{destination.name[:40]}.{os.getpid()}.tmp")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, temporary)
        temporary.replace(destination)
    except FileNotFoundError:
        raise
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TargetError(
            f"cannot write `{destination}`: {error.strerror}", "free space or choose another place"
        ) from error
