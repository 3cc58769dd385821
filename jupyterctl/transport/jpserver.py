"""What Jupyter servers write of themselves: `jpserver-PID.json` in Jupyter's runtime folder.

The files are read and never removed: on a shared home they may be another machine's. A server that was killed leaves
its file behind, and its pid and port go to others; so a file is believed only for a process that was there before it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from ..model import Address

_CLOCK = 10.0
"""Seconds by which the clocks of the file system and of the process table may differ."""


class Record(Struct, frozen=True, kw_only=True):
    """One such file; unknown fields are passed over."""

    pid: int
    port: int = 0
    url: str = ""
    token: str = ""
    root_dir: str = ""
    base_url: str = "/"
    sock: str = ""
    written: float = 0.0
    """When, in seconds since 1970; the file's own time."""

    @property
    def address(self) -> Address:
        """Where its server answers; one that listens on every address answers on this machine's own."""
        return Address(
            url=self.url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:"), token=self.token
        )

    def __repr__(self) -> str:
        return f"Record(pid={self.pid}, url={self.url!r})"


def runtime(environment: Mapping[str, str] | None = None) -> Path:
    """The runtime folder, as jupyter_core finds it, for a process with this environment; None: for this one."""
    known = os.environ if environment is None else environment
    if known.get("JUPYTER_RUNTIME_DIR"):
        return Path(known["JUPYTER_RUNTIME_DIR"])
    if known.get("JUPYTER_DATA_DIR"):
        return Path(known["JUPYTER_DATA_DIR"]) / "runtime"
    home = Path(known.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library/Jupyter/runtime"
    return Path(known.get("XDG_DATA_HOME") or home / ".local/share") / "jupyter/runtime"


def read(folder: Path, pid: int) -> Record | None:
    """One process's record; None where there is none yet, or what is there cannot be read."""
    file = folder / f"jpserver-{pid}.json"
    try:
        record = msgspec.json.decode(file.read_bytes(), type=Record)
        written = file.stat().st_mtime
    except (OSError, msgspec.MsgspecError):
        return None
    return msgspec.structs.replace(record, written=written) if record.pid == pid else None


def pids(folder: Path) -> list[int]:
    """The pids of the records in a folder that are a process of this user's now."""
    found = []
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - names are all that is wanted
            number = name.removeprefix("jpserver-").removesuffix(".json")
            if number.isdecimal() and name == f"jpserver-{number}.json" and _alive(int(number)):
                found.append(int(number))
    return sorted(found)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def belongs(record: Record, began: float) -> bool:
    """Whether a record can be that of a process that began then, and not of an earlier one with its pid."""
    return record.written > began - _CLOCK
