"""The server half of what every kind promises, whatever the place is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from jupyterctl.errors import BusyError, TargetError
from jupyterctl.model import PhaseState
from tests.conftest import PATIENCE, wait_for

from .places import ServerPlace
from .server_ground import COUNT, Labs, arguments, describe, gone, labs, place

__all__ = ["labs", "place"]

STEPS = ["environment", "process", "address", "http"]
STORE = {"jupyterctl.db", "jupyterctl.db-wal", "jupyterctl.db-shm"}
"""Where the address of a lab elsewhere is kept with its token, for the keeper of its link."""


def test_a_start_goes_step_by_step(labs: Labs, place: ServerPlace) -> None:
    """A place elsewhere has more steps: those of the way to it come first, and the link is the last."""
    phases = list(labs.session.start_server("there"))
    done = [phase.name for phase in phases if phase.state is PhaseState.DONE]
    assert done == list(dict.fromkeys(phase.name for phase in phases))
    assert [name for name in done if name in STEPS] == STEPS
    assert done[-1] == ("http" if place.here else "link")
    status = labs.session.status("there")
    assert (status.state, status.link.state, status.health.http) == ("running", "up", "ok")
    assert status.root == str(labs.folder)
    assert labs.ask("GET", "/api/status")["kernels"] == 0


def test_modules_in_the_folder_are_not_the_labs(labs: Labs) -> None:
    for name in ("random", "json", "tornado"):
        (labs.folder / f"{name}.py").write_text("raise SystemExit('imported by mistake')")
    labs.start()


def test_start_is_idempotent(labs: Labs) -> None:
    pid, url = labs.start(), labs.session.server_url("there")
    assert labs.start() == pid
    assert labs.session.server_url("there") == url


def test_starts_at_once_make_one_server(labs: Labs, tmp_path: Path) -> None:
    others = [Labs(tmp_path / "work", labs.place) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(Labs.start, others))) == 1


def test_a_second_state_directory_finds_it(
    labs: Labs, place: ServerPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port of a link is a state directory's own, so what another one finds elsewhere is at another port here."""
    pid, url, token = labs.start(), labs.session.server_url("there"), labs.token()
    monkeypatch.setenv("JUPYTERCTL_HOME", str(tmp_path / "elsewhere"))
    describe(place, tmp_path / "elsewhere")
    second = Labs(tmp_path / "other", place)
    assert second.who() == pid
    assert [status.pid or second.who(status.name) for status in second.session.statuses()] == [pid]
    assert second.start() == pid
    own = second.session.server_url("there")
    assert (own == url) == place.here
    assert second.token() == token
    assert "Jupyter Server" in second.session.server_log("there")
    list(second.session.restart_server("there"))
    assert second.session.server_url("there") == own
    assert second.token() == token
    second.session.stop_server("there")
    assert place.gone(pid)


def test_address_and_token_are_kept_over_a_restart(labs: Labs) -> None:
    pid, url = labs.start(), labs.session.server_url("there")
    list(labs.session.restart_server("there"))
    assert labs.session.server_url("there") == url
    assert labs.who() != pid
    labs.session.stop_server("there")
    labs.start()
    assert labs.session.server_url("there") == url


def test_a_killed_server_comes_back_at_its_address(labs: Labs, place: ServerPlace) -> None:
    """By whoever starts it, or by the place itself."""
    pid, url = labs.start(), labs.session.server_url("there")
    place.kill(pid)
    wait_for(lambda: place.gone(pid))
    if place.revives:
        wait_for(lambda: labs.session.status("there").health.http == "ok")
    else:
        assert labs.session.status("there").state == "stopped"
    labs.start()
    assert labs.session.server_url("there") == url


def test_a_start_whose_tool_is_killed_goes_on(labs: Labs, place: ServerPlace, home: Path) -> None:
    code = "from jupyterctl.core.session import Session; list(Session().start_server('there'))"
    tool = subprocess.Popen([sys.executable, "-c", code], cwd=labs.folder)
    pid = wait_for(lambda: place.begun(home))
    tool.kill()
    tool.wait(PATIENCE)
    assert labs.start() == pid


