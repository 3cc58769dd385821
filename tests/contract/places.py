"""The places that the contract is held against: one class a kind, each with the real thing behind it.

A kind joins the suite by a class here and a line in `conftest.PLACES`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psutil
import pytest

from jupyterctl import paths
from jupyterctl.model import Run
from jupyterctl.transport.kube import pods, podspec
from tests import engine
from tests.cluster import Space
from tests.conftest import end_all, need
from tests.sshd import Sshd

TRANSPORTS = {"ssh": "paramiko", "ssh-program": "openssh"}
"""The ways to a machine elsewhere: a place's name, and the profile's `transport`."""


class Place(Protocol):
    """What the suite has to know of a place beside its profile."""

    prefix: Path
    """Of the environment that kernels must run in."""

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make the place what its name says; `folder` is the test's own."""

    def close(self) -> None:
        """End what was opened, and whatever lives there."""

    def profile(self) -> str:
        """A profile of this place, as TOML."""

    def cut(self) -> object:
        """While the context manager is open, the place does not answer; what runs there goes on."""

    def processes(self, run_id: str) -> list[Any]:
        """What executes a run at the place: its processes, or what holds them."""

    def kept(self, run_id: str) -> dict[str, bytes]:
        """Everything that the place keeps of a run, by name; without what it keeps secrets in."""

    def kill_runner(self, run: Run, pid: int) -> None:
        """End the run's own process, which does not notice."""

    def break_off(self, run: Run, pid: int, half: bytes) -> None:
        """The same, and the journal has half a line then."""

    def gate(self, folder: Path) -> str:
        """Path of a file at the place that is not there until `open_gate`."""

    def open_gate(self, run_id: str) -> None:
        """Make it."""

    known_modules: bool
    """Whether it is known before a run what its environment has."""


Who = int | str
"""What tells one server from the next at its place: a pid of this machine, or another name."""


class ServerPlace(Protocol):
    """What the server half has to know."""

    here: bool
    """Whether its labs are reached without a link, so that it is looked at without being asked to."""
    prefix: str
    """Of the environment that labs run in."""
    adopts: bool
    """Whether what was started there by hand can be taken over: its token can be had."""
    revives: bool
    """Whether the place itself brings a lab back that was killed."""
    bare_shell: bool
    """Whether there is a shell where there is no server."""
    records: bool
    """Whether labs are found by files that they leave, which may be wrong."""

    def profile(self, *, server: str = "") -> str:
        """A profile of this place, as TOML, with these lines below `[server]`; its labs show `folder/work`."""

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make the place what its name says; `folder` is the test's own."""

    def close(self) -> None:
        """End what was opened, and whatever lives there."""

    def slow(self, server: str) -> str:
        """A profile whose lab never comes up, with these lines below `[server]`."""

    def identity(self, name: str) -> Who:
        """Which server a profile has, where that is not told by a pid; empty where it has none."""

    def gone(self, who: Who) -> bool:
        """Whether that server has ended."""

    def kill(self, who: Who) -> None:
        """SIGKILL to the server."""

    def children(self, who: Who) -> list[psutil.Process]:
        """Its kernels and what else it has started, as far as this machine sees them."""

    def begun(self, home: Path) -> Who:
        """Which one the server `there` is once its start needs nobody any more, else 0; `home` is JUPYTERCTL_HOME."""

    def kept(self, home: Path) -> Kept:
        """What the place keeps of the server `there`."""

    def runtime(self) -> Path:
        """Jupyter's runtime folder, where there are records."""

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        """Start a Jupyter server there as people do, with a token of its own choice."""

    def occupy(self, port: int) -> AbstractContextManager[int]:
        """While open, another program listens on the port; its pid."""

    def freeze(self, who: Who) -> AbstractContextManager[None]:
        """While open, that server is there and does nothing."""


class Processes:
    """A place whose servers are processes that this machine sees."""

    bare_shell = True

    def identity(self, name: str) -> Who:
        return ""

    def gone(self, who: Who) -> bool:
        return gone(int(who))

    def kill(self, who: Who) -> None:
        os.kill(int(who), signal.SIGKILL)

    def children(self, who: Who) -> list[psutil.Process]:
        return psutil.Process(int(who)).children(recursive=True)


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Kept(NamedTuple):
    """What a place keeps of a server: its token with the mode of the file that has it, its log, what anybody sees."""

    token: str
    mode: int
    log: str
    shown: str
    file: Path | None
    """The token's, where it is on this machine."""


