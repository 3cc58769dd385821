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
from tests.conftest import need


class Place(Protocol):
    """What the suite has to know of a place beside its profile."""

    prefix: Path
    """Of the environment that kernels must run in."""

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

    def profile(self, *, server: str = "") -> str:
        """A profile of this place, as TOML, with these lines below `[server]`."""

    def hide(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Make the place what its name says; `folder` is the test's own."""

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
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("JUPYTERCTL_RUN") == run_id and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def files(self, run_id: str) -> list[Path]:
        return [path for path in (paths.state() / "local").rglob("*") if run_id in str(path)]


class LocalServers:
    """This machine, its servers in tmux or in sessions of their own."""

    def __init__(self, *, tmux: bool) -> None:
        self.tmux = tmux

    def profile(self, *, server: str = "") -> str:
        return f'kind = "local"\nenvironment = "venv:{sys.prefix}"\n[server]\n{server}\n'

    def hide(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        if self.tmux:
            need("tmux", shutil.which("tmux"), "apt install tmux")
            return
        programs = folder / "programs"
        programs.mkdir()
        for name in ("sh", "bash", "cat", "rm", "echo", "sleep"):
            (programs / name).symlink_to(shutil.which(name) or "")
        monkeypatch.setenv("PATH", str(programs))

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
        return subprocess.Popen(
            [*command, "--allow-root"], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    @contextmanager
    def occupy(self, port: int) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", port)):
            yield os.getpid()

    @contextmanager
    def freeze(self, pid: int) -> Iterator[None]:
        """tmux lets a stopped process go on, so it is stopped with it."""
        stopped = [psutil.Process(pid)]
        if self.tmux:
            stopped.insert(0, psutil.Process(stopped[0].ppid()))
        for process in stopped:
            process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.resume()


def venv() -> Local:
    """The virtual environment that the tests themselves run in."""
    return Local(f"venv:{sys.prefix}", Path(sys.prefix))


def conda(prefix: Path) -> Local:
    """A genuine conda-format environment."""
    return Local(f"conda:{prefix}", prefix)
