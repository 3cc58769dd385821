"""Podman's socket, which speaks the same language: a lab and runs there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import engine
from tests.conftest import Cli, end, need, wait_for
from tests.contract.places import ELSEWHERE, ContainerServers
from tests.contract.server_ground import Labs
from tests.outcomes.ground import Watcher

from .conftest import Desk

RUNTIME = """#!{python}
import json, os, sys
words = iter(sys.argv)
for word in words:
    if word in ("--bundle", "--process"):
        file = next(words)
        file = os.path.join(file, "config.json") if word == "--bundle" else file
        spec = json.load(open(file))
        spec.get("process", spec).pop("rlimits", None)
        json.dump(spec, open(file, "w"))
os.execv({runtime!r}, [{runtime!r}, *sys.argv[1:]])
"""
"""Podman asks for more open files than some machines' root may give; its containers have what it has itself."""


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    """Of a Podman with nothing on it; its folder has a short name, for it wants one."""
    program = shutil.which("podman")
    need("podman", program and engine.is_root(), "podman, and root to have containers with a network")
    folder = Path(tempfile.mkdtemp(prefix="podman-"))
    own = [
        f"--root={folder / 'storage'}",
        f"--runroot={folder / 'run'}",
        "--log-level=error",
        f"--runtime={folder / 'runtime'}",
    ]
    runtime = folder / "runtime"
    runtime.write_text(RUNTIME.format(python=sys.executable, runtime=shutil.which("runc") or shutil.which("crun")))
    runtime.chmod(0o755)
    command = [str(program), *own, "system", "service", "--time", "0", f"unix://{folder / 'socket'}"]
    service = subprocess.Popen(command)
    try:
        wait_for(lambda: engine.pings(f"unix://{folder / 'socket'}"))
        yield folder / "socket"
    finally:
        end(service)
        subprocess.run([str(program), *own, "system", "reset", "--force"], capture_output=True, check=False, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ground(socket: Path, home: Path, tmp_path: Path) -> Iterator[engine.Ground]:
    """Containers of an owner of its own there."""
    made = engine.Ground(tmp_path, str(socket)).open()
    yield made
    made.close()


@pytest.fixture
def desk(ground: engine.Ground, home: Path, cli: Cli) -> Desk:
    """Somebody who uses it; the image has this machine's Python."""
    made = Desk(ground, home, cli)
    made.describe(ground.bare(mounts=[f"{made.folder}:{made.folder}"]))
    return made


def test_runs_there(desk: Desk, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that succeeds, one that fails, one that is cancelled and one whose container is removed."""
    monkeypatch.setenv("ITS_SOURCE", "hunter2-secret")
    secret = ("-s", "token=env:ITS_SOURCE")
    cells = ("# parameters\nn = 1", "import os\nprint(n, os.environ['token'])")
    outcome = desk.run(*cells, flags=("-p", "n", "5", *secret))
    assert outcome.code == 0, outcome.run["error"]
    assert outcome.texts()[-1] == "5 ***\n"
    assert not any(b"hunter2" in data for data in desk.ground.copies("run", "/").values())
    assert desk.run("raise ValueError('x' * 20000)").code == 1
    for name, code in (("cancel", 4), ("remove", 3)):
        forever = desk.notebook("import time\nprint('up', flush=True)\ntime.sleep(600)")
        watcher = Watcher(desk.folder, "run", forever, "-t", "there", "--json")
        watcher.printed("up")
        if name == "cancel":
            assert cli("runs", "cancel", watcher.run, "--yes").returncode == 0
        else:
            desk.ground.named(f"jupyterctl-run-{watcher.run}").remove(force=True)
        assert watcher.outcome(cli).code == code


def test_a_lab_there(desk: Desk, cli: Cli) -> None:
    """Started, found, entered, stopped, and back as it was."""
    assert not [line for line in cli("doctor", "there").stdout.splitlines() if "fail" in line]
    labs = Labs(desk.folder, ContainerServers())
    desk.describe(desk.ground.bare(workdir=str(desk.folder)))
    labs.start()
    url = labs.session.server_url("there")
    assert labs.kernel()
    shell = labs.shell("echo in $PWD\n")
    assert f"in {desk.folder}" in shell.stdout, shell.stderr
    assert "is running at" in labs.session.server_log("there")
    told = labs.session.facts("there")
    assert "MiB" in told.values["memory"]
    assert float(told.values["cpu"]) >= 0
    assert any(event.endswith(" start") for event in told.events)
    labs.session.stop_server("there")
    assert labs.session.status("there").state == "stopped"
    labs.start()
    assert labs.session.server_url("there") == url


def test_a_lab_of_one_elsewhere(desk: Desk, socket: Path) -> None:
    """Over its API, as with the other engine: nothing is published."""
    relay = engine.Relay((ELSEWHERE, 0), str(socket))
    try:
        away = {"engine": f"tcp://{ELSEWHERE}:{relay.port}", "workdir": str(desk.folder)}
        desk.describe(desk.ground.bare(**away))
        labs = Labs(desk.folder, ContainerServers())
        labs.start()
        assert labs.session.status("there").link.way == f"by way of the engine at {away['engine']}"
        assert labs.state(labs.kernel("while True: pass")) == "busy"
        labs.session.stop_server("there", force=True)
        assert labs.session.status("there").state == "stopped"
    finally:
        relay.close()
