"""Someone who works at this machine with a lab at another one, through its link."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import websocket

from jupyterctl.core.session import Session
from jupyterctl.core.status import Status
from jupyterctl.errors import JupyterctlError
from jupyterctl.model import Link, LinkState
from tests.conftest import COMMAND, wait_for

from .machine import Machine

NAME = "far"
SECONDS = 60


class Near:
    """Their session, their profile `far`, and the address of the lab, which is never asked for again."""

    def __init__(self, folder: Path, home: Path, machine: Machine) -> None:
        self.folder, self.home, self.machine = folder, home, machine
        self.session = Session(folder)
        self.url = self.token = ""
        self.describe()

    def describe(self, extra: str = "") -> None:
        """Write the profile."""
        file = self.home / "config/profiles" / f"{NAME}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.machine.profile(extra), encoding="utf-8")

    def start(self) -> None:
        """Start the lab, or find it."""
        list(self.session.start_server(NAME))
        self.learn()

    def learn(self) -> None:
        """Take the address that stands in the browser from now on, its token with it."""
        url = urlsplit(self.session.server_url(NAME))
        self.url, self.token = f"127.0.0.1:{url.port}", parse_qs(url.query)["token"][0]

    def command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """The installed command, run to its end."""
        command = [str(COMMAND), *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )

    # -- the link -----------------------------------------------------------------------------------------------

    def said(self) -> Link:
        """What the keeper said last; nobody asks it."""
        link = self.session.store.kept(NAME)[NAME].link
        assert link is not None
        return link

    def row(self) -> Status:
        """The line that the dashboard shows, which looks at it."""
        (row,) = [each for each in self.session.overview().servers if each.name == NAME]
        return row

    def becomes(self, *states: LinkState) -> Link:
        """Wait, looking as the dashboard does, until the link is in one of these states."""
        wait_for(lambda: self.row().link.state in states)
        return self.said()

    def leaves(self, state: LinkState) -> Link:
        """Wait likewise until it no longer is."""
        wait_for(lambda: self.row().link.state != state)
        return self.said()

    def keepers(self) -> list[psutil.Process]:
        """The processes that hold it."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.environ().get("JUPYTERCTL_HOME") == str(self.home)
                if ours and process.status() != psutil.STATUS_ZOMBIE and process.cmdline()[2:4] == [KEEPER, NAME]:
                    found.append(process)
        return found

    def keeper(self) -> psutil.Process:
        """The one that holds it."""
        (one,) = self.keepers()
        return one

    def kill_keeper(self) -> None:
        """With -9, and see it gone."""
        keeper = self.keeper()
        os.kill(keeper.pid, signal.SIGKILL)
        wait_for(lambda: not self.keepers())

    # -- the lab ------------------------------------------------------------------------------------------------

    def get(self, path: str = "api/kernels", method: str = "GET", body: object = None) -> Any:
        """What the lab answers at the address that it had from the start."""
        connection = http.client.HTTPConnection(self.url, timeout=SECONDS)
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        connection.request(method, f"/{path}", json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status < 300, data
        return json.loads(data)

    def kernel(self) -> Kernel:
        """Start one."""
        return Kernel(self, self.get(method="POST", body={"name": "python3"})["id"])


KEEPER = "jupyterctl.core.keeper"


class Kernel:
    """A kernel of the lab, used as JupyterLab does: a websocket through the link."""

    def __init__(self, near: Near, number: str) -> None:
        self.near, self.number = near, number
        self._value = 0
        self.keep()

    def keep(self) -> None:
        """Have a variable in it that nothing else knows."""
        self._value = uuid.uuid4().int
        self.run(f"kept = {self._value}")

    def connect(self) -> websocket.WebSocket:
        """A websocket to its channels."""
        url = f"ws://{self.near.url}/api/kernels/{self.number}/channels"
        return websocket.create_connection(
            url, timeout=SECONDS, header={"Authorization": f"token {self.near.token}"}, suppress_origin=True
        )

    def run(self, code: str) -> str:
        """What the code prints."""
        channel = self.connect()
        try:
            return execute(channel, code)
        finally:
            channel.close()

    def intact(self) -> bool:
        """Whether it is the same kernel with all that was in it, by the old address."""
        listed = [each["id"] for each in self.near.get()]
        return self.number in listed and self.run("print(kept)") == f"{self._value}\n"


def execute(channel: websocket.WebSocket, code: str) -> str:
    """Run code by an open websocket; what it prints."""
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": number, "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    channel.send(
        json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
    )
    said = ""
    replied = idle = False
    while not (replied and idle):
        message = json.loads(channel.recv())
        if message["parent_header"].get("msg_id") != number:
            continue
        kind, content = message["msg_type"], message["content"]
        said += content["text"] if kind == "stream" else ""
        replied |= kind == "execute_reply"
        idle |= kind == "status" and content["execution_state"] == "idle"
    return said


def two_lines(error: JupyterctlError) -> bool:
    """Whether an error says what is wrong and what to do, a line each."""
    return bool(error.message and error.hint) and "\n" not in error.message + error.hint
