"""A link against `ssh -L` and sshtunnel: throughput and short connections, on loopback and at 40 ms round trip.

    python -m tests.bench.link              every measure
    python -m tests.bench.link --quick      one round of each, small
    python -m tests.bench.link --kinds ours # only these beside `ssh -L`

Needs root, an ssh server, gcc and, for the long line, network namespaces.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.sshd import Sshd, answers, free_port

from .timing import machine

HERE = Path(__file__).parent
BASE = "ssh -L"
KINDS = (BASE, "sshtunnel", "ours")
"""What is compared, the first being what the others are measured by."""
DELAY_US, MTU = 20_000, 9000
"""The line; packets are large, so that copying them does not become the limit on a small machine."""
LEFT, RIGHT = "linkleft", "linkright"
LEFT_ADDRESS, RIGHT_ADDRESS = "10.91.0.1", "10.91.0.2"
BURST_BYTES = 20_000
KERNEL = ("net.ipv4.tcp_slow_start_after_idle=0", "net.ipv4.tcp_wmem=4096 16384 33554432")
"""Of both namespaces: with Linux's own 4 MiB for what a sender may have on its way, that limits every kind alike."""


class Line(NamedTuple):
    """What lies between the two machines."""

    name: str
    sshd: Sshd
    peer: str
    to: int
    """The port that `peer serve` has at the far end."""
    here: tuple[str, ...]
    """Put before every command of the near end."""


class Measure(NamedTuple):
    """Something that is timed."""

    name: str
    arguments: tuple[object, ...]
    """`peer`'s, the port being put after the first."""
    size: int
    """Bytes, for MB/s; 0: the time itself is told, in ms."""
    target: float
    """For `ours`: at least so many times the base's speed, or at most so many times its time."""


class Result(NamedTuple):
    """What one run came to."""

    seconds: float
    failed: int


def main() -> None:
    """Both lines, or those asked for."""
    asked = arguments()
    print(machine())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(temporary()))
        peer, delay = compiled("peer", folder), compiled("delay", folder)
        for name, made in (("loopback", loopback), ("40 ms", lambda *given: long_line(*given, delay))):
            if name in asked.lines:
                with made(folder / name.replace(" ", "-"), peer) as line:
                    compare(line, measures(name, quick=asked.quick), asked.kinds, 1 if asked.quick else asked.rounds)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Prints a link's measures beside those of `ssh -L`, interleaved.")
    parser.add_argument("--quick", action="store_true", help="one small round of each")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--lines", nargs="+", default=["loopback", "40 ms"])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    asked = parser.parse_args()
    asked.kinds = [BASE, *(kind for kind in asked.kinds if kind != BASE)]
    return asked


def measures(line: str, *, quick: bool) -> list[Measure]:
    """What is measured on a line, with the target for ours."""
    rounds = 1 if quick else 4
    if line == "loopback":
        size, down, up = 10**7 if quick else 4 * 10**8, 0.6, 0.75
    else:
        size, down, up = 10**7 if quick else 2 * 10**8, 2.5, 1.8
    return [
        Measure("download", ("down", size), size, down),
        Measure("upload", ("up", size), size, up),
        Measure("30 at once", ("burst", 30, rounds, BURST_BYTES), 0, 3.0),
        Measure("100 at once", ("burst", 100, rounds, BURST_BYTES), 0, 4.0),
    ]


def compare(line: Line, measured: list[Measure], kinds: list[str], rounds: int) -> None:
    """Every measure of every kind in turn, round after round, and the table."""
    print(f"\n{line.name}, {rounds} rounds; times the speed of `{BASE}`, for those at once times its p50")
    found: dict[tuple[str, str], list[Result]] = {}
    for _ in range(rounds):
        for measure in measured:
            for kind in kinds:
                with forwarder(line, kind) as port:
                    result = run(line, port, measure)
                found.setdefault((measure.name, kind), []).append(result)
    for measure in measured:
        for kind in kinds:
            print(told(measure, kind, found[measure.name, kind], found[measure.name, BASE]), flush=True)


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


def told(measure: Measure, kind: str, mine: list[Result], base: list[Result]) -> str:
    """One line of the table."""
    pairs = [(own.seconds, other.seconds) for own, other in zip(mine, base, strict=True)]
    speed = bool(measure.size)
    ratios = sorted((other / own) if speed else (own / other) for own, other in pairs)
    middle, failed = median(ratios), sum(each.failed for each in mine)
    own = median(seconds for seconds, _ in pairs)
    value = f"{measure.size / own / 1e6:7.1f} MB/s" if speed else f"{own * 1000:7.1f} ms  "
    text = f"{measure.name:12} {kind:10} {value}  {middle:5.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})  {failed} failed"
    if kind != "ours":
        return text
    met = middle >= measure.target if speed else middle <= measure.target
    return f"{text}  target {'>=' if speed else '<='} {measure.target}  {'met' if met and not failed else 'NOT MET'}"


