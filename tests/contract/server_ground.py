"""What the tests of servers share: the place, and someone who uses its labs."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from jupyterctl import target
from jupyterctl.core.session import Session
from jupyterctl.model import PhaseState, Server
from tests.conftest import PATIENCE, wait_for

from . import places
from .pod_place import PodServers
from .screen_place import ScreenServers

PLACES: dict[str, places.ServerPlace] = {
    "local-tmux": places.LocalServers(tmux=True),
    "local-screen": ScreenServers(),
    "local-alone": places.LocalServers(tmux=False),
    **{name: places.SshServers(transport) for name, transport in places.TRANSPORTS.items()},
    "docker": places.ContainerServers(),
    "docker-elsewhere": places.EngineElsewhere(),
    "kubernetes": PodServers(),
}
VARIANTS = {"local-screen", "docker-elsewhere"}
"""Places that are others in all but what holds a lab, or what leads to it: only what may differ is tried there."""
MAY_DIFFER = {
    "test_a_start_goes_step_by_step",
    "test_starts_at_once_make_one_server",
    "test_a_second_state_directory_finds_it",
    "test_address_and_token_are_kept_over_a_restart",
    "test_a_killed_server_comes_back_at_its_address",
    "test_a_start_whose_tool_is_killed_goes_on",
    "test_the_token_is_nowhere_to_be_seen",
    "test_a_stop_ends_what_does_not_listen",
    "test_a_start_that_fails_shows_the_log",
    "test_the_log_is_followed",
    "test_a_shell_has_the_environment",
}
COUNT = "import time\nfor _ in range(6000):\n    time.sleep(0.1)"


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[places.ServerPlace]:
    """One place, with a profile named `there` for it."""
    made = PLACES[request.param]
    made.open(monkeypatch, tmp_path)
    describe(made, home)
    yield made
    made.close()


def describe(place: places.ServerPlace, home: Path, name: str = "there", server: str = "") -> None:
    """Write a profile of the place."""
    folder = home / "config/profiles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(place.profile(server=server), encoding="utf-8")


class Labs:
    """Someone who works with labs from one folder."""

    def __init__(self, folder: Path, place: places.ServerPlace) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.place = place
        self.session = Session(folder)

    def start(self, name: str = "there") -> places.Who:
        """Start it; which one it is."""
        phases = list(self.session.start_server(name))
        assert phases[-1].state is PhaseState.DONE
        return self.who(name)

    def who(self, name: str = "there") -> places.Who:
        """Which server it is: its pid, or what its place tells servers apart by."""
        who = self.session.status(name).pid or self.place.identity(name)
        assert who
        return who

    def others(self, name: str = "there") -> list[Server]:
        """The servers at the place that nobody started from here."""
        where = target.load(self.session.profile(name).kind).create(self.session.profile(name))
        return [server for server in where.servers() if not server.name]

    def token(self, name: str = "there") -> str:
        """The token that its address carries."""
        return parse_qs(urlsplit(self.session.server_url(name)).query)["token"][0]

    def ask(self, method: str, path: str, body: object = None, name: str = "there") -> Any:
        """What the server's own interface answers."""
        at = urlsplit(self.session.server_url(name))
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=30)
        headers = {"Authorization": f"token {self.token(name)}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status < 300, data
        return json.loads(data) if data else None

    def shell(self, typed: str, name: str = "there") -> subprocess.CompletedProcess[str]:
        """What a shell there says to something that is piped to it."""
        command = self.session.shell_command(name, terminal=False)
        return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def kernel(self, code: str | None = None, name: str = "there") -> str:
        """Start a kernel, and give it something to do; its id."""
        kernel = self.ask("POST", "/api/kernels", {"name": "python3"}, name)["id"]
        if code is not None:
            self._execute(kernel, code, name)
        return kernel

    def state(self, kernel: str, name: str = "there") -> str:
        """A kernel's state, in the server's words; empty where it is gone."""
        return next(
            (one["execution_state"] for one in self.ask("GET", "/api/kernels", name=name) if one["id"] == kernel), ""
        )

    def _execute(self, kernel: str, code: str, name: str) -> None:
        """As a browser does, over the server's own websocket."""
        from jupyter_client.session import Session as Messages
        from websocket import create_connection

        at = urlsplit(self.session.server_url(name))
        where = f"ws://{at.netloc}/api/kernels/{kernel}/channels"
        channel = create_connection(where, header=[f"Authorization: token {self.token(name)}"], timeout=PATIENCE)
        messages = Messages()

        def say(kind: str, **content: object) -> None:
            channel.send(json.dumps({**messages.msg(kind, content), "channel": "shell"}, default=str))

        def listening() -> bool:
            say("kernel_info_request")
            return self.state(kernel, name) == "idle"

        # The server follows a kernel's state by a subscription of its own; it may begin after the kernel's first words.
        wait_for(listening)
        say("execute_request", code=code, silent=False, store_history=False, user_expressions={}, allow_stdin=False)
        wait_for(lambda: self.state(kernel, name) == "busy")
        channel.close()


@pytest.fixture
def labs(place: places.ServerPlace, tmp_path: Path) -> Labs:
    """Someone who works in a folder of their own, and whose profile `there` is the place."""
    return Labs(tmp_path / "work", place)


def arguments() -> Iterator[str]:
    """The command line of every process on the machine, as `ps` shows it to every user."""
    for process in psutil.process_iter():
        try:
            yield " ".join(process.cmdline())
        except psutil.Error:
            continue


gone = places.gone