def kept(folder: Path, runtime: Path) -> Kept:
    """Of a server that is kept in a folder of this machine."""
    token = folder / "token"
    mode = token.stat().st_mode | runtime.stat().st_mode & 0o077
    return Kept(token.read_text(), mode, (folder / "server.log").read_text(), "", token)


def begun(folder: Path) -> int:
    """The pid of a server that is kept in a folder, once its environment was handed over."""
    pid = folder / "pid"
    ready = pid.exists() and not (folder / "environment").exists()
    return int(pid.read_text() or 0) if ready else 0


class OnThisMachine:
    """Runs whose processes and files a test can get at."""

    known_modules = True

    def folder_of_runs(self) -> Path:
        """Where their directories are."""
        raise NotImplementedError

    def processes(self, run_id: str) -> list[Any]:
        return marked(run_id)

    def kept(self, run_id: str) -> dict[str, bytes]:
        files = [path for path in self.folder_of_runs().rglob("*") if run_id in str(path) and path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    def kill_runner(self, run: Run, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def break_off(self, run: Run, pid: int, half: bytes) -> None:
        self.kill_runner(run, pid)
        with (Path(run.handle["directory"]) / "events.jsonl").open("ab") as file:
            file.write(half)

    def gate(self, folder: Path) -> str:
        self._gate = folder / "go"
        return str(self._gate)

    def open_gate(self, run_id: str) -> None:
        self._gate.touch()


class Local(OnThisMachine):
    """This machine, with an environment of a certain make."""

    def __init__(self, spec: str, prefix: Path) -> None:
        self.spec = spec
        self.prefix = prefix

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """It is here."""

    def close(self) -> None:
        """The fixture `home` ends what lives here."""

    def profile(self) -> str:
        return f'kind = "local"\nenvironment = "{self.spec}"\n'

    @contextmanager
    def cut(self) -> Iterator[None]:
        """The disk that runs execute on is not there; runs hold their files open and go on."""
        here, away = paths.state() / "local", paths.state() / "elsewhere"
        here.rename(away)
        try:
            yield
        finally:
            away.rename(here)

    def folder_of_runs(self) -> Path:
        return paths.state() / "local"


class LocalServers(Processes):
    """This machine, its servers in tmux or in sessions of their own."""

    here = True
    prefix = sys.prefix
    adopts, revives, records = True, False, True

    def __init__(self, *, tmux: bool) -> None:
        self.tmux = tmux

    def profile(self, *, server: str = "") -> str:
        return f'kind = "local"\nenvironment = "venv:{sys.prefix}"\n[server]\n{server}\n'

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        if self.tmux:
            need("tmux", shutil.which("tmux"), "apt install tmux")
            return
        programs = folder / "programs"
        programs.mkdir()
        for name in ("sh", "bash", "cat", "rm", "echo", "sleep"):
            (programs / name).symlink_to(shutil.which(name) or "")
        monkeypatch.setenv("PATH", str(programs))

    def close(self) -> None:
        """The fixture `home` ends what lives here."""

    def slow(self, server: str) -> str:
        return self.profile(server=server).replace("[server]", 'before = ["sleep 600"]\n[server]')

    def begun(self, home: Path) -> int:
        return begun(home / "state/servers/there")

    def kept(self, home: Path) -> Kept:
        return kept(home / "state/servers/there", self.runtime())

    def runtime(self) -> Path:
        return Path(os.environ["JUPYTER_RUNTIME_DIR"])

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        return by_hand(root, dict(os.environ))

    @contextmanager
    def occupy(self, port: int) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", port)):
            yield os.getpid()

    @contextmanager
    def freeze(self, who: Who) -> Iterator[None]:
        """tmux lets a stopped process go on, so it is stopped with it."""
        with frozen(int(who), tmux=self.tmux):
            yield


class Elsewhere:
    """A machine that a real sshd on loopback leads to: a home, a tmux server and runtime files of its own."""

    here = False

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self.prefix: Any = Path(sys.prefix)

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        need("tmux", shutil.which("tmux"), "apt install tmux")
        self.folder = folder
        self.home = folder / "far"
        (self.home / "tmux").mkdir(parents=True)
        (self.home / "tmux").chmod(0o700)
        (folder / "work").mkdir(exist_ok=True)
        self.variables = {
            "HOME": str(self.home),
            "TMUX_TMPDIR": str(self.home / "tmux"),
            "JUPYTER_RUNTIME_DIR": str(self.runtime()),
        }
        extra = "SetEnv " + " ".join(f"{name}={value}" for name, value in self.variables.items())
        self.sshd = Sshd(folder / "sshd", extra=extra).start()
        self.config = self.sshd.write_config(folder / "near")

    def close(self) -> None:
        self.sshd.stop()
        end_all("HOME", self.home)

    def _way(self) -> str:
        return (
            f'kind = "ssh"\nhost = "{self.sshd.name}"\nssh_config = "{self.config}"\ntransport = "{self.transport}"\n'
            f'environment = "venv:{sys.prefix}"\n'
        )

    def _state(self) -> Path:
        return self.home / ".local/state/jupyterctl"

    def runtime(self) -> Path:
        return self.home / "runtime"


class Ssh(Elsewhere, OnThisMachine):
    """Runs there."""

    def profile(self) -> str:
        return self._way()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """The machine does not answer; what runs there knows nothing of it."""
        self.sshd.stop()
        try:
            yield
        finally:
            self.sshd.start()

    def folder_of_runs(self) -> Path:
        return self._state() / "local"


class Pods:
    """A real cluster, in a namespace of its own, behind a proxy that can be cut."""

    prefix = Path("/opt/venv")
    known_modules = False
    _gate = "/tmp/go"

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.space = Space(folder / "cluster").open()
        self.proxy = self.space.behind_a_proxy()

    def close(self) -> None:
        self.space.close()

    def profile(self) -> str:
        return self.space.profile()

    def cut(self) -> AbstractContextManager[None]:
        return self.proxy.cut()

    def _pod(self, run_id: str) -> str:
        return str(self.space.pods(run=run_id)[-1]["metadata"]["name"])

    def processes(self, run_id: str) -> list[Any]:
        return [pod for pod in self.space.pods(run=run_id) if "running" in pods.main(pod).get("state", {})]

    def kept(self, run_id: str) -> dict[str, bytes]:
        cluster, own = self.space.cluster, {"label_selector": podspec.selector(run=run_id)}
        lists = [cluster.core.list_namespaced_pod, cluster.batch.list_namespaced_job]
        found = {
            f"{each['metadata']['uid']}": json.dumps(each).encode()
            for one in lists
            for each in cluster.ask(one, self.space.name, **own)["items"]
        }
        for pod in self.space.pods(run=run_id):
            name = pod["metadata"]["name"]
            found[f"{name}.log"] = cluster.raw(cluster.core.read_namespaced_pod_log, name, self.space.name).data
        return found

    def kill_runner(self, run: Run, pid: int) -> None:
        self.space.execute(self._pod(run.id), f"import os; os.kill({pid}, 9)")

    def break_off(self, run: Run, pid: int, half: bytes) -> None:
        code = f"import os; os.kill({pid}, 9); open('/jupyterctl/run/events.jsonl', 'ab').write({half!r})"
        self.space.execute(self._pod(run.id), code)

    def gate(self, folder: Path) -> str:
        return self._gate

    def open_gate(self, run_id: str) -> None:
        self.space.execute(self._pod(run_id), f"open({self._gate!r}, 'w')")


class SshServers(Processes, Elsewhere):
    """Servers there, in tmux."""

    adopts, revives, records = True, False, True

    def profile(self, *, server: str = "") -> str:
        return f'{self._way()}workdir = "{self.folder / "work"}"\n[server]\n{server}\n'

    def slow(self, server: str) -> str:
        return self.profile(server=server).replace("[server]", 'before = ["sleep 600"]\n[server]')

    def begun(self, home: Path) -> int:
        return begun(self._state() / "servers/there")

    def kept(self, home: Path) -> Kept:
        return kept(self._state() / "servers/there", self.runtime())

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if name != "JUPYTERCTL_HOME"}
        return by_hand(root, {**inherited, **self.variables})

    @contextmanager
    def occupy(self, port: int) -> Iterator[int]:
        """The link's port, which is one of this machine."""
        with socket.create_server(("127.0.0.1", port)):
            yield os.getpid()

    @contextmanager
    def freeze(self, who: Who) -> Iterator[None]:
        with frozen(int(who), tmux=True):
            yield


ELSEWHERE = "127.0.0.2"
"""An address of this machine that passes for another one's: nobody takes it for the loopback."""


class ContainerRuns:
    """Containers of this machine's engine, reached through a socket that can be cut off."""

    prefix = engine.PREFIX
    known_modules = True
    _gate = "/tmp/go"

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.ground = engine.Ground(folder).open()

    def close(self) -> None:
        self.ground.close()

    def profile(self) -> str:
        return self.ground.profile()

    def cut(self) -> AbstractContextManager[None]:
        return self.ground.relay.cut()

    def processes(self, run_id: str) -> list[Any]:
        return self.ground.processes(f"jupyterctl-run-{run_id}")

    def kept(self, run_id: str) -> dict[str, bytes]:
        return self.ground.copies(f"jupyterctl-run-{run_id}", "/jupyterctl/run")

    def kill_runner(self, run: Run, pid: int) -> None:
        self.break_off(run, pid, b"")

    def break_off(self, run: Run, pid: int, half: bytes) -> None:
        code = "import os, signal; os.kill({pid}, signal.SIGSTOP); open({file!r}, 'ab').write({half!r});"
        code += "os.kill({pid}, signal.SIGKILL)"
        file = "/jupyterctl/run/events.jsonl"
        self.ground.python(run.handle["container"], code.format(pid=pid, file=file, half=half))

    def gate(self, folder: Path) -> str:
        return self._gate

    def open_gate(self, run_id: str) -> None:
        self.ground.python(f"jupyterctl-run-{run_id}", f"open({self._gate!r}, 'w')")


class ContainerServers(Processes):
    """Labs in containers, published on this machine."""

    here = True
    prefix = str(engine.PREFIX)
    adopts, revives, records = False, True, False
    """A container that was started by hand keeps its token to itself, and an engine knows its containers."""

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.ground = engine.Ground(folder).open()
        (folder / "work").mkdir(exist_ok=True)

    def close(self) -> None:
        self.ground.close()

    def profile(self, *, server: str = "") -> str:
        return f"{self.ground.profile(workdir=str(self.ground.folder / 'work'))}[server]\n{server}\n"

    def slow(self, server: str) -> str:
        """Its Python sleeps; the image is not asked what it has, for that would never end."""
        program = self.ground.folder / "sleeps"
        program.write_text('#!/bin/sh\ncase $1 in -c) exec python3 "$@";; *) sleep 600;; esac\n')
        program.chmod(0o755)
        folder, mount = str(self.ground.folder / "work"), f"{program}:/sleeps"
        made = self.ground.profile(workdir=folder, python="/sleeps", mounts=[mount])
        return f"{made}[server]\n{server}\n"

    def begun(self, home: Path) -> int:
        return self.ground.pid("there")

    def kept(self, home: Path) -> Kept:
        return self.ground.kept("there", Kept)

    def runtime(self) -> Path:
        raise NotImplementedError

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    @contextmanager
    def occupy(self, port: int) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", port)):
            yield os.getpid()

    @contextmanager
    def freeze(self, who: Who) -> Iterator[None]:
        """All but the first process of the container."""
        with frozen(psutil.Process(int(who)).children()[0].pid, tmux=False):
            yield


class EngineElsewhere(ContainerServers):
    """Labs on an engine that only its API leads to: nothing of them is published."""

    here = False

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        super().open(monkeypatch, folder)
        self.network = engine.Relay((ELSEWHERE, 0), self.ground.relay.path)
        self.ground.url = f"tcp://{ELSEWHERE}:{self.network.port}"

    def close(self) -> None:
        super().close()
        self.network.close()


def by_hand(root: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A JupyterLab as people start it, in this environment."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*command, "--allow-root"], cwd=root, env=environment, stdout=quiet, stderr=quiet)


@contextmanager
def frozen(pid: int, *, tmux: bool) -> Iterator[None]:
    """A process that does nothing; tmux lets a stopped one go on, so it is stopped with it."""
    stopped = [psutil.Process(pid)]
    if tmux:
        stopped.insert(0, psutil.Process(stopped[0].ppid()))
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def marked(run_id: str) -> list[psutil.Process]:
    """Every process of a run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("JUPYTERCTL_RUN") == run_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def venv() -> Local:
    """The virtual environment that the tests themselves run in."""
    return Local(f"venv:{sys.prefix}", Path(sys.prefix))


def conda(prefix: Path) -> Local:
    """A genuine conda-format environment."""
    return Local(f"conda:{prefix}", prefix)
