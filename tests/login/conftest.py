"""Real ssh servers, a configuration that leads to them, and a person who answers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterctl.transport.ssh.open import connect
from jupyterctl.transport.ssh.way import Question, Way
from tests.conftest import wait_for
from tests.sshd import Sshd

TRANSPORTS = ("paramiko", "openssh")


class Person:
    """Answers questions by their kind, each list in turn; a kind without answers is declined."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {kind.replace("_", "-"): list(given) for kind, given in answers.items()}
        self.asked: list[Question] = []

    def __call__(self, question: Question) -> str | None:
        self.asked.append(question)
        given = self.answers.get(question.kind)
        return given.pop(0) if given else None

    @property
    def kinds(self) -> list[str]:
        return [question.kind for question in self.asked]


NOBODY = Person


class Site:
    """A home with an ssh configuration, and servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.config = self.home / ".ssh" / "config"
        self.known_hosts = self.home / ".ssh" / "known_hosts"
        self.config.parent.mkdir(parents=True, mode=0o700)
        self.config.touch()
        self.servers: list[Sshd] = []
        self.ways: list[Way] = []
        self.phases: list[tuple[str, str]] = []

    def sshd(self, name: str = "box", extra: str = "", *, options: str = "", known: bool = True) -> Sshd:
        server = Sshd(self.folder / name, name=name, extra=extra).start()
        self.servers.append(server)
        if known:
            with self.known_hosts.open("a") as text:
                text.write(server.known_hosts)
        self.write(server.ssh_config(self.known_hosts, options))
        return server

    def write(self, text: str) -> None:
        """Append to the configuration."""
        with self.config.open("a") as config:
            config.write(text)

    def replace(self, text: str) -> None:
        """Write the configuration anew."""
        self.config.write_text(text)

    def open(self, host: str = "box", ask: Any = None, transport: str = "paramiko", **options: Any) -> Way:
        way = connect(
            host,
            ask=ask or Person(),
            report=lambda phase, detail: self.phases.append((phase, detail)),
            transport=transport,  # type: ignore[arg-type]
            config=self.config,
            **options,
        )
        self.ways.append(way)
        return way


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made = Site(tmp_path)
    yield made
    for way in made.ways:
        way.close()
    for server in made.servers:
        server.stop()


def block(server: Sshd, site: Site, *lines: str, name: str = "box") -> str:
    """A Host block that says only where the server is, and what is given."""
    common = f"HostName {server.address}", f"Port {server.port}", f"UserKnownHostsFile {site.known_hosts}"
    every = ("User root", *common) if not any(line.startswith("User ") for line in lines) else common
    return f"Host {name}\n" + "".join(f"  {line}\n" for line in (*every, *lines))


def says(way: Way, command: str = "echo here") -> str:
    """What a command writes."""
    stream = way.execute(command)
    parts = []
    while data := stream.read(4096):
        parts.append(data)
    stream.close()
    return b"".join(parts).decode()


@pytest.fixture
def agent(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """A real ssh-agent: gives it a key's file, and tells its socket."""
    path = str(tmp_path_factory.mktemp("a") / "s")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    wait_for(Path(path).exists)

    def add(*files: Path) -> str:
        for file in files:
            subprocess.run(
                ["ssh-add", "-q", str(file)], env={**os.environ, "SSH_AUTH_SOCK": path}, check=True, capture_output=True
            )
        return path

    yield add
    process.terminate()
    process.wait()