def test_the_token_is_nowhere_to_be_seen(labs: Labs, place: ServerPlace, home: Path, capfd) -> None:
    labs.start()
    labs.kernel()
    token = labs.token()
    assert len(bytes.fromhex(token)) == 32
    assert not any(token in line for line in arguments())
    assert token not in labs.session.server_log("there")
    kept = place.kept(home)
    assert "Jupyter Server" in kept.log
    assert token not in kept.log + kept.shown
    shown = [labs.session.overview(), labs.session.status("there"), labs.session.store.server("there")]
    assert token not in repr(shown)
    assert kept.token == token  # and where there is a link, its near end needs it too
    assert kept.mode & 0o077 == 0
    having = [file for file in home.parent.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]
    for file in having:
        if place.records and file.parent == place.runtime():  # Jupyter's own, in a folder that is its owner's alone
            continue
        assert file.stat().st_mode & 0o077 == 0, file
        assert file == kept.file or (not place.here and file.name in STORE), file
    describe(place, home, server='args = ["--ServerApp.port=nonsense"]')
    with pytest.raises(TargetError) as refused:
        list(labs.session.restart_server("there"))
    assert token not in f"{refused.value.message} {refused.value.hint}"
    assert token not in "".join(capfd.readouterr())


def test_one_started_by_hand_is_adopted(labs: Labs, place: ServerPlace) -> None:
    if not place.adopts:
        pytest.skip("what was started there by hand keeps its token to itself")
    server = place.by_hand(labs.folder)
    try:
        wait_for(lambda: [one.pid for one in labs.others()] == [server.pid])
        assert [one.pid for one in labs.session.overview().others] == ([server.pid] if place.here else [])
        assert labs.start() == server.pid
        status = labs.session.status("there")
        assert status.adopted
        assert labs.session.overview().others == []
        assert [row.pid for row in labs.session.statuses()] == [server.pid]
        url = labs.session.server_url("there")
        list(labs.session.restart_server("there"))
        assert labs.session.server_url("there") == url
        assert not labs.session.status("there").adopted
    finally:
        server.kill()
        server.wait(PATIENCE)


def test_others_are_listed_and_left_alone(labs: Labs, place: ServerPlace, tmp_path: Path) -> None:
    if not place.adopts:
        pytest.skip("what was started there by hand keeps its token to itself")
    server = place.by_hand(tmp_path)
    try:
        (other,) = wait_for(labs.others)
        assert (other.pid, other.root, other.name) == (server.pid, str(tmp_path), "")
        assert other.url
        assert "token" not in other.url
        assert labs.start() != server.pid
        labs.session.stop_server("there")
        assert not gone(server.pid)
    finally:
        server.kill()
        server.wait(PATIENCE)


def test_health_goes_layer_by_layer(labs: Labs, place: ServerPlace) -> None:
    assert labs.session.status("there").health.way is None
    pid = labs.start()
    labs.kernel()
    busy = labs.kernel(COUNT)
    kernels = labs.session.status("there").health.kernels
    assert kernels is not None
    assert (kernels.busy, kernels.idle) == (1, 1)
    assert kernels.last_activity
    labs.ask("POST", f"/api/kernels/{busy}/interrupt")
    with place.freeze(pid):
        frozen = labs.session.status("there")
    assert (frozen.health.way, frozen.health.http, frozen.health.kernels) == ("up", "no answer", None)
    assert frozen.state == "running"
    assert labs.session.status("there").health.http == "ok"


