"""Interleaved timing of two commands, and the line that says what came of it."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

BIN = Path(sys.executable).parent
JUPYTERCTL, PAPERMILL = str(BIN / "jupyterctl"), str(BIN / "papermill")
QUICK = 1
"""Pairs of a quick run: enough to see that the benchmark works, too few to believe."""
NOT_OURS = ("TMUX", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
"""Variables that neither side gets; without bytecode, what lies in a checkout would be compiled at every start."""

Argv = Sequence[str]


class Ground(NamedTuple):
    """Where a benchmark works: a folder of its own, and the environment that its commands run in."""

    folder: Path
    environment: dict[str, str]

    def seconds(self, command: Argv) -> float:
        """How long a command takes, from its start to its end; SystemExit with its messages where it fails."""
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
        return seconds

    def compare(self, name: str, ours: Argv, peer: Argv, *, target: float, pairs: int, warm: bool = True) -> None:
        """Time both in turn, after one round that warms caches, and print the line."""
        if warm:
            self.seconds(ours), self.seconds(peer)
        measured = [(self.seconds(ours), self.seconds(peer)) for _ in range(pairs)]
        print(line(name, measured, target), flush=True)


@contextmanager
def ground() -> Iterator[Ground]:
    """A folder with a home for jupyterctl and sockets for tmux, both gone afterwards with all that ran there."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "tmux").mkdir(mode=0o700)
        own = {"JUPYTERCTL_HOME": str(folder / "home"), "TMUX_TMPDIR": str(folder / "tmux")}
        others = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        made = Ground(folder, {**others, **own})
        try:
            yield made
        finally:
            if shutil.which("tmux"):
                subprocess.run(["tmux", "kill-server"], env=made.environment, capture_output=True, check=False)


def line(name: str, measured: Sequence[tuple[float, float]], target: float) -> str:
    """The median of the pairs' ratios with the least and the greatest, and the medians of both sides in seconds.

    >>> line("x", [(1.0, 2.0), (1.0, 4.0), (3.0, 4.0)], 0.8)
    'x                              0.50 (0.25-0.75)  target <= 0.80  met      1.000 s beside 4.000 s, 3 pairs'
    """
    ratios = [ours / peer for ours, peer in measured]
    ratio = median(ratios)
    ours, peer = (median(side) for side in zip(*measured, strict=True))
    return (
        f"{name:30} {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})  {verdict(ratio, target)}"
        f"  {ours:.3f} s beside {peer:.3f} s, {len(measured)} pairs"
    )


def verdict(value: float, target: float) -> str:
    """The target, and whether it is met."""
    return f"target <= {target:.2f}  {'met' if value <= target else 'NOT MET':7}"


def machine() -> str:
    """The machine in one line."""
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    python = platform.python_version()
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, load {load}, Python {python}"


def pairs_asked() -> int | None:
    """How many pairs the command line asks for; None: as many as each benchmark wants."""
    parser = argparse.ArgumentParser(description="Prints ratios of interleaved runs.")
    parser.add_argument("--quick", action="store_true", help="one pair of each")
    parser.add_argument("--pairs", type=int, help="so many pairs of each")
    asked = parser.parse_args()
    return QUICK if asked.quick else asked.pairs
