"""What happens to the line and to sshd: the link comes back at its port by itself, and kernels have not noticed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jupyterctl.core.pulse import Pulse, Verdict
from jupyterctl.model import LinkState
from tests.conftest import wait_for

from .machine import Machine
from .near import Kernel, Near, execute


def test_the_session_is_killed(near: Near, machine: Machine, kernel: Kernel) -> None:
    before = near.said().reconnects
    machine.sshd.kill_sessions()
    assert kernel.intact()
    wait_for(lambda: near.said().reconnects > before)


def test_sshd_is_restarted(near: Near, machine: Machine, kernel: Kernel) -> None:
    machine.sshd.stop()
    link = near.leaves(LinkState.UP)
    assert link.state is LinkState.DOWN
    assert link.error
    assert link.hint
    machine.start()
    near.becomes(LinkState.UP)
    assert kernel.intact()


def test_the_line_is_cut_and_whoever_comes_is_held(near: Near, machine: Machine, kernel: Kernel) -> None:
    machine.line.cut()
    link = near.leaves(LinkState.UP)
    assert link.state is LinkState.DOWN
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(near.get)
        near.becomes(LinkState.DOWN)
        assert not asked.done()
        machine.line.mend()
        assert kernel.number in [each["id"] for each in asked.result(60)]
    near.becomes(LinkState.UP)
    assert kernel.intact()


def test_one_who_comes_before_the_cut_is_noticed_is_held_too(near: Near, machine: Machine, kernel: Kernel) -> None:
    """Its connection is already on its way into the dead line, and nothing has come of it."""
    machine.line.cut()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(near.get)
        near.leaves(LinkState.UP)
        assert not asked.done()
        machine.line.mend()
        assert kernel.number in [each["id"] for each in asked.result(60)]
    assert kernel.intact()


def test_the_line_is_bad(near: Near, machine: Machine, kernel: Kernel) -> None:
    channel = kernel.connect()
    before = near.said().reconnects
    machine.line.become(milliseconds=150, percent=5)
    try:
        assert kernel.intact()
        assert execute(channel, "print(len('x' * kept.bit_length()) > 0)") == "True\n"
        assert len(near.get("api/contents")["content"]) >= 0
        assert list(near.session.reconnect("far"))[-1].name == "http"
        assert near.row().link.state == LinkState.UP
        assert near.said().reconnects == before
    finally:
        machine.line.become()
        channel.close()


def test_our_address_changes(near: Near, machine: Machine, kernel: Kernel) -> None:
    """The old connection has no address left to come from; nothing is heard of it."""
    before = near.said().reconnects
    machine.line.move()
    near.becomes(LinkState.UP)
    assert kernel.intact()
    wait_for(lambda: near.said().reconnects > before)


def test_many_are_held(near: Near, machine: Machine, kernel: Kernel) -> None:
    machine.sshd.stop()
    near.leaves(LinkState.UP)
    begun = threading.Barrier(12)

    def ask(_: int) -> bool:
        begun.wait()
        return kernel.number in [each["id"] for each in near.get()]

    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, number) for number in range(12)]
        near.becomes(LinkState.DOWN)
        machine.start()
        assert all(each.result(60) for each in asked)
    assert kernel.intact()


def test_changes_of_the_network_give_a_dead_way_no_more_time() -> None:
    """They come in flocks: a way that is doubted is not given its seconds anew by each of them."""
    pulse = Pulse(100.0, 100.0)
    verdicts = []
    for tick in range(1, 40):
        now = 100 + tick / 4
        pulse.urge(now)
        verdicts.append(pulse.look(now, now, 100.0, watched=False))
    assert verdicts[0] is Verdict.ASK
    assert Verdict.GONE in verdicts


@pytest.mark.parametrize("jump", [0, 3600])
def test_a_wall_clock_that_jumps_is_a_wake(jump: int) -> None:
    """While a laptop sleeps the other clock stands still: the way is asked at once, and not believed for long."""
    pulse, verdicts = Pulse(100.0, 1000.0), []
    for tick in range(1, 18):
        now = 100 + tick / 4
        verdicts.append(pulse.look(now, now + 900 + jump * (tick > 1), 100.0, watched=False))
    assert (verdicts[1] is Verdict.ASK) == (Verdict.GONE in verdicts) == bool(jump)
