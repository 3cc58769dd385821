"""The dashboard's first paint against a Textual app with one label, and how long a key takes with a full store."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from .timing import JUPYTERCTL, Ground, ground, line, machine, pairs_asked, verdict

PROFILES, RUNS = 1000, 10_000
KEYS = (b"j", b"j", b"k", b" ", b"2", b"j", b" ", b"G", b"g", b"S", b"S", b"/", b"n", b"9", b"\x15", b"\r", b"1")
"""What is pressed again and again: moving, another mode, sorting, filtering."""
KEY_SECONDS = 0.05
WAIT_SECONDS = 30.0
LABEL = """
from textual.app import App
from textual.widgets import Label

class One(App):
    def compose(self):
        yield Label("Servers")

One().run()
"""


def main(pairs: int | None = None) -> None:
    """First paint with an empty store, with a full one, and the keys."""
    with ground() as at:
        peer = at.folder / "label.py"
        peer.write_text(LABEL)
        argv = [sys.executable, str(peer)]
        paint(at, "first paint", argv, target=1.4, pairs=pairs or 15)
        fill(at.folder / "home")
        paint(at, f"… with {PROFILES} profiles, {RUNS} runs", argv, target=2.0, pairs=pairs or 15)
        keys(at, rounds=2 if pairs == 1 else 12)


def paint(at: Ground, name: str, peer: Sequence[str], *, target: float, pairs: int) -> None:
    """Time both to their first paint, in turn."""
    first_paint(at, [JUPYTERCTL]), first_paint(at, peer)
    measured = [(first_paint(at, [JUPYTERCTL]), first_paint(at, peer)) for _ in range(pairs)]
    print(line(name, measured, target), flush=True)


def first_paint(at: Ground, argv: Sequence[str]) -> float:
    """Seconds from the start of a program to the word `Servers` in its terminal."""
    began = time.perf_counter()
    child, terminal = spawn(at, argv)
    await_text(terminal, b"Servers")
    seconds = time.perf_counter() - began
    end(child, terminal)
    return seconds


def spawn(at: Ground, argv: Sequence[str]) -> tuple[int, int]:
    """Start a program in a terminal of 120 by 40; its process id and the terminal's other end."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(at.folder)
        os.execve(argv[0], list(argv), {**at.environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    return child, terminal


def await_text(terminal: int, text: bytes) -> None:
    """Read until a text has come."""
    seen = b""
    while text not in seen:
        if not select.select([terminal], [], [], WAIT_SECONDS)[0]:
            sys.exit(f"{text!r} was not painted in {WAIT_SECONDS} s")
        seen += os.read(terminal, 65536)


def end(child: int, terminal: int) -> None:
    """Kill what runs in the terminal."""
    os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(terminal)


def fill(home: Path) -> None:
    """A home with many profiles and a store of many ended runs."""
    os.environ["JUPYTERCTL_HOME"] = str(home)
    from jupyterctl.model import Cells, Outline, Run, RunError, RunState
    from jupyterctl.store import Store, _put, immediate

    profiles = home / "config/profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    for number in range(PROFILES):
        (profiles / f"place-{number:04}.toml").write_text('kind = "local"\nenvironment = "auto"\n')
    states = (RunState.SUCCEEDED, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
    store = Store()
    with immediate(store._connection):
        for number in range(RUNS):
            state = states[number % len(states)]
            moment = f"2026-01-{number % 28 + 1:02}T{number // 28 % 24:02}:00:00.000Z"
            run = Run(
                id=f"train-{number:05}",
                state=state,
                target="local",
                notebook=f"/home/ada/work/train-{number % 50}.ipynb",
                created=moment,
                started=moment,
                ended=moment,
                seconds=float(number),
                cells=Cells(done=9, total=10),
                parameters={"rate": number / RUNS, "seed": number},
                error=RunError(name="ValueError", value="no", cell=3) if state is RunState.FAILED else None,
                collected=True,
            )
            assert isinstance(run, Outline)
            _put(store._connection, run)
    store.close()


def keys(at: Ground, rounds: int) -> None:
    """Press keys in a full dashboard and time each until the terminal is written to."""
    child, terminal = spawn(at, [JUPYTERCTL])
    await_text(terminal, b"place-0030")
    os.write(terminal, b"2")
    await_text(terminal, f"{RUNS} runs".encode())  # all are known
    os.write(terminal, b"1")
    measured = []
    for key in KEYS * rounds:
        quiet(terminal, 0.3)
        began = time.perf_counter()
        os.write(terminal, key)
        if not select.select([terminal], [], [], WAIT_SECONDS)[0]:
            sys.exit(f"{key!r} did nothing in {WAIT_SECONDS} s")
        measured.append(time.perf_counter() - began)
    end(child, terminal)
    measured.sort()
    at_95 = measured[int(len(measured) * 0.95)]
    told = f"{len(measured)} keys, median {measured[len(measured) // 2]:.3f} s, most {measured[-1]:.3f} s"
    print(f"{'key to reaction, 95 %, seconds':30} {at_95:.3f}  {verdict(at_95, KEY_SECONDS)}  {told}")


def quiet(terminal: int, seconds: float) -> None:
    """Read what comes until nothing has come for so long."""
    while select.select([terminal], [], [], seconds)[0]:
        os.read(terminal, 65536)


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
