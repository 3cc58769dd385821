"""An engine that goes away and comes back, with all that runs on it; one of the tests' own, in a network of its own.

Its containers have this machine's Python, so that no image has to be brought there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import engine
from tests.conftest import COMMAND, PATIENCE, Cli, end, need, wait_for
from tests.outcomes.ground import Watcher

from .conftest import Desk

UP = "print('up', flush=True)"
FOREVER = f"import time\n{UP}\nfor _ in range(6000):\n    time.sleep(0.1)"

CONTAINERD = """
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{folder}/containerd.sock"
"""


class Daemon:
    """A Docker Engine that can be started, ended and killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "engine.sock"
        self.network = f"engine-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.network], check=True)
        subprocess.run([*self.inside, "ip", "link", "set", "lo", "up"], check=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        (folder / "containerd.toml").write_text(CONTAINERD.format(folder=folder))
        self.containerd = self._run("containerd", f"--config={folder / 'containerd.toml'}")
        wait_for((folder / "containerd.sock").exists)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        """In its network, and not marked as the test's own: what tidies up after one test leaves it alone."""
        return subprocess.Popen([*self.inside, *command], env=self.environment, stderr=subprocess.DEVNULL)

    @property
    def inside(self) -> list[str]:
        """What a command begins with that is to see its published ports."""
        return ["nsenter", f"--net=/run/netns/{self.network}"]

    def start(self, *flags: str) -> None:
        """Start it, and wait until it answers."""
        own = [f"--data-root={self.folder / 'data'}", f"--exec-root={self.folder / 'exec'}"]
        own += [f"--pidfile={self.folder / 'pid'}", f"--host=unix://{self.socket}", "--log-level=error"]
        self.process = self._run("dockerd", f"--containerd={self.folder / 'containerd.sock'}", *own, *flags)
        wait_for(lambda: engine.pings(f"unix://{self.socket}"))

    def stop(self) -> None:
        """As a machine does that is shut down."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE)

    def kill(self) -> None:
        """As nobody should."""
        assert self.process is not None
        end(self.process)

    def close(self) -> None:
        """For good."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.containerd.terminate()
        self.containerd.wait(PATIENCE)
        subprocess.run(["ip", "netns", "del", self.network], check=False)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mounted in reversed([path for path in mounts if path.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """An engine with nothing on it."""
    need("docker", shutil.which("dockerd") and engine.is_root(), "dockerd, and root to start it")
    need("netns", shutil.which("nsenter") and shutil.which("ip"), "nsenter and ip, for a network of its own")
    made = Daemon(Path(tempfile.mkdtemp(prefix="engine-")))
    made.start()
    yield made
    made.close()


@pytest.fixture
def ground(daemon: Daemon, home: Path, tmp_path: Path) -> Iterator[engine.Ground]:
    """Containers of an owner of its own there."""
    made = engine.Ground(tmp_path, str(daemon.socket)).open()
    yield made
    made.close()


@pytest.fixture
def cli(cli: Cli, daemon: Daemon) -> Cli:
    """The installed command, where the published ports are."""

    def run(*arguments: object, **kw: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*daemon.inside, COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **kw,
        )

    return run


@pytest.fixture
def desk(ground: engine.Ground, home: Path, cli: Cli) -> Desk:
    """Somebody who uses it."""
    made = Desk(ground, home, cli)
    made.describe(ground.bare())
    return made


def watched(desk: Desk, *cells: str) -> Watcher:
    """A run in the background, once it has printed `up`."""
    watcher = Watcher(desk.folder, "run", desk.notebook(*cells), "-t", "there", "--json")
    watcher.printed("up")
    return watcher


def test_labs_come_back_with_it_but_for_those_that_were_stopped(desk: Desk, daemon: Daemon, cli: Cli) -> None:
    """A run that it takes down says that it was cancelled, and its notebook is there."""
    desk.describe(desk.ground.bare(workdir=str(desk.folder)))
    stopped = desk.home / "config/profiles/stopped.toml"
    stopped.write_text((desk.home / "config/profiles/there.toml").read_text())
    for name in ("there", "stopped"):
        done = cli("start", name, "--no-open", cwd=desk.folder)
        assert done.returncode == 0, done.stderr
    url = cli("open", "there", "--url").stdout
    assert cli("stop", "stopped", "--yes").returncode == 0
    run = watched(desk, UP, FOREVER)
    daemon.stop()
    assert "unreachable" in cli("status", "--json").stdout
    daemon.start()
    outcome = run.outcome(cli)
    assert (outcome.code, outcome.run["state"]) == (4, "cancelled")
    assert outcome.texts()[0] == "up\n"
    wait_for(lambda: '"http":"ok"' in cli("status", "there", "--json").stdout.replace(" ", ""))
    assert cli("open", "there", "--url").stdout == url
    assert '"state":"stopped"' in cli("status", "stopped", "--json").stdout.replace(" ", "")


def test_a_run_whose_engine_was_killed_ends_when_it_is_back(desk: Desk, daemon: Daemon, cli: Cli) -> None:
    """As an engine does without `live-restore`: what it finds running it ends."""
    run = watched(desk, FOREVER)
    daemon.kill()
    wait_for(lambda: "may go on there" in run.err.read_text())
    assert '"state":"unknown"' in cli("runs", "show", run.run, "--json").stdout.replace(" ", "")
    daemon.start()
    outcome = run.outcome(cli)
    assert (outcome.code, outcome.run["state"]) == (4, "cancelled")
    assert "SIGTERM" in outcome.run["error"]["value"]


def test_a_run_goes_on_whose_engine_leaves_its_containers_alone(desk: Desk, daemon: Daemon, cli: Cli) -> None:
    """`live-restore`: what was written meanwhile is there when it is back, every line once."""
    daemon.stop()
    daemon.start("--live-restore")
    gate = desk.folder / "go"
    desk.describe(desk.ground.bare(mounts=[f"{desk.folder}:{desk.folder}"]))
    counting = f"import os, time\nn = 0\nwhile not os.path.exists({str(gate)!r}):\n    n += 1\n    print(n)\n"
    run = watched(desk, UP, f"{counting}    time.sleep(0.05)", "print('after')")
    daemon.kill()
    wait_for(lambda: "may go on there" in run.err.read_text())
    daemon.start("--live-restore")
    gate.touch()
    assert run.end() == 0
    numbered = [event["seq"] for event in run.events if "seq" in event]
    assert numbered == list(range(len(numbered)))
    texts = "".join(event.get("text", "") for event in run.events if event.get("index") == 1)
    lines = texts.splitlines()
    assert lines == [str(number) for number in range(1, len(lines) + 1)]
