"""Which engine a profile means, and what a container is made with."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from jupyterctl.errors import ConfigError
from jupyterctl.targets.docker import Settings
from jupyterctl.transport.engine import recipe
from jupyterctl.transport.engine.where import Engine, contexts, engine, of_handle

HERE = Engine(url="unix:///var/run/docker.sock", source="test")
THERE = Engine(url="ssh://gpu-01", source="test")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration of contexts, with one that wants TLS."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    digest = hashlib.sha256(b"gpu").hexdigest()
    meta = tmp_path / "contexts/meta" / digest
    meta.mkdir(parents=True)
    endpoint = {"Host": "tcp://gpu-01:2376", "SkipTLSVerify": True}
    (meta / "meta.json").write_text(json.dumps({"Name": "gpu", "Endpoints": {"docker": endpoint}}))
    tls = tmp_path / "contexts/tls" / digest / "docker"
    tls.mkdir(parents=True)
    (tls / "ca.pem").touch()
    return tmp_path


def test_the_nearest_says_which(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile, DOCKER_HOST, DOCKER_CONTEXT, the current context."""
    (config / "config.json").write_text('{"currentContext": "gpu"}')
    assert engine(None, "docker").source == "context `gpu`"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert engine(None, "docker").url == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    assert (engine(None, "docker").url, engine(None, "docker").source) == ("tcp://10.0.0.1:2375", "DOCKER_HOST")
    assert engine("unix:///mine.sock", "docker").socket == Path("/mine.sock")


def test_a_context_has_its_keys(config: Path) -> None:
    found = engine("gpu", "docker")
    assert (found.url, found.verify, found.here, found.host) == ("tcp://gpu-01:2376", False, False, "gpu-01")
    assert found.tls.endswith("/docker")
    assert list(contexts()) == ["gpu"]
    again = of_handle(found.handle())
    assert (again.url, again.tls, again.verify) == (found.url, found.tls, False)


def test_tls_by_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://gpu-01:2376")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")
    assert engine(None, "docker").tls == ""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert engine(None, "docker").tls == "/certs"


def test_what_is_no_engine(config: Path) -> None:
    with pytest.raises(ConfigError, match="no context `nowhere`") as refused:
        engine("nowhere", "docker")
    assert "gpu" in refused.value.hint
    with pytest.raises(ConfigError, match="no engine's address"):
        engine("ftp://x", "docker")


def test_processes_are_whose_files_they_write() -> None:
    """Engines that map users by themselves are left to it."""
    me = f"{os.getuid()}:{os.getgid()}"
    assert recipe.user(Settings(), HERE, {}) == me
    assert recipe.user(Settings(), HERE, {"SecurityOptions": ["name=rootless"]}) == "0:0"
    assert recipe.user(Settings(), HERE, {"OperatingSystem": "Docker Desktop"}) is None
    assert recipe.user(Settings(), THERE, {}) is None
    assert recipe.user(Settings(user="image"), HERE, {}) is None
    assert recipe.user(Settings(user="7:8"), THERE, {}) == "7:8"


def test_gpus_as_engines_are_told() -> None:
    assert recipe.devices(None) is None
    assert recipe.devices("all")[0]["Count"] == -1
    assert recipe.devices(2)[0]["Count"] == 2
    assert recipe.devices("device=0,2")[0]["DeviceIDs"] == ["0", "2"]


def test_users_are_not_mapped_away() -> None:
    made = recipe.options(Settings(user="7:8"), HERE, {"SecurityOptions": ["name=userns"]}, [])
    assert (made["user"], made["userns_mode"]) == ("7:8", "host")
