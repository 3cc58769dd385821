"""Transfers and short connections through each forwarder, as ratios to `ssh -L` in the same rounds."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from .forwarders import BASE, OPENSSH, PARAMIKO, forwarder
from .lines import Line
from .table import Table, Target

BURST_BYTES = 20_000


class Measure(NamedTuple):
    """Something that is timed."""

    name: str
    arguments: tuple[object, ...]
    """`peer`'s, the port being put after the first."""
    size: int
    """Bytes, for MB/s; 0: the time itself is told, in ms."""
    targets: dict[str, float]
    """For each of ours: at least so many times the base's speed, or at most so many times its time."""


class Result(NamedTuple):
    """What one run came to."""

    seconds: float
    failed: int


def measures(line: str, *, quick: bool) -> list[Measure]:
    """What is measured on a line."""
    rounds = 1 if quick else 4
    if line == "loopback":
        size = 10**7 if quick else 4 * 10**8
        down, up = {PARAMIKO: 0.6, OPENSSH: 0.95}, {PARAMIKO: 0.75, OPENSSH: 0.9}
    else:
        size = 10**7 if quick else 2 * 10**8
        down, up = {PARAMIKO: 2.5, OPENSSH: 0.95}, {PARAMIKO: 1.8, OPENSSH: 0.95}
    return [
        Measure("download", ("down", size), size, down),
        Measure("upload", ("up", size), size, up),
        Measure("30 at once, p50", ("burst", 30, rounds, BURST_BYTES), 0, {PARAMIKO: 3.0, OPENSSH: 1.3}),
        Measure("100 at once, p50", ("burst", 100, rounds, BURST_BYTES), 0, {PARAMIKO: 4.0, OPENSSH: 1.3}),
    ]


def compare(line: Line, measured: Sequence[Measure], kinds: Sequence[str], rounds: int, table: Table) -> None:
    """Every measure of every kind in turn, round after round."""
    found: dict[tuple[str, str], list[Result]] = {}
    for _ in range(rounds):
        for measure in measured:
            for kind in kinds:
                with forwarder(line, kind) as made:
                    result = run(line, made.port, measure)
                found.setdefault((measure.name, kind), []).append(result)
    for measure in measured:
        for kind in kinds:
            tell(line, measure, kind, (found[measure.name, kind], found[measure.name, BASE]), table)


def run(line: Line, port: int, measure: Measure) -> Result:
    """One measure through one forwarder, after a transfer that warms it."""
    verb, *rest = measure.arguments
    for command in (("down", 100_000), (verb, *rest)):
        argv = [*line.here, line.peer, command[0], str(port), *map(str, command[1:])]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            return Result(float("nan"), 1)
    said = done.stdout.split()
    return Result(float(said[0]), int(said[1]) if len(said) > 1 else 0)


def tell(line: Line, measure: Measure, kind: str, both: tuple[list[Result], list[Result]], table: Table) -> None:
    """One cell: the median of the rounds' ratios, its own and the base's, and what failed."""
    pairs = [(own.seconds, other.seconds) for own, other in zip(*both, strict=True)]
    ratios = sorted((other / own) if measure.size else (own / other) for own, other in pairs)
    middle, failed = median(ratios), sum(each.failed for each in both[0])
    own = median(seconds for seconds, _ in pairs)
    value = f"{measure.size / own / 1e6:.1f} MB/s" if measure.size else f"{own * 1000:.1f} ms"
    judged = []
    if (target := measure.targets.get(kind)) is not None:
        judged = [(middle, Target(">=" if measure.size else "<=", target))]
    text = f"{middle:.2f} ({value}{f', {failed} failed' if failed else ''})"
    table.put(f"{measure.name}, {line.name}", kind, text, *judged, detail=f"{ratios[0]:.2f}-{ratios[-1]:.2f}")
