"""What holds for the links of labs elsewhere, beside what every kind promises."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from jupyterctl.core.session import Session
from jupyterctl.core.status import Status
from jupyterctl.errors import NotFoundError
from jupyterctl.model import PhaseState
from jupyterctl.transport import ports
from tests.conftest import PATIENCE, Cli, end, wait_for

from .places import TRANSPORTS, SshServers
from .server_ground import Labs, describe, gone, labs

__all__ = ["labs"]


@pytest.fixture(params=TRANSPORTS)
def place(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SshServers]:
    """A machine elsewhere, with a profile named `there` for it."""
    made = SshServers(TRANSPORTS[request.param])
    made.open(monkeypatch, tmp_path)
    describe(made, home)
    yield made
    made.close()


def keepers(home: Path) -> list[psutil.Process]:
    """The keepers of this state directory."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ", "status"])
        if "jupyterctl.core.keeper" in (process.info["cmdline"] or ())
        and (process.info["environ"] or {}).get("JUPYTERCTL_HOME") == str(home)
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def row(session: Session) -> Status:
    """The line of the overview."""
    return next(status for status in session.statuses() if status.name == "there")


def port_of(labs: Labs) -> int:
    """The link's."""
    port = labs.session.status("there").link.port
    assert port
    return port


def test_a_killed_lab_is_stopped_and_never_unreachable(labs: Labs) -> None:
    """The way goes on, and the machine says that the lab is gone."""
    pid = labs.start()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gone(pid))
    seen = []
    wait_for(lambda: seen.append(row(labs.session).state) or seen[-1] == "stopped")
    assert "unreachable" not in seen
    shown = labs.session.status("there")
    assert (shown.state, shown.link.port) == ("stopped", None)


def test_one_that_comes_back_is_running_again(labs: Labs) -> None:
    pid, url = labs.start(), labs.session.server_url("there")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: row(labs.session).state == "stopped")
    labs.start()
    assert labs.session.server_url("there") == url
    assert row(labs.session).state == "running"


def test_a_lost_machine_is_unreachable_and_comes_back(labs: Labs, place: SshServers) -> None:
    pid, url = labs.start(), labs.session.server_url("there")
    place.sshd.stop()
    seen = []
    wait_for(lambda: seen.append(row(labs.session).state) or seen[-1] == "unreachable")
    assert "stopped" not in seen
    assert labs.session.status("there").state == "unreachable"
    place.sshd.start()
    wait_for(lambda: row(labs.session).state == "running")
    assert (labs.start(), labs.session.server_url("there")) == (pid, url)


def test_a_killed_keeper_is_replaced_by_whoever_looks(labs: Labs, home: Path) -> None:
    labs.start()
    port = port_of(labs)
    (keeper,) = keepers(home)
    keeper.kill()
    wait_for(lambda: ports.free(port))
    assert row(labs.session).state != "stopped"
    wait_for(lambda: row(labs.session).state == "running")
    assert port_of(labs) == port
    assert [one.pid for one in keepers(home)] != [keeper.pid]


def test_commands_at_once_start_one_keeper(labs: Labs, home: Path, cli: Cli) -> None:
    labs.start()
    for keeper in keepers(home):
        keeper.kill()
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: cli("status", "there", "--json", cwd=labs.folder), range(6)))
    assert [one.returncode for one in done] == [0] * 6, [one.stderr for one in done]
    wait_for(lambda: len(keepers(home)) == 1)


def test_stop_lets_the_link_go(labs: Labs) -> None:
    pid = labs.start()
    port = port_of(labs)
    labs.session.stop_server("there")
    assert gone(pid)
    wait_for(lambda: ports.free(port))
    assert labs.session.store.kept("there") == {}
    assert row(labs.session).link.port is None


def test_stop_lets_the_link_of_a_killed_lab_go(labs: Labs) -> None:
    pid = labs.start()
    port = port_of(labs)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gone(pid))
    labs.session.stop_server("there")
    wait_for(lambda: ports.free(port))
    assert labs.session.store.kept("there") == {}


def test_one_that_is_adopted_has_a_link(labs: Labs, place: SshServers) -> None:
    server = place.by_hand(labs.folder)
    try:
        wait_for(labs.others)
        phases = list(labs.session.start_server("there"))
        assert (phases[-1].name, phases[-1].state) == ("link", PhaseState.DONE)
        assert labs.ask("GET", "/api/status")["kernels"] == 0
    finally:
        end(server)


def test_a_restart_keeps_what_others_know_of_it(labs: Labs, place: SshServers) -> None:
    """Its token, its port here, and its port there: a tab and a shell that were open go on."""
    labs.start()
    before = port_of(labs), labs.token(), labs.session.store.server("there").port  # type: ignore[union-attr]
    list(labs.session.restart_server("there"))
    after = port_of(labs), labs.token(), labs.session.store.server("there").port  # type: ignore[union-attr]
    assert after == before
    assert before[0] != before[2]
    wait_for(lambda: row(labs.session).state == "running")


def test_a_reconnect_proves_the_link(labs: Labs, place: SshServers) -> None:
    with pytest.raises(NotFoundError):
        list(labs.session.reconnect("local"))
    labs.start()
    done = [phase.name for phase in labs.session.reconnect("there") if phase.state is PhaseState.DONE]
    assert done[-1] == "http"
    place.sshd.kill_sessions()
    done = [phase.name for phase in labs.session.reconnect("there") if phase.state is PhaseState.DONE]
    assert done[-1] == "http"


def test_a_client_waits_for_the_way(labs: Labs, place: SshServers) -> None:
    """What is asked while the machine is away is answered when it is back."""
    labs.start()
    port = port_of(labs)
    place.sshd.stop()
    wait_for(lambda: row(labs.session).state == "unreachable")
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"GET /api HTTP/1.0\r\n\r\n")
        place.sshd.start()
        assert client.recv(100).startswith(b"HTTP/1.1 200")
