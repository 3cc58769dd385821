"""What holds for labs in containers, beside what every kind promises."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from jupyterctl.core.session import Session
from jupyterctl.errors import TargetError
from jupyterctl.model import PhaseState
from jupyterctl.transport.engine.client import MOST, client, container
from jupyterctl.transport.engine.pooling import IDLE
from jupyterctl.transport.engine.where import Engine
from tests import engine
from tests.conftest import Cli, need, wait_for
from tests.contract.places import ContainerServers
from tests.contract.server_ground import Labs
from tests.outcomes.ground import two_lines

from .conftest import Desk

A_LITTLE = 0.05
"""Processors that a lab does not use by itself, and one that computes does on the busiest machine."""
AWAY = 2.0
"""Seconds after which an engine has long brought back what it brings back."""


@pytest.fixture
def labs(desk: Desk) -> Labs:
    """Someone who works in the desk's folder."""
    return Labs(desk.folder, ContainerServers())


def inside(desk: Desk, code: str) -> str:
    """What Python says in the lab's container."""
    done = desk.ground.named("there").exec_run(["python3", "-c", code])
    assert done.exit_code == 0, done.output
    return done.output.decode()


def details(session: Session, step: str) -> str:
    """Start the lab; what came of a step."""
    phases = {phase.name: phase for phase in session.start_server("there") if phase.state is PhaseState.DONE}
    return phases[step].detail


def test_what_stopped_itself_stays_stopped_and_comes_back_as_it_was(desk: Desk, labs: Labs) -> None:
    """As a lab does that nobody has used for `idle_stop`: it shuts itself down."""
    labs.start()
    url = labs.session.server_url("there")
    inside(desk, "open('/tmp/mine', 'w').write('kept')")
    labs.ask("POST", "/api/shutdown")
    wait_for(lambda: desk.ground.named("there").status == "exited")
    time.sleep(AWAY)  # nothing is to happen meanwhile
    found = desk.ground.named("there")
    assert (found.status, found.attrs["State"]["ExitCode"], found.attrs["RestartCount"]) == ("exited", 0, 0)
    assert labs.session.status("there").state == "stopped"
    assert "the one there was" in details(labs.session, "process")
    assert labs.session.server_url("there") == url
    assert inside(desk, "print(open('/tmp/mine').read())") == "kept\n"


def test_idleness_is_told_to_jupyter_itself(desk: Desk, labs: Labs) -> None:
    desk.describe(server={"idle_stop": "2h"})
    labs.start()
    said = desk.ground.named("there").attrs["Args"]
    assert "--ServerApp.shutdown_no_activity_timeout=7200" in said
    assert "--MappingKernelManager.cull_idle_timeout=7200" in said


def test_another_profile_makes_another_container_with_the_same_address(desk: Desk, labs: Labs) -> None:
    labs.start()
    url = labs.session.server_url("there")
    labs.session.stop_server("there")
    desk.describe(env={"COLOUR": "blue"})
    assert "made anew" in details(labs.session, "process")
    assert labs.session.server_url("there") == url
    assert inside(desk, "import os; print(os.environ['COLOUR'])") == "blue\n"


def test_a_user_whom_the_image_does_not_know(desk: Desk, labs: Labs) -> None:
    """Files are theirs, and there is a home to write to."""
    desk.folder.chmod(0o777)
    desk.describe(user="4321:4322")
    labs.start()
    kernel = labs.kernel()
    code = "import pathlib; (pathlib.Path.home() / 'x').touch(); pathlib.Path('made.txt').touch()\nwhile True: pass"
    labs._execute(kernel, code, "there")
    made = wait_for(lambda: (desk.folder / "made.txt").exists() and (desk.folder / "made.txt").stat())
    assert (made.st_uid, made.st_gid) == (4321, 4322)
    kept = desk.ground.copies("there", "/jupyterctl/token")
    assert len(kept["token"]) == 64
    assert inside(desk, "import os; print(os.stat('/jupyterctl/token').st_uid)") == "4321\n"


