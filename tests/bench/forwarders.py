"""What forwards a port over a line: the ssh program, sshtunnel as it ships, and ours over either transport."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil

from tests.sshd import Sshd, free_port

from .lines import HERE, Line

BASE, PLAIN, PARAMIKO, OPENSSH = "ssh -L", "sshtunnel", "paramiko", "openssh"
OURS = (PARAMIKO, OPENSSH)
KINDS = (BASE, PLAIN, *OURS)
"""What is compared, the first being what the others are measured by."""


class Forwarder(NamedTuple):
    """One that runs: its local port, and its process with the programs that it has started."""

    port: int
    process: psutil.Process

    def all(self) -> list[psutil.Process]:
        """The process and what it has started."""
        return [self.process, *self.process.children(recursive=True)]

    def megabytes(self) -> float:
        """Resident memory."""
        return sum(each.memory_info().rss for each in self.all()) / 1e6

    def cpu_seconds(self) -> float:
        """Spent so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self.all())

    def held(self) -> tuple[int, int]:
        """Descriptors and threads."""
        processes = self.all()
        return sum(each.num_fds() for each in processes), sum(each.num_threads() for each in processes)


@contextmanager
def forwarder(line: Line, kind: str) -> Iterator[Forwarder]:
    """Start one, and end it afterwards."""
    port = free_port()
    process = subprocess.Popen(
        [*line.here, *(ssh_l if kind == BASE else in_python)(line, kind, port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=HERE.parents[1],
    )
    try:
        if kind == BASE:
            await_port(line, port)
        else:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                sys.exit(f"{kind} did not start")
        yield Forwarder(port, psutil.Process(process.pid))
    finally:
        process.kill()
        process.communicate()


def ssh_l(line: Line, _kind: str, port: int) -> list[str]:
    """The ssh program, as a person would start it."""
    forward = ["-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{line.to}"]
    return ["ssh", *login(line.sshd), *forward, f"root@{line.sshd.address}"]


def login(sshd: Sshd) -> list[str]:
    """What the ssh program must be told of an sshd."""
    known = sshd.folder / "known_hosts"
    known.write_text(sshd.known_hosts)
    options = {"IdentityFile": sshd.user_key, "IdentitiesOnly": "yes", "UserKnownHostsFile": known}
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ["-F", "none", *flags, "-p", str(sshd.port)]


def in_python(line: Line, kind: str, port: int) -> list[str]:
    """A kind of forwarder.py."""
    where = (line.sshd.address, line.sshd.port, line.sshd.user_key, line.to, port)
    return [sys.executable, "-m", "tests.bench.forwarder", kind, *map(str, where)]


def await_port(line: Line, port: int) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + 20
    probe = [*line.here, line.peer, "down", str(port), "1"]
    while time.monotonic() < deadline:
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)
    sys.exit("a forwarder did not start")
