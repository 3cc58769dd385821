"""Images that come from a registry: a real one on this machine."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterctl.model import PhaseState
from tests import engine
from tests.conftest import Cli, end, need, wait_for
from tests.contract.places import ContainerServers
from tests.contract.server_ground import Labs
from tests.outcomes.ground import two_lines

from .conftest import Desk

CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
LAYER = 20_000_000
"""Bytes of an image that takes a moment to pull."""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Its address."""
    need("registry", shutil.which("docker-registry"), "apt install docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "registry.yml").write_text(CONFIG.format(folder=tmp_path / "registry", port=port))
    quiet = subprocess.DEVNULL
    command = ["docker-registry", "serve", tmp_path / "registry.yml"]
    serving = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    wait_for(lambda: _listens(port))
    yield f"127.0.0.1:{port}"
    end(serving)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def image(registry: str, desk: Desk) -> Iterator[str]:
    """An image with this machine's Python mounted, that the registry alone has."""
    api = desk.ground.client
    engine.bare(api)
    name = f"{registry}/team/lab:{secrets.token_hex(4)}"
    made = api.containers.create(engine.BARE, ["x"], labels={"jupyterctl/owner": desk.ground.owner})
    made.put_archive("/", engine.pack("ballast", base64.b64encode(os.urandom(LAYER))))
    repository, tag = name.rsplit(":", 1)
    made.commit(repository, tag)
    api.images.push(repository, tag)
    api.images.remove(name)
    yield name
    for left in desk.ground.containers():
        left.remove(force=True, v=True)
    for found in api.images.list(repository):
        api.images.remove(found.id, force=True)


def test_a_pull_shows_how_far_it_is(desk: Desk, image: str) -> None:
    desk.describe(desk.ground.bare(image=image, pull="missing", workdir=str(desk.folder)))
    labs = Labs(desk.folder, ContainerServers())
    phases = list(labs.session.start_server("there"))
    told = [phase.detail for phase in phases if phase.name == "image" and phase.state is PhaseState.DOING]
    assert any("█" in detail and " of " in detail for detail in told), told
    assert labs.ask("GET", "/api/status")["kernels"] == 0


def test_a_run_pulls_before_anything_is_made(desk: Desk, image: str) -> None:
    desk.describe(desk.ground.bare(image=image, pull="always"))
    assert desk.run("print('here')").code == 0


def test_what_the_registry_does_not_have(desk: Desk, registry: str, cli: Cli) -> None:
    desk.describe(image=f"{registry}/no/such:tag", pull="missing")
    lines = two_lines(cli("run", desk.notebook("1"), "-t", "there"), 3)
    assert f"`{registry}/no/such:tag` cannot be pulled" in lines
    assert f"docker login {registry}" in lines
