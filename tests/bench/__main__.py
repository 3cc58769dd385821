"""Every benchmark, one after the other."""

from __future__ import annotations

from . import memory, run, start, startup, sweep
from .timing import machine, pairs_asked

if __name__ == "__main__":
    print(machine())
    pairs = pairs_asked()
    for benchmark in (startup, run, sweep, memory, start):
        benchmark.main(pairs)