def test_stop_asks_about_busy_kernels(labs: Labs, place: ServerPlace) -> None:
    pid = labs.start()
    kernel = labs.kernel(COUNT)
    assert [one.id for one in labs.session.busy_kernels("there")] == [kernel]
    with pytest.raises(BusyError, match="computing"):
        labs.session.stop_server("there")
    assert not place.gone(pid)
    children = place.children(pid)
    labs.session.stop_server("there", force=True)
    assert place.gone(pid)
    wait_for(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    assert labs.session.status("there").state == "stopped"
    assert labs.session.busy_kernels("there") == []


def test_a_stop_ends_what_does_not_listen(labs: Labs, place: ServerPlace) -> None:
    pid = labs.start()
    with place.freeze(pid):
        labs.session.stop_server("there")
        assert place.gone(pid)


def test_who_has_the_port_is_named(labs: Labs, place: ServerPlace) -> None:
    labs.start()
    port = labs.session.status("there").link.port
    assert port
    labs.session.stop_server("there")
    with place.occupy(port) as pid, pytest.raises(TargetError) as refused:
        list(labs.session.start_server("there"))
    assert f"port {port}" in refused.value.message
    assert f"pid {pid}" in refused.value.message
    labs.start()
    assert labs.session.status("there").link.port == port


def test_ghosts_are_not_believed(labs: Labs, place: ServerPlace, tmp_path: Path) -> None:
    """Records of servers that are gone, whose pid and port others have now."""
    if not place.records:
        pytest.skip("the place itself knows its labs: no record is believed")
    labs.start()
    url = labs.session.status("there").link.url
    sleeping = subprocess.Popen(["sleep", "600"])
    try:
        ghost = {"pid": sleeping.pid, "url": url, "token": "0" * 48, "root_dir": str(tmp_path), "port": 1, "sock": ""}
        (place.runtime() / f"jpserver-{sleeping.pid}.json").write_text(json.dumps(ghost))
        older = place.runtime() / f"jpserver-{os.getpid()}.json"
        older.write_text(json.dumps({**ghost, "pid": os.getpid(), "token": labs.token()}))
        os.utime(older, (1, 1))
        assert labs.others() == []
        haunted = Labs(tmp_path / "work", place)
        haunted.session.cwd = tmp_path
        describe_ghost = haunted.session.status("there")
        assert describe_ghost.pid not in {sleeping.pid, os.getpid()}
        labs.session.stop_server("there")
        assert list(haunted.session.start_server("there"))
        assert haunted.session.status("there").pid not in {sleeping.pid, os.getpid()}
        assert older.exists()
    finally:
        sleeping.kill()
        sleeping.wait(PATIENCE)


def test_several_labs_have_a_port_each(labs: Labs, place: ServerPlace, home: Path) -> None:
    describe(place, home, "second")
    labs.start()
    labs.start("second")
    first, second = labs.session.status("there"), labs.session.status("second")
    assert first.link.port != second.link.port
    labs.session.stop_server("there")
    assert labs.session.status("second").health.http == "ok"


def test_a_start_that_fails_shows_the_log(labs: Labs, place: ServerPlace, home: Path) -> None:
    describe(place, home, server='args = ["--ServerApp.port=nonsense"]')
    phases = []
    with pytest.raises(TargetError, match="ended while it was starting") as failed:
        phases.extend(labs.session.start_server("there"))
    assert "nonsense" in failed.value.hint
    assert "nonsense" in labs.session.server_log("there")
    assert labs.session.status("there").state == "stopped"


def test_a_start_that_hangs_has_an_end(labs: Labs, place: ServerPlace, home: Path) -> None:
    (home / "config/profiles/there.toml").write_text(place.slow('start_timeout = "500ms"'))
    with pytest.raises(TargetError, match="within"):
        list(labs.session.start_server("there"))


def test_the_log_is_followed(labs: Labs) -> None:
    labs.start()
    news = labs.session.follow_server_log("there")
    next(news)
    kernel = labs.kernel()
    seen = ""
    while kernel not in seen:  # the test's own time limit ends it
        seen += next(news)
    assert len(labs.session.server_log("there", 2).splitlines()) == 2


def test_what_nobody_uses_is_stopped_but_nothing_busy(labs: Labs, place: ServerPlace, home: Path) -> None:
    describe(place, home, server='idle_stop = "10s"')
    labs.start()
    busy, idle = labs.kernel(COUNT), labs.kernel()
    wait_for(lambda: labs.state(idle) == "")
    assert labs.state(busy) == "busy"


def test_a_shell_has_the_environment(labs: Labs, place: ServerPlace) -> None:
    labs.start()
    asked, answer = (
        "echo at $(python -c 'import sys; print(sys.prefix)') in $PWD\n",
        f"at {place.prefix} in {labs.folder}",
    )
    assert answer in labs.shell(asked).stdout
    if place.bare_shell:
        labs.session.stop_server("there")
        assert answer in labs.shell(asked).stdout
