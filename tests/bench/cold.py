"""`jupyterctl start` of a lab that runs at another machine already, with no keeper here, against `ssh host true`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from statistics import median

from tests.faults.near import NAME, Near

from .ground import begin, fresh, somebody
from .table import Table, Target
from .timing import JUPYTERCTL

AT_MOST = Target("<=", 2.0)
LINES = {"loopback": 0, "40 ms": 20}
"""Milliseconds each way."""


def main(kinds: Sequence[str], table: Table, *, quick: bool) -> None:
    """For each of these transports, on a short line and on a long one."""
    with somebody() as near:
        for kind in kinds:
            begin(near, kind)
            for line, milliseconds in LINES.items():
                near.machine.line.become(milliseconds=milliseconds)
                pairs = [one(near) for _ in range(1 if quick else 9)]
                ratios = sorted(ours / theirs for ours, theirs in pairs)
                middle = median(ratios)
                text = f"{middle:.2f} ({median(ours for ours, _ in pairs):.2f} s)"
                judged = [(middle, AT_MOST)] if kind == "paramiko" else []
                row = f"`start` of a lab that runs, cold, {line}"
                table.put(row, kind, text, *judged, detail=f"{ratios[0]:.2f}-{ratios[-1]:.2f}")
            near.machine.line.become()


def one(near: Near) -> tuple[float, float]:
    """Seconds that each takes."""
    for each in near.keepers():
        each.kill()
        each.wait()
    return seconds([JUPYTERCTL, "start", NAME, "--no-open"]), seconds(fresh(near))


def seconds(command: list[str]) -> float:
    """How long a command takes."""
    began = time.monotonic()
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.monotonic() - began
