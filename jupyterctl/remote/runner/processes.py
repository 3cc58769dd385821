"""Processes of this machine, by /proc where there is one and by `ps` elsewhere: there may be no psutil."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """What is asked of a process; memory in bytes, processor time in seconds."""

    parent: int
    session: int
    rss: int
    cpu: float


def processes() -> dict[int, Process]:
    """Every process by its pid."""
    return dict(_by_proc() if (PROC / "self/stat").exists() else _by_ps())


def _by_proc() -> Iterator[tuple[int, Process]]:
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for name in os.listdir(PROC):  # noqa: PTH208 - names are all that is wanted, of hundreds
        if name.isdigit():
            try:
                field = (PROC / name / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            cpu = (int(field[11]) + int(field[12])) / tick
            yield int(name), Process(int(field[1]), int(field[3]), int(field[21]) * page, cpu)


def _by_ps() -> Iterator[tuple[int, Process]]:
    command = ["ps", "-axo", "pid=,ppid=,pgid=,rss=,time="]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        pid, parent, group, rss, clock = line.split()
        cpu = 0.0
        for part in clock.replace("-", ":").split(":"):
            cpu = cpu * 60 + float(part)
        yield int(pid), Process(int(parent), int(group), int(rss) * 1024, cpu)


def tree(root: int, mark: str, table: dict[int, Process]) -> set[int]:
    """Pids of a process, of its session and descendants, and of what left both but carries the mark `NAME=value`."""
    found = {root}
    grown = True
    while grown:
        more = {pid for pid, process in table.items() if process.parent in found or process.session == root}
        grown = not more <= found
        found |= more
    return found | {pid for pid in table if _marked(pid, mark.encode())}


def _marked(pid: int, mark: bytes) -> bool:
    """Whether a process was started with the mark in its environment, where the system tells."""
    try:
        return mark in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def oom_kills() -> int:
    """How many processes this machine has killed for want of memory, 0 where it does not tell."""
    try:
        lines = (PROC / "vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