def test_a_container_that_has_the_port_is_named(desk: Desk, labs: Labs) -> None:
    labs.start()
    port = labs.session.status("there").link.port
    labs.session.stop_server("there")
    other = desk.ground.client.containers.run(
        engine.IMAGE,
        ["sleep", "600"],
        detach=True,
        ports={"80/tcp": ("127.0.0.1", port)},
        labels={"jupyterctl/owner": desk.ground.owner},
    )
    with pytest.raises(TargetError, match=f"port {port} of `there` is taken by the container `{other.name}`"):
        labs.start()


def test_the_network_of_the_machine_itself(desk: Desk, labs: Labs) -> None:
    """Nothing is published: the lab listens on the loopback, at the very port."""
    desk.describe(network="host")
    labs.start()
    port = labs.session.status("there").link.port
    assert f"--ServerApp.port={port}" in desk.ground.named("there").attrs["Args"]
    assert labs.ask("GET", "/api/status")["kernels"] == 0


def test_an_engine_elsewhere_may_publish_at_an_address_that_is_reached(desk: Desk, labs: Labs) -> None:
    """Then no link is needed."""
    host = socket.gethostbyname(socket.gethostname())
    if host.startswith("127."):
        host = desk.ground.client.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    relay = engine.Relay((host, 0), engine.SOCKET)
    try:
        away = {"engine": f"tcp://{host}:{relay.port}", "workdir": "jupyterctl-test-volume"}
        desk.describe(**away, server={"publish": host})
        labs.start()
        assert urlsplit(labs.session.server_url("there")).hostname == host
        assert labs.session.status("there").root == "/work"
        assert labs.ask("GET", "/api/status")["kernels"] == 0
        labs.session.stop_server("there")
    finally:
        relay.close()
        for container in desk.ground.containers():
            container.remove(force=True, v=True)
        desk.ground.client.volumes.get("jupyterctl-test-volume").remove()


@pytest.mark.parametrize(
    ("settings", "said", "advice"),
    [
        ({"python": "/usr/bin/python3"}, "has no JupyterLab", "install = true"),
        ({"python": "no-such-python"}, "has no `no-such-python`", "`python`"),
        ({"image": "no/such:image"}, "has no image", "docker pull"),
        ({"engine": "unix:///nowhere.sock"}, "no engine listens", "start it"),
        ({"gpus": 1}, "refuses", "NVIDIA Container Toolkit"),
        ({"user": "nosuch"}, "unable to find user nosuch", "correct `user`"),
        ({"server": {"args": ["--no-such=1", "--ServerApp.port=x"]}}, "ended while it was starting", "its log ends: "),
    ],
    ids=["lab", "python", "image", "engine", "gpus", "user", "ends"],
)
def test_a_lab_that_cannot_be_is_told_in_two_lines(desk: Desk, cli: Cli, settings, said: str, advice: str) -> None:
    """And nothing of it is left."""
    desk.describe(**settings)
    done = cli("start", "there", "--no-open", "--json")
    lines = two_lines(done, 3)
    assert said in lines
    assert advice in lines
    assert desk.ground.containers() == []


def test_a_lab_that_was_there_stays_when_it_does_not_start(desk: Desk, labs: Labs) -> None:
    labs.start()
    labs.session.stop_server("there")
    port = labs.session.store.link_port("there")
    with socket.create_server(("127.0.0.1", port)), pytest.raises(TargetError, match="is taken by"):
        labs.start()
    assert desk.ground.named("there").status == "exited"


def test_a_lab_without_a_network_is_refused_at_once(desk: Desk, cli: Cli) -> None:
    desk.describe(network="none")
    lines = two_lines(cli("start", "there", "--no-open", "--json"), 2)
    assert "without a network no port is published" in lines
    assert "`network`" in lines
    assert desk.ground.containers() == []


def test_a_jupyterlab_that_is_missing_is_installed_once(desk: Desk, labs: Labs) -> None:
    image = engine.without(engine.IMAGE, desk.ground.folder / "image", "papermill", "jupyterlab", "ipykernel")
    desk.describe(image=image, install=True, env=engine.FROM_WHEELS)
    assert "is installed at the first start" in details(labs.session, "environment")
    assert labs.state(labs.kernel("while True: pass")) == "busy"
    inside(desk, "import shutil; shutil.rmtree('/wheels')")
    labs.session.stop_server("there", force=True)
    assert "the one there was" in details(labs.session, "process")
    assert labs.ask("GET", "/api/status")["kernels"] == 0


