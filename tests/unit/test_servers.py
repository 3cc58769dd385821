"""The parts that labs are made of: ports that stay, records of servers, files for the login."""

from __future__ import annotations

import json
import os
import plistlib
import subprocess
import sys
from pathlib import Path

import pytest

from jupyterctl import paths
from jupyterctl.core import autostart, servers
from jupyterctl.core.session import Session
from jupyterctl.environments import lab
from jupyterctl.errors import NoLabError
from jupyterctl.model import Server, ServerState
from jupyterctl.store import Store
from jupyterctl.transport import jpserver, ports
from tests.environment_fixtures import home as bare_home
from tests.environment_fixtures import virtual

__all__ = ["bare_home"]
CHOOSE = "import sys; from jupyterctl.store import Store; print(Store().link_port(sys.argv[1], range(30000, 30100)))"


def test_profiles_that_choose_at_once_get_a_port_each(home: Path) -> None:
    Store().close()
    asked = [
        subprocess.Popen([sys.executable, "-c", CHOOSE, f"lab-{number}"], stdout=subprocess.PIPE, text=True)
        for number in range(10)
    ]
    chosen = [int(process.communicate(timeout=60)[0]) for process in asked]
    assert sorted(chosen) == list(range(30000, 30010))
    store = Store()
    assert [store.link_port(f"lab-{number}", range(1)) for number in range(10)] == chosen


def test_a_profiles_port_is_remembered_until_it_names_another(home: Path) -> None:
    store = Store()
    assert store.link_port("lab") is None
    assert store.link_port("lab", []) is None
    assert store.link_port("lab", iter([4001, 4002])) == 4001
    assert store.link_port("lab", [4009]) == 4001
    assert store.link_port("other", [4001]) is None
    store.keep_link_port("lab", 4005)
    assert store.link_port("lab") == 4005


def test_what_is_known_of_a_server_is_kept_and_forgotten(home: Path) -> None:
    server = Server(name="lab", kind="k", state=ServerState.RUNNING, place="here", pid=1, handle={"a": "b"})
    store = Store()
    store.keep_server(server)
    assert Store().server("lab") == server
    assert Store().servers() == [server]
    store.forget_server("lab")
    assert Store().server("lab") is None


def test_a_lab_keeps_its_name_when_the_first_profile_of_its_kind_is_made(home: Path) -> None:
    store = Store()
    (paths.profiles()).mkdir(parents=True)
    (paths.profiles() / "own.toml").write_text('kind = "local"\n', encoding="utf-8")
    assert servers.place(store, "local", home).profile.name == "own"
    store.keep_server(Server(name="local", kind="local", state=ServerState.RUNNING, place="here", pid=1))
    assert servers.place(store, "local", home).profile.name == "local"
    assert Session(home).server_profile("local").file is None
    assert servers.place(store, "own", home).profile.name == "own"
    store.forget_server("local")
    assert servers.place(store, "local", home).profile.name == "own"


def test_ports_in_use_are_no_candidates() -> None:
    import socket

    first = next(ports.candidates("a"))
    with socket.create_server(("127.0.0.1", first)):
        assert not ports.free(first)
        assert next(ports.candidates("a")) != first
        assert f"pid {os.getpid()}" in ports.owner(first)
    assert next(ports.candidates("a")) == first


@pytest.mark.parametrize(
    "environment",
    [
        {"JUPYTER_RUNTIME_DIR": "/r"},
        {"JUPYTER_DATA_DIR": "/d"},
        {"XDG_DATA_HOME": "/x"},
        {"HOME": "/home/ada"},
        {"JUPYTER_RUNTIME_DIR": "", "HOME": "/home/ada"},
    ],
)
def test_the_runtime_folder_is_jupyters(environment: dict[str, str]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from jupyter_core.paths import jupyter_runtime_dir as d; print(d())"],
        env={"HOME": "/home/grace", "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert str(jpserver.runtime({"HOME": "/home/grace", **environment})) == told.stdout.strip()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 5}', '{"port": 1}'])
def test_a_record_that_cannot_be_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / f"jpserver-{os.getpid()}.json").write_text(text)
    assert jpserver.pids(tmp_path) == [os.getpid()]
    assert jpserver.read(tmp_path, os.getpid()) is None


def test_only_records_of_living_processes_count(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(60)
    record = {"pid": os.getpid(), "url": "http://0.0.0.0:1/", "token": "secret"}
    for name in (f"jpserver-{ended.pid}.json", "jpserver-x.json", f"jpserver-{os.getpid()}-open.html", "kernel-1.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / f"jpserver-{os.getpid()}.json").write_text(json.dumps(record))
    assert jpserver.pids(tmp_path) == [os.getpid()]
    read = jpserver.read(tmp_path, os.getpid())
    assert read is not None
    assert read.address.url == "http://127.0.0.1:1/"
    assert "secret" not in f"{read!r} {read.address!r}"
    assert jpserver.pids(tmp_path / "missing") == []


def test_a_launchd_agent_says_what_the_person_would(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    wanted = autostart.describe("lab", tmp_path)
    assert wanted.file == tmp_path / "Library/LaunchAgents/io.github.jupyterctl-lab.plist"
    agent = plistlib.loads(wanted.text.encode())
    assert agent["ProgramArguments"] == [sys.executable, "-m", "jupyterctl", "start", "lab", "--no-open"]
    assert agent["WorkingDirectory"] == str(tmp_path)
    assert agent["RunAtLoad"]
    assert agent["AbandonProcessGroup"]
    autostart.turn_on(wanted)
    assert [(one.name, one.file) for one in autostart.listed()] == [("lab", wanted.file)]
    autostart.turn_off("lab")
    assert autostart.listed() == []


def test_a_lab_needs_an_environment_with_jupyterlab(bare_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bare_home / "project"
    virtual(project / ".venv", "ipykernel")
    monkeypatch.setattr(sys, "prefix", str(bare_home / "nowhere"))
    with pytest.raises(NoLabError, match="no environment"):
        lab(project)
    virtual(bare_home / "envs/one", "jupyterlab")
    monkeypatch.setenv("VIRTUAL_ENV", str(bare_home / "envs/one"))
    found, reason = lab(project)
    assert found.prefix == (bare_home / "envs/one").resolve()
    assert reason == "the active environment"
