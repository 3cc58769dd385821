"""Lines between two ends of a forwarder: loopback, and a long one between two network namespaces."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.sshd import Sshd, answers, free_port

HERE = Path(__file__).parent
DELAY_US, MTU = 20_000, 9000
"""The line; packets are large, so that copying them does not become the limit on a small machine."""
LEFT, RIGHT = "linkleft", "linkright"
LEFT_ADDRESS, RIGHT_ADDRESS = "10.91.0.1", "10.91.0.2"
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


@contextmanager
def temporary() -> Iterator[str]:
    """A folder, gone afterwards."""
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