# -- forwarders ----------------------------------------------------------------------------------------------------


@contextmanager
def forwarder(line: Line, kind: str) -> Iterator[int]:
    """Start one; its local port."""
    port = free_port()
    argv = COMMANDS.get(kind, in_python)(line, kind, port)
    process = subprocess.Popen(
        [*line.here, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=HERE.parents[1],
    )
    try:
        if kind in COMMANDS:
            await_port(line, port)
        else:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                sys.exit(f"{kind} did not start")
        yield port
    finally:
        process.kill()
        process.communicate()


def ssh_l(line: Line, _kind: str, port: int) -> list[str]:
    """The ssh program, as a person would start it."""
    known = line.sshd.folder / "known_hosts"
    known.write_text(line.sshd.known_hosts)
    options = {"IdentityFile": line.sshd.user_key, "IdentitiesOnly": "yes", "UserKnownHostsFile": known}
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    forward = ["-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{line.to}"]
    return ["ssh", "-F", "none", *flags, *forward, "-p", str(line.sshd.port), f"root@{line.sshd.address}"]


def in_python(line: Line, kind: str, port: int) -> list[str]:
    """A kind of forwarder.py."""
    where = (line.sshd.address, line.sshd.port, line.sshd.user_key, line.to, port)
    return [sys.executable, "-m", "tests.bench.forwarder", kind, *map(str, where)]


COMMANDS: dict[str, Callable[[Line, str, int], list[str]]] = {BASE: ssh_l}
"""Forwarders that are programs of their own; others are looked for in forwarder.py."""


def await_port(line: Line, port: int) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + 20
    probe = [*line.here, line.peer, "down", str(port), "1"]
    while time.monotonic() < deadline:
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)
    sys.exit("a forwarder did not start")


# -- lines ----------------------------------------------------------------------------------------------------


@contextmanager
def temporary() -> Iterator[str]:
    """A folder, gone afterwards."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bench-link-", ignore_cleanup_errors=True) as name:
        yield name


def compiled(name: str, folder: Path) -> str:
    """A program beside this file."""
    if not shutil.which("gcc"):
        sys.exit("gcc is needed")
    program = folder / name
    subprocess.run(["gcc", "-O2", "-o", program, HERE / f"{name}.c", "-lpthread"], check=True)
    return str(program)


@contextmanager
def served(line: Line) -> Iterator[Line]:
    """Start sshd and what listens behind it."""
    line.sshd.start()
    server = subprocess.Popen([*line.sshd.prefix, line.peer, "serve", str(line.to)])
    try:
        yield line
    finally:
        server.kill()
        server.wait()
        line.sshd.stop()


@contextmanager
def loopback(folder: Path, peer: str) -> Iterator[Line]:
    """Both ends on this machine."""
    with served(Line("loopback", Sshd(folder), peer, free_port(), ())) as line:
        while not answers("127.0.0.1", line.to):
            time.sleep(0.02)
        yield line


@contextmanager
def long_line(folder: Path, peer: str, delay: str) -> Iterator[Line]:
    """Two network namespaces, 20 ms apart each way."""
    with ExitStack() as stack:
        for space in (LEFT, RIGHT):
            ip("netns", "add", space)
            stack.callback(ip, "netns", "del", space)
        process = subprocess.Popen([delay, LEFT, RIGHT, str(DELAY_US)], stdout=subprocess.PIPE)
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdout is not None
        process.stdout.readline()
        for space, address in ((LEFT, LEFT_ADDRESS), (RIGHT, RIGHT_ADDRESS)):
            ip("-n", space, "addr", "add", f"{address}/24", "dev", "line0")
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "link", "set", "line0", "mtu", str(MTU), "txqueuelen", "20000", "up")
            within = ("ip", "netns", "exec", space)
            subprocess.run([*within, "sysctl", "-qw", *KERNEL], check=False)
        there = ("ip", "netns", "exec", RIGHT)
        sshd = Sshd(folder, address=RIGHT_ADDRESS, prefix=there)
        yield stack.enter_context(served(Line("40 ms", sshd, peer, free_port(), ("ip", "netns", "exec", LEFT))))


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("this must be run by root")
    main()