def test_what_it_uses_and_what_happened_to_it_is_told(desk: Desk, labs: Labs, cli: Cli) -> None:
    """In the words of other places."""
    desk.describe(memory="900m", cpus=1.5)
    pid = labs.start()
    labs.kernel("while True: pass")

    def told() -> dict[str, str]:
        found = json.loads(cli("status", "there", "--json").stdout)["servers"][0]
        return {**found["facts"], "events": " ".join(found["events"])}

    busy = wait_for(lambda: (now := told()) and float(now["cpu"].split()[0]) > A_LITTLE and now)
    assert list(busy)[:3] == ["image", "container", "restarts"]
    assert busy["cpu"].endswith(" of 1.50")
    assert re.fullmatch(r"\d+ MiB of 900 MiB", busy["memory"])
    assert 20 < int(busy["memory"].split()[0]) < 900
    assert (busy["image"], busy["restarts"]) == (engine.IMAGE, "0")
    ContainerServers().kill(pid)
    wait_for(lambda: labs.session.status("there").pid not in {None, pid})
    again = told()
    assert again["restarts"] == "1"
    assert re.search(r"Warning die: exit code 137 [0-9:]+ start", again["events"])


def test_looking_again_and_again_keeps_no_more_connections_open(desk: Desk) -> None:
    """Whatever is asked for, from whichever thread, and of however many engines."""
    at = Engine(url=f"unix://{engine.SOCKET}", source="test")
    container(at, "jupyterctl-no-such-0")
    before = psutil.Process().num_fds()
    with ThreadPoolExecutor(4) as pool:
        for number in range(60):
            name = f"jupyterctl-no-such-{number}"
            assert list(pool.map(lambda _, name=name: container(at, name), range(4))) == [None] * 4
    assert psutil.Process().num_fds() <= before + IDLE
    for number in range(3 * MOST):
        assert container(Engine(url=at.url, source=str(number)), "jupyterctl-no-such-0") is None
    assert psutil.Process().num_fds() <= before + MOST


def test_somebody_who_may_not_use_the_engine(desk: Desk) -> None:
    need("root", os.geteuid() == 0, "only root may be somebody else for a while")
    desk.ground.folder.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(TargetError) as refused:
            client(Engine(url=f"unix://{engine.SOCKET}", source="test"), 4.0)
    finally:
        os.seteuid(0)
    assert "may not use" in refused.value.message
    assert "usermod -aG" in refused.value.hint


def test_an_engine_that_is_away_is_unreachable_and_never_stopped(desk: Desk, labs: Labs) -> None:
    pid = labs.start()
    with desk.ground.relay.cut():
        (row,) = [status for status in labs.session.statuses() if status.name == "there"]
        assert row.state == "unreachable"
        assert "no engine listens" in (row.error or "")
        assert labs.session.status("there").state == "unreachable"
    assert labs.session.status("there").pid == pid


def test_a_context_leads_to_its_engine(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """As `docker context` keeps it: the current one, and one that is named."""
    made = subprocess.run(
        ["docker", "context", "create", "mine", "--docker", f"host=unix://{desk.ground.relay.path}"],
        env={**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker")},
        capture_output=True,
        check=False,
    )
    need("docker", made.returncode == 0, "the docker program makes the context")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    desk.describe(engine="mine")
    assert "context `mine`" in cli("doctor", "there").stdout
    text = "\n".join(line for line in desk.ground.profile().splitlines() if not line.startswith("engine"))
    desk.describe(text)
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    assert "context `mine`" in cli("doctor", "there").stdout
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert "DOCKER_HOST" in cli("doctor", "there").stdout


def test_the_log_goes_on_over_restarts(desk: Desk, labs: Labs) -> None:
    labs.start()
    labs.session.stop_server("there")
    labs.start()
    text = labs.session.server_log("there", 500)
    assert text.count("is running at") == 2
    assert labs.session.server_log("there", 2) == "".join(text.splitlines(keepends=True)[-2:])
