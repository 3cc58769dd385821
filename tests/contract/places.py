"""The places that the contract is held against: one class a kind, each with the real thing behind it.

A kind joins the suite by a class here and a line in `conftest.PLACES`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from jupyterctl import paths
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

    def processes(self, run_id: str) -> list[psutil.Process]:
        """Every process of a run at the place."""

    def files(self, run_id: str) -> list[Path]:
        """Every file that the place keeps of a run."""


class ServerPlace(Protocol):
    """What the server half has to know."""

    here: bool
    """Whether it is this machine, so that it is looked at without being asked to."""

    def profile(self, *, server: str = "") -> str:
        """A profile of this place, as TOML, with these lines below `[server]`; its labs show `folder/work`."""

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make the place what its name says; `folder` is the test's own."""

    def close(self) -> None:
        """End what was opened, and whatever lives there."""

    def kept(self, home: Path) -> Path:
        """Where the place keeps the token, log and pid of the server `there`; `home` is JUPYTERCTL_HOME."""

    def runtime(self) -> Path:
        """Jupyter's runtime folder there."""

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        """Start a Jupyter server there as people do, with a token of its own choice."""

    def occupy(self, port: int) -> AbstractContextManager[int]:
        """While open, another program listens on the port; its pid."""

    def freeze(self, pid: int) -> AbstractContextManager[None]:
        """While open, the server of that pid is there and does nothing."""


class Local:
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

    def processes(self, run_id: str) -> list[psutil.Process]:
        return marked(run_id)

    def files(self, run_id: str) -> list[Path]:
        return [path for path in (paths.state() / "local").rglob("*") if run_id in str(path)]


class LocalServers:
    """This machine, its servers in tmux or in sessions of their own."""

    here = True

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

    def kept(self, home: Path) -> Path:
        return home / "state/servers/there"

    def runtime(self) -> Path:
        return Path(os.environ["JUPYTER_RUNTIME_DIR"])

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        return by_hand(root, dict(os.environ))

    @contextmanager
    def occupy(self, port: int) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", port)):
            yield os.getpid()

    @contextmanager
    def freeze(self, pid: int) -> Iterator[None]:
        """tmux lets a stopped process go on, so it is stopped with it."""
        with frozen(pid, tmux=self.tmux):
            yield


class Elsewhere:
    """A machine that a real sshd on loopback leads to: a home, a tmux server and runtime files of its own."""

    here = False

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self.prefix = Path(sys.prefix)

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


class Ssh(Elsewhere):
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

    def processes(self, run_id: str) -> list[psutil.Process]:
        return marked(run_id)

    def files(self, run_id: str) -> list[Path]:
        return [path for path in (self._state() / "local").rglob("*") if run_id in str(path)]


class SshServers(Elsewhere):
    """Servers there, in tmux."""

    def profile(self, *, server: str = "") -> str:
        return f'{self._way()}workdir = "{self.folder / "work"}"\n[server]\n{server}\n'

    def kept(self, home: Path) -> Path:
        return self._state() / "servers/there"

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if name != "JUPYTERCTL_HOME"}
        return by_hand(root, {**inherited, **self.variables})

    @contextmanager
    def occupy(self, port: int) -> Iterator[int]:
        """The link's port, which is one of this machine."""
        with socket.create_server(("127.0.0.1", port)):
            yield os.getpid()

    @contextmanager
    def freeze(self, pid: int) -> Iterator[None]:
        with frozen(pid, tmux=True):
            yield


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
