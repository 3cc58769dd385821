"""A link against `ssh -L`, sshtunnel and autossh: speed, crowds, what is lost and comes back, and a cold start.

    python -m tests.bench.link                    every measure; about 25 minutes
    python -m tests.bench.link --quick            one round of each, small
    python -m tests.bench.link --parts crowd      only these: loopback, long, crowd, notice, recover, start
    python -m tests.bench.link --kinds paramiko   only these beside `ssh -L`

Needs root, an ssh server, gcc, tmux, autossh and network namespaces. Ends with one table; all rows of a part are of one
interleaved run. At a machine that others use, `chrt -r 10` before it keeps their work out of the figures.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from . import cold, crowd, outage, throughput
from .forwarders import BASE, KINDS, OURS, PLAIN
from .lines import Line, compiled, long_line, loopback, temporary
from .table import Table
from .timing import machine

PARTS = ("loopback", "long", "crowd", "notice", "recover", "start")
Made = Callable[[Path, str], AbstractContextManager[Line]]


def main() -> None:
    """Every part that is asked for, and the table."""
    asked = arguments()
    print(machine())
    table = Table()
    kinds = [kind for kind in KINDS if kind == BASE or kind in asked.kinds]
    ours = [kind for kind in kinds if kind in OURS]
    with temporary() as name:
        forwarded(Path(name), asked, kinds, table)
    if {"notice", "recover"} & set(asked.parts):
        outage.main(ours, table, quick=asked.quick, notice="notice" in asked.parts, recover="recover" in asked.parts)
    if "start" in asked.parts:
        cold.main(ours, table, quick=asked.quick)
    table.show()


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Prints a link's measures beside those of `ssh -L`, interleaved.")
    parser.add_argument("--quick", action="store_true", help="one small round of each")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    return parser.parse_args()


def forwarded(folder: Path, asked: argparse.Namespace, kinds: list[str], table: Table) -> None:
    """What needs no lab: forwarders alone, between the ends of a line."""
    peer, delay = compiled("peer", folder), compiled("delay", folder)
    rounds = 1 if asked.quick else asked.rounds
    made: dict[str, Made] = {"loopback": loopback, "long": lambda *given: long_line(*given, delay)}
    for part, open_line in made.items():
        if part in asked.parts:
            with open_line(folder / part, peer) as line:
                throughput.compare(line, throughput.measures(line.name, quick=asked.quick), kinds, rounds, table)
    if "crowd" in asked.parts:
        with loopback(folder / "crowd", peer) as line:
            crowd.aborted(line, kinds, table, quick=asked.quick)
            crowd.staying(line, [kind for kind in kinds if kind != PLAIN], table, quick=asked.quick)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("this must be run by root")
    main()
