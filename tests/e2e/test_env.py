"""`jupyterctl env` as a person uses it: the installed command, real environments, interrupts and kills."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from jupyterctl import paths
from jupyterctl.environments.find import half_made
from tests.conda_channel import build_channel, make_environment, wheels
from tests.environment_fixtures import home
from tests.terminal import conversation

__all__ = ["home"]
COMMAND = str(Path(sys.executable).parent / "jupyterctl")


def run(*arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [COMMAND, "env", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stderr
    return done


class Channel(http.server.SimpleHTTPRequestHandler):
    """The channel over HTTP; its packages never come to an end."""

    asked: threading.Event
    release: threading.Event

    def do_GET(self) -> None:
        if self.path.endswith(".conda"):
            self.asked.set()
            self.release.wait(60)
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def stuck_channel() -> Iterator[tuple[str, threading.Event]]:
    """A channel's URL, and an event for when a package is being downloaded."""
    handler = type("Stuck", (Channel,), {"asked": threading.Event(), "release": threading.Event()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(build_channel())))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler.asked
    finally:
        handler.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_from_nothing_to_an_environment_and_back(home: Path) -> None:
    made = run("create", "lab", "ipykernel", "papermill", "--channel", str(build_channel()), "--json")
    record = json.loads(made.stdout)
    assert record["prefix"] == str(paths.environments() / "lab")
    assert "looking for packages in" in made.stderr
    assert 'environment = "conda:lab"' in made.stderr
    subprocess.run([record["python"], "-c", "import papermill"], check=True, timeout=60)

    listed = json.loads(run("list", "--json").stdout)["environments"]
    assert record in listed
    assert set(record) == {"name", "kind", "prefix", "python", "version", "packages"}
    assert json.loads(run("show", "conda:lab", "--json").stdout) == record
    assert "papermill" in run("show", "lab").stdout

    assert "add --yes" in run("remove", "lab", code=2).stderr
    code, seen = conversation(["env", "remove", "lab"], {"Remove": ["n"]}, home)
    assert code == 1
    assert seen.rstrip().endswith("nothing was removed")
    assert Path(record["prefix"]).exists()
    run("remove", "lab", "--yes")
    assert not Path(record["prefix"]).exists()
    assert "there is no environment `lab`" in run("show", "lab", code=2).stderr


def test_a_virtual_one_by_prefix(home: Path) -> None:
    local = {f"{tool}_{name}": value for tool in ("PIP", "UV") for name, value in _offline().items()}

    record = json.loads(run("create", "--venv", "--prefix", str(home / "lab"), "tenacity", "--json", **local).stdout)

    assert record["prefix"] == str(home / "lab")
    subprocess.run([record["python"], "-c", "import tenacity, ipykernel"], check=True, timeout=60)


def free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def _offline() -> dict[str, str]:
    return {"NO_INDEX": "1", "FIND_LINKS": str(wheels())}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["lab", "no-such-package", "-c", "CHANNEL"], 2, "there is no package `no-such-package` in file://"),
        (["lab", "-c", "http://127.0.0.1:9"], 3, "http://127.0.0.1:9 cannot be reached"),
        (["lab", "-c", "./nowhere"], 2, "there is no conda channel `file://"),
        (["lab", "--file", "none.yml"], 2, "cannot read"),
        (["lab", "--venv", "-c", "x"], 2, "a virtual environment has no channels"),
        ([], 2, "the environment needs a name"),
    ],
)
def test_what_cannot_be_made_is_told_in_two_lines(home: Path, arguments: list[str], code: int, message: str) -> None:
    filled = [str(build_channel()) if one == "CHANNEL" else one for one in arguments]

    lines = run("create", *filled, code=code).stderr.splitlines()

    assert message in lines[-2]
    assert lines[-2].startswith("error: ")
    assert lines[-1].startswith("hint: ")
    assert not list(paths.environments().glob("*"))


def test_an_interrupt_leaves_nothing(home: Path) -> None:
    with stuck_channel() as (url, asked):
        process = subprocess.Popen([COMMAND, "env", "create", "lab", "-c", url, "papermill"], stderr=subprocess.PIPE)
        assert asked.wait(60)
        assert not json.loads(run("list", "--json").stdout)["environments"][0]["prefix"].endswith("/lab")

        process.send_signal(signal.SIGINT)

        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.decode().endswith("error: interrupted\n")
    assert not list(paths.environments().iterdir())


def test_after_a_kill_the_name_is_free_again(home: Path) -> None:
    with stuck_channel() as (url, asked):
        process = subprocess.Popen([COMMAND, "env", "create", "lab", "-c", url, "papermill"], stderr=subprocess.DEVNULL)
        assert asked.wait(60)
        process.kill()
        process.wait(30)
        # the program that installs ends by itself, though what it waits for never comes
        with half_made(paths.environments() / "lab").open() as lock:
            wait_for(lambda: free(lock))

    assert make_environment(paths.environments() / "lab").exists()


def test_a_second_attempt_meanwhile_is_refused(home: Path) -> None:
    with stuck_channel() as (url, asked):
        process = subprocess.Popen([COMMAND, "env", "create", "lab", "-c", url, "papermill"], stderr=subprocess.DEVNULL)
        assert asked.wait(60)

        assert "is being made right now" in run("create", "lab", "-c", url, code=2).stderr

        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_the_list_imports_no_solver_and_no_notebook_library(home: Path) -> None:
    code = (
        "import sys; sys.argv = ['jupyterctl', 'env', 'list', '--json']\n"
        "from jupyterctl.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'rattler', 'rich', 'yaml', 'nbformat', 'papermill', 'asyncio'}\n"
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert json.loads(done.stdout)["environments"]
    assert done.stderr.split() == []
