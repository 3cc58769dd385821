"""What happens to the keeper and to its port: another one goes on from what is kept, at the same port."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyterctl.core.pulse import ASLEEP, DEAD
from jupyterctl.errors import TargetError
from jupyterctl.model import LinkState
from jupyterctl.transport import broker
from tests.conftest import need, wait_for

from .machine import Machine
from .near import KEEPER, NAME, Kernel, Near, two_lines


def test_it_sleeps_for_long_with_a_connection_that_lives(near: Near, kernel: Kernel) -> None:
    """Longer than silence is borne: what was not heard meanwhile says nothing, and the way is kept."""
    before, keeper = near.said().reconnects, near.keeper()
    keeper.send_signal(signal.SIGSTOP)
    pause(DEAD + ASLEEP)
    keeper.send_signal(signal.SIGCONT)
    assert kernel.intact()
    assert near.row().link.state == LinkState.UP
    assert near.keeper() == keeper
    assert near.said().reconnects == before


def test_it_sleeps_and_the_connection_does_not_survive(near: Near, machine: Machine, kernel: Kernel) -> None:
    before, keeper = near.said().reconnects, near.keeper()
    keeper.send_signal(signal.SIGSTOP)
    machine.sshd.kill_sessions()
    pause(ASLEEP)
    keeper.send_signal(signal.SIGCONT)
    assert kernel.intact()
    wait_for(lambda: near.said().reconnects > before)
    assert near.keeper() == keeper


@pytest.mark.parametrize("moved", [False, True], ids=["same-network", "another-network"])
def test_the_laptop_sleeps_and_its_clock_jumps(
    near: Near, machine: Machine, kernel: Kernel, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    """An hour passes by the wall clock, and next to nothing by the one that stands still meanwhile."""
    with clock_of_a_keeper(near, monkeypatch) as set_forward:
        before, keeper = near.said().reconnects, near.keeper()
        keeper.send_signal(signal.SIGSTOP)
        if moved:
            machine.line.move()
        set_forward(3600)
        keeper.send_signal(signal.SIGCONT)
        assert kernel.intact()
        assert near.becomes(LinkState.UP).pid == keeper.pid
        assert (near.said().reconnects > before) == moved
    near.kill_keeper()
    near.row()
    near.becomes(LinkState.UP)


def test_status_starts_another(near: Near, kernel: Kernel) -> None:
    before = near.keeper()
    near.kill_keeper()
    shown = near.command("status", NAME, "--json")
    assert shown.returncode == 0, shown.stderr
    assert near.keeper() != before
    assert kernel.intact()


def test_the_dashboard_starts_another(near: Near, kernel: Kernel) -> None:
    near.kill_keeper()
    assert near.row().link.state == LinkState.CONNECTING
    near.becomes(LinkState.UP)
    assert near.keeper()
    assert kernel.intact()


def test_two_are_started_at_once(near: Near, kernel: Kernel) -> None:
    near.kill_keeper()
    started = [subprocess.Popen([sys.executable, "-m", KEEPER, NAME], start_new_session=True) for _ in range(2)]
    broker.start(NAME)
    near.becomes(LinkState.UP)
    wait_for(lambda: len(near.keepers()) == 1)
    assert kernel.intact()
    one = near.keeper().pid
    assert [each.wait(60) for each in started if each.pid != one].count(0) >= 1


def test_the_port_is_taken(near: Near, kernel: Kernel) -> None:
    near.kill_keeper()
    with somebody_at(near.url) as pid:
        near.row()
        link = near.becomes(LinkState.DOWN)
        assert f"pid {pid}" in (link.error or "")
        assert link.hint
        assert near.said().port == int(near.url.partition(":")[2])
        row = near.row()
        assert (row.state, row.error, row.fix) == ("unreachable", link.error, link.hint)
        for command in ("start", "reconnect"):
            failed = near.command(command, NAME)
            assert failed.returncode == 3
            assert f"pid {pid}" in failed.stderr
            assert len(failed.stderr.strip().splitlines()[-2:]) == 2
        with pytest.raises(TargetError) as raised:
            list(near.session.reconnect(NAME))
        assert two_lines(raised.value)
    near.becomes(LinkState.UP)
    assert kernel.intact()


def test_the_port_was_taken_and_reconnect_has_it(near: Near, kernel: Kernel) -> None:
    near.kill_keeper()
    with somebody_at(near.url):
        near.row()
        near.becomes(LinkState.DOWN)
    assert list(near.session.reconnect(NAME))[-1].name == "http"
    assert near.row().link.state == LinkState.UP
    assert kernel.intact()


@contextmanager
def clock_of_a_keeper(near: Near, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], object]]:
    """A new keeper whose wall clock, and no other, can be set forward by so many seconds."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    need("faketime", library, "apt install libfaketime")
    file = near.folder / "clock"
    file.write_text("+0")
    near.kill_keeper()
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        near.row()
        near.becomes(LinkState.UP)
    yield lambda seconds: file.write_text(f"+{seconds}")


@contextmanager
def somebody_at(address: str) -> Iterator[int]:
    """Another program listens there; its pid."""
    code = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(); input()"
    command = [sys.executable, "-uc", code, address.partition(":")[2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process.pid
        process.kill()


def pause(seconds: float) -> None:
    """Let so much time pass: here it is the condition itself."""
    time.sleep(seconds)
