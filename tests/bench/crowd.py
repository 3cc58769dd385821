"""Many connections through one link: those that are given up in the middle, and those that stay."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .forwarders import OURS, Forwarder, forwarder
from .lines import Line
from .table import Table, Target

ABORTS, AT_ONCE, ABORT_BYTES = 10_000, 10, 3_000_000
STAYING = 1000
IDLE_SECONDS = 10.0
SETTLE_SECONDS = 15.0
MEGABYTES, PERCENT = Target("<=", 150.0), Target("<=", 1.0)
NONE, ALL = Target("<=", 0), Target(">=", STAYING)


def aborted(line: Line, kinds: Sequence[str], table: Table, *, quick: bool) -> None:
    """Downloads that are reset after their first bytes, ten at once; then whether it lives, and what it still holds."""
    count = ABORTS // 50 if quick else ABORTS
    for kind in kinds:
        with forwarder(line, kind) as made:
            command(line, "down", made.port, 100_000)
            before = settled(made, None)
            failed = command(line, "abort", made.port, AT_ONCE, count // AT_ONCE, ABORT_BYTES)
            lives = command(line, "down", made.port, 100_000) is not None
            after = settled(made, before)
        left = [max(now - then, 0) for now, then in zip(after, before, strict=True)]
        failures = count if failed is None else int(failed[1])
        text = f"{'lives' if lives else 'DEAD'}, {failures} failed, {left[0]} descriptors and {left[1]} threads left"
        judged = [(failures + sum(left) + (not lives), NONE)] if kind in OURS else []
        table.put(f"{count} aborted downloads, {AT_ONCE} at once", kind, text, *judged)


def staying(line: Line, kinds: Sequence[str], table: Table, *, quick: bool) -> None:
    """Connections that stay, as websockets do: whether each is answered, at first and after a while of silence."""
    for kind in kinds:
        with forwarder(line, kind) as made:
            command(line, "down", made.port, 100_000)
            with held(line, made.port, STAYING) as crowded:
                began, spent = time.monotonic(), made.cpu_seconds()
                time.sleep(1 if quick else IDLE_SECONDS)
                idle = 100 * (made.cpu_seconds() - spent) / (time.monotonic() - began)
                memory = made.megabytes()
                again = min(crowded.answered, crowded.again())
        judged = [(again, ALL), (memory, MEGABYTES), (idle, PERCENT)] if kind in OURS else []
        text = f"{again} work, {memory:.0f} MB, {idle:.1f} % of a core"
        table.put(f"{STAYING} that stay", kind, text, *judged)


class Held:
    """Connections that are there, by a program that holds them."""

    def __init__(self, holding: subprocess.Popen[str]) -> None:
        self._holding = holding
        assert holding.stdout is not None
        self.answered = int(holding.stdout.readline())
        """How many were answered when all were made."""

    def again(self) -> int:
        """How many of those still are; they end."""
        said, _ = self._holding.communicate("\n")
        return int(said or 0)


@contextmanager
def held(line: Line, port: int, count: int) -> Iterator[Held]:
    """So many connections through a port, open meanwhile."""
    argv = [*line.here, line.peer, "hold", str(port), str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
        try:
            yield Held(holding)
        finally:
            holding.kill()


def settled(made: Forwarder, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Descriptors and threads that it holds, once they are no more than wanted or a bounded time has passed."""
    deadline, last = time.monotonic() + SETTLE_SECONDS, (0, 0)
    while time.monotonic() < deadline:
        before, last = last, made.held()
        if (last == before) if wanted is None else all(now <= then for now, then in zip(last, wanted, strict=True)):
            break
        time.sleep(0.2)
    return last


def command(line: Line, verb: str, port: int, *rest: object) -> list[str] | None:
    """What `peer` prints; None where it fails."""
    argv = [*line.here, line.peer, verb, str(port), *map(str, rest)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    return None if done.returncode else done.stdout.split()
