"""What must not be tried again by itself: a changed host key, a refused login."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jupyterctl.errors import TargetError
from jupyterctl.model import Link, LinkState
from tests.conftest import wait_for
from tests.sshd import make_key

from .machine import Machine
from .near import NAME, Kernel, Near, two_lines

LOOKED_SECONDS = 5.0
"""Longer than any wait between tries while somebody is looking."""


@contextmanager
def another_host_key(machine: Machine) -> Iterator[None]:
    """The machine shows a key that is not the one we know."""
    files = [machine.sshd.host_key, machine.sshd.host_key.with_suffix(".pub")]
    before = [file.read_bytes() for file in files]
    machine.sshd.stop()
    for file in files:
        file.unlink()
    make_key(machine.sshd.host_key)
    machine.start()
    yield
    machine.sshd.stop()
    for file, content in zip(files, before, strict=True):
        file.write_bytes(content)
    machine.start()


@contextmanager
def nobody_may_log_in(machine: Machine) -> Iterator[None]:
    """Our key is no longer among those that may log in."""
    file = machine.sshd.folder / "authorized_keys"
    before = file.read_bytes()
    file.write_bytes(b"")
    machine.sshd.kill_sessions()
    yield
    file.write_bytes(before)


@pytest.mark.parametrize("spoilt", [another_host_key, nobody_may_log_in])
def test_it_is_not_tried_again(near: Near, machine: Machine, kernel: Kernel, spoilt) -> None:
    with spoilt(machine):
        link, keeper = wait_for(lambda: refused(near)), near.keeper()
        near.becomes(LinkState.REFUSED)
        wait_for(lambda: not machine.sshd.sessions())
        seen = machine.connections()
        look_for_long(near)
        assert machine.connections() == seen
        row = near.row()
        assert (row.link.state, row.state, row.error) == ("refused", "unreachable", link.error)
        assert row.link.next_try is None
        status = near.session.status(NAME)
        assert (status.link.state, status.state, status.error) == ("refused", "unreachable", link.error)
        assert machine.connections() == seen
        with pytest.raises(TargetError) as raised:
            list(near.session.reconnect(NAME))
        assert two_lines(raised.value)
        assert (raised.value.message, raised.value.hint) == (link.error, link.hint)
        assert machine.connections() == seen + 1
        told = near.command("reconnect", NAME)
        assert told.returncode == 3
        assert link.error in told.stderr
        assert link.hint in told.stderr
        assert near.said().state is LinkState.REFUSED
        assert near.keeper() == keeper
    assert list(near.session.reconnect(NAME))[-1].name == "http"
    assert near.row().link.state == LinkState.UP
    assert kernel.intact()


def refused(near: Near) -> Link | None:
    """The link as it is kept, once it is refused; nobody asks its keeper."""
    link = near.said()
    return link if link.state is LinkState.REFUSED else None


def look_for_long(near: Near) -> None:
    """Look again and again, and change the network: nothing of it is a reason to try again."""
    near.machine.line.move()
    until = time.monotonic() + LOOKED_SECONDS
    while time.monotonic() < until:
        assert near.row().link.state == LinkState.REFUSED
