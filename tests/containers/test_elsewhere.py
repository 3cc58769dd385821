"""A lab on an engine of another machine: at one local address, over the engine's own API, whatever carries that."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from jupyterctl.errors import NotFoundError, TargetError, UnreachableError
from tests import engine
from tests.conftest import PATIENCE, Cli, need, wait_for
from tests.contract.places import ELSEWHERE, ContainerServers
from tests.contract.server_ground import Labs
from tests.contract.test_links import keepers, row
from tests.far.test_copying import FILES, KEPT, lay_out
from tests.outcomes.ground import two_lines
from tests.sshd import Sshd, make_key

from .conftest import Desk

BIG = "import os, hashlib; data = os.urandom(40 << 20); open('/work/big', 'wb').write(data);"
BIG += "print(hashlib.sha256(data).hexdigest())"
DIGESTS = """
import hashlib, json, os
found = [os.path.join(root, name) for root, _, names in os.walk("/work") for name in names]
print(json.dumps({file[6:]: hashlib.sha256(open(file, "rb").read()).hexdigest() for file in found}))
"""


class Away:
    """Someone whose profile `there` leads to an engine elsewhere."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.volume = f"jupyterctl-test-{uuid4().hex}"
        """What its lab works in: tests beside this one have their own."""
        self.labs = Labs(desk.folder, ContainerServers())
        self.session = self.labs.session

    def describe(self, url: str, **settings: object) -> None:
        """Write the profile."""
        self.desk.describe(engine=url, workdir=self.volume, **settings)

    def start(self) -> str:
        """Start the lab; its address."""
        self.labs.start()
        return self.session.server_url("there")

    def fetch(self, path: str) -> bytes:
        """A file, as a browser downloads it."""
        at = urlsplit(self.session.server_url("there"))
        headers = {"Authorization": f"token {self.labs.token()}"}
        with urlopen(Request(f"http://{at.netloc}{path}", headers=headers), timeout=PATIENCE) as answer:
            return answer.read()

    def answers(self) -> bool:
        """Whether the lab does, through the link."""
        with suppress(OSError, AssertionError, UnreachableError):
            return bool(self.labs.ask("GET", "/api/status"))
        return False

    def inside(self, code: str) -> str:
        """What Python says in the container."""
        done = self.desk.ground.named("there").exec_run(["python3", "-c", code])
        assert done.exit_code == 0, done.output
        return done.output.decode()

    def files(self) -> dict[str, str]:
        """The digests of all files in its folder."""
        told: dict[str, str] = json.loads(self.inside(DIGESTS))
        return told

    def halves(self) -> bool:
        """Whether one is there that has not come whole."""
        return ".part" in self.inside("import os; print(os.listdir('/work'))")

    def carriers(self) -> int:
        """How many commands of ours carry connections in the container."""
        commands = [process.cmdline() for process in self.desk.ground.processes("there")]
        return sum("os.read(0" in word for command in commands for word in command)

    def rows_until(self, state: str) -> list[str]:
        """The states that the overview shows until that one."""
        seen: list[str] = []
        wait_for(lambda: seen.append(row(self.session).state) or seen[-1] == state)
        return seen


@pytest.fixture
def away(desk: Desk) -> Iterator[Away]:
    """What their lab works in is gone afterwards."""
    made = Away(desk)
    yield made
    for container in desk.ground.containers():
        container.remove(force=True, v=True)
    with suppress(Exception):  # nothing has made it
        desk.ground.client.volumes.get(made.volume).remove()


@pytest.fixture
def relay(desk: Desk) -> Iterator[engine.Relay]:
    """The engine at an address of a network."""
    made = engine.Relay((ELSEWHERE, 0), engine.SOCKET)
    yield made
    made.close()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A machine that only ssh leads to, known to the ssh program as `box`."""
    made = Sshd(tmp_path / "sshd").start()
    need("docker", Path("/usr/bin/ssh").exists(), "the ssh program")
    config = made.write_config(tmp_path)
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    yield made
    made.stop()


def secured(folder: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """The engine behind TLS that wants a certificate, proved as docker's own variables say."""
    folder.mkdir()
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out asked.csr -subj /CN=engine",
        "x509 -req -in asked.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile names",
    ):
        (folder / "names").write_text(f"subjectAltName = IP:{ELSEWHERE}\n")
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    made = engine.Relay((ELSEWHERE, 0), engine.SOCKET, context)
    stack.callback(made.close)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    return f"tcp://{ELSEWHERE}:{made.port}"


Ways = dict[str, Callable[[], str]]


@pytest.fixture
def ways(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    """How an engine elsewhere may be reached."""
    with ExitStack() as stack:
        yield {
            "ssh": lambda: f"ssh://{request.getfixturevalue('box').name}",
            "tcp": lambda: f"tcp://{ELSEWHERE}:{request.getfixturevalue('relay').port}",
            "tls": lambda: secured(tmp_path / "tls", stack, monkeypatch),
        }


@pytest.mark.parametrize("way", ["ssh", "tcp", "tls"])
def test_one_local_address_that_works(away: Away, ways: Ways, way: str) -> None:
    """Requests, websockets, downloads and a shell; nothing is published, and nothing of ours is left there."""
    away.describe(ways[way]())
    url = away.start()
    assert urlsplit(url).hostname == "127.0.0.1"
    made = away.desk.ground.named("there")
    assert not any(made.attrs["NetworkSettings"]["Ports"].values())
    assert "--ServerApp.ip=127.0.0.1" in made.attrs["Args"]
    assert away.labs.state(away.labs.kernel("while True: pass")) == "busy"
    digest = away.inside(BIG).strip()
    assert hashlib.sha256(away.fetch("/files/big")).hexdigest() == digest
    shell = away.labs.shell("echo in $PWD\n")
    assert shell.stdout == "in /work\n", shell.stderr
    away.session.stop_server("there", force=True)
    assert (away.session.status("there").state, away.session.status("there").link.port) == ("stopped", None)
    assert away.start() == url


def test_a_lab_in_its_machines_network_chooses_a_port(away: Away, relay: engine.Relay) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}", network="host")
    away.start()
    assert away.answers()
    assert "--ServerApp.port=0" in away.desk.ground.named("there").attrs["Args"]


def test_one_without_any_network_is_reached_too(away: Away, relay: engine.Relay) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}", network="none")
    away.start()
    assert away.answers()


def test_files_go_there_and_back(away: Away, relay: engine.Relay, tmp_path: Path) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}")
    away.start()
    file, back = tmp_path / "data.bin", tmp_path / "back.bin"
    file.write_bytes(os.urandom(3_000_001))
    away.session.copy(str(file), "there:.", lambda *_: None)
    assert int(away.inside("import os; print(os.stat('/work/data.bin').st_size)")) == 3_000_001
    away.session.copy("there:data.bin", str(back), lambda *_: None)
    assert back.read_bytes() == file.read_bytes()
    with pytest.raises(NotFoundError, match="there is no `/nowhere/x`"):
        away.session.copy("there:/nowhere/x", str(back), lambda *_: None)
    with pytest.raises(TargetError, match=r"did not arrive: .*/proc/x"):
        away.session.copy(str(file), "there:/proc/x", lambda *_: None)


@pytest.mark.parametrize("way", ["ssh", "tcp"])
def test_a_folder_is_mirrored_to_and_fro(away: Away, ways: Ways, way: str, cli: Cli, tmp_path: Path) -> None:
    """By commands in the container, whatever leads to its engine and without anything in the image for it."""
    away.describe(ways[way]())
    away.start()
    here = lay_out(tmp_path / "project")
    os.utime(here / "a.py", (1_600_000_000, 1_600_000_000))
    trial = cli("sync", "there", "--dry-run", cwd=here)
    assert "a.py" in trial.stdout, trial.stderr
    assert away.files() == {}
    done = cli("sync", "there", cwd=here)
    assert f"{len(KEPT)} copied, 0 removed, by exec" in done.stderr
    assert away.files() == {name: hashlib.sha256(FILES[name]).hexdigest() for name in KEPT}
    assert away.inside("import os; print(os.stat('/work/a.py').st_mtime)") == "1600000000.0\n"
    assert "0 copied, 0 removed" in cli("sync", "there", cwd=here).stderr

    away.inside("open('/work/result.csv', 'w').write('1,2'); open('/work/data/noise.log', 'w').write('stays')")
    (here / "mine.txt").write_text("is not there\n")
    back = cli("sync", "there", "--back", cwd=here)
    assert "1 copied, 0 removed, by exec" in back.stderr
    assert (here / "result.csv").read_text() == "1,2"
    assert (here / "mine.txt").exists()
    assert not (here / "data/noise.log").exists()

    (here / "a.py").unlink()
    asked = cli("sync", "there", "--delete", cwd=here)
    assert (asked.returncode, "remove `a.py` at `there`?" in asked.stderr) == (2, True)
    assert "a.py" in away.files()
    gone = cli("sync", "there", "--delete", "--yes", cwd=here)
    assert "1 copied, 1 removed, by exec" in gone.stderr
    assert away.files().keys() == KEPT - {"a.py"} | {"result.csv", "mine.txt", "data/noise.log"}


def test_a_mirroring_that_is_cut_off_leaves_whole_files(away: Away, relay: engine.Relay, cli: Cli, home: Path) -> None:
    """The way is lost in the middle of one: it is told in two lines, and asked again it goes on with the rest."""
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}")
    away.start()
    here = away.desk.folder / "project"
    here.mkdir()
    (here / "first.txt").write_bytes(b"whole")
    (here / "second.bin").write_bytes(os.urandom(256 << 20))
    running = subprocess.Popen(
        [sys.executable, "-m", "jupyterctl", "sync", "there"], cwd=here, stderr=subprocess.PIPE, text=True
    )
    wait_for(away.halves)
    with relay.cut():
        said = running.communicate(timeout=PATIENCE)[1]
        assert running.returncode == 3, said
    assert "`" in said
    wait_for(lambda: not away.halves())
    assert "first.txt" in away.files()
    wait_for(away.answers)
    again = cli("sync", "there", cwd=here)
    assert "copied, 0 removed, by exec" in again.stderr
    assert away.files() == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in here.iterdir()}


def test_a_container_that_is_restarted_is_waited_for(away: Away, relay: engine.Relay) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}")
    url = away.start()
    away.desk.ground.named("there").restart(timeout=0)
    assert away.labs.ask("GET", "/api/status")["kernels"] == 0
    away.desk.ground.named("there").kill()
    wait_for(lambda: row(away.session).state == "stopped")
    assert away.start() == url
    assert away.answers()


def test_a_lab_that_crashes_comes_back_at_its_address(away: Away, relay: engine.Relay) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}")
    pid = away.labs.start()
    ContainerServers().kill(pid)
    wait_for(lambda: away.desk.ground.pid("there") not in {0, pid})
    assert away.labs.ask("GET", "/api/status")["kernels"] == 0
    assert away.rows_until("running")


def test_one_that_was_stopped_by_others_is_said_to_be_at_once(away: Away, relay: engine.Relay) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}")
    away.start()
    at = row(away.session).link.url
    away.desk.ground.named("there").stop(timeout=0)
    page = subprocess.run(["curl", "-s", "-m", "30", f"{at}api"], capture_output=True, text=True, check=False).stdout
    assert "The lab is stopped." in page
    assert "unreachable" not in away.rows_until("stopped")


def test_a_way_that_is_cut_is_unreachable_and_comes_back(away: Away, relay: engine.Relay) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}")
    pid, url = away.labs.start(), away.session.server_url("there")
    at = row(away.session).link.url
    with relay.cut():
        assert "stopped" not in away.rows_until("unreachable")
        assert away.session.status("there").state == "unreachable"
        asked = ["curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}", f"{at}api"]
        waiting = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
    assert waiting.communicate(timeout=40)[0] == "200"
    away.rows_until("running")
    assert (away.labs.start(), away.session.server_url("there")) == (pid, url)


def test_a_machine_that_goes_away_and_comes_back(away: Away, box: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that DOCKER_HOST names, for the keeper too."""
    lines = away.desk.ground.profile(workdir=away.volume).splitlines()
    away.desk.describe("\n".join(line for line in lines if not line.startswith("engine")))
    monkeypatch.setenv("DOCKER_HOST", f"ssh://{box.name}")
    pid, url = away.labs.start(), away.session.server_url("there")
    box.stop()
    assert "stopped" not in away.rows_until("unreachable")
    box.start()
    away.rows_until("running")
    phases = {phase.name for phase in away.session.reconnect("there")}
    assert {"server", "tunnel", "http"} <= phases
    assert (away.labs.start(), away.session.server_url("there")) == (pid, url)


def test_one_login_carries_all_connections(away: Away, box: Sshd) -> None:
    away.describe(f"ssh://{box.name}")
    away.start()
    asked = f"{row(away.session).link.url}api"
    with urlopen(asked, timeout=PATIENCE) as answer:
        assert answer.status == 200
    before = box.log.count("Accepted publickey")
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda _: urlopen(asked, timeout=PATIENCE).read(), range(40))
        assert all(b"version" in answer for answer in answers)
    assert box.log.count("Accepted publickey") == before
    assert away.carriers() == 1


def test_a_way_that_falls_silent_is_opened_anew(away: Away, box: Sshd) -> None:
    """Its connections are there, and nothing comes over them any more."""
    away.describe(f"ssh://{box.name}")
    away.start()
    port = row(away.session).link.port
    frozen = box.sessions()
    box.kill_sessions(signal.SIGSTOP)
    assert "stopped" not in away.rows_until("unreachable")
    away.rows_until("running")
    assert row(away.session).link.port == port
    assert [process.status() for process in frozen if process.is_running()].count("stopped") > 0
    wait_for(away.answers)


def test_nothing_is_left_in_the_container_of_a_keeper_that_is_gone(away: Away, relay: engine.Relay, home: Path) -> None:
    away.describe(f"tcp://{ELSEWHERE}:{relay.port}")
    away.start()
    assert away.answers()
    assert away.carriers() == 1
    (keeper,) = keepers(home)
    keeper.kill()
    wait_for(lambda: away.carriers() == 0)
    away.rows_until("running")


def test_a_login_that_is_refused_is_told_in_two_lines(away: Away, box: Sshd, cli: Cli) -> None:
    """And is not tried again by itself."""
    box.user_key.unlink()
    make_key(box.user_key)
    away.describe(f"ssh://{box.name}")
    lines = two_lines(cli("start", "there", "--no-open", "--json"), 3)
    assert "cannot be logged in to" in lines
    assert "Permission denied" in lines
    assert "ssh-add" in lines


def test_a_machine_without_an_engine_is_told_in_two_lines(away: Away, box: Sshd, cli: Cli) -> None:
    away.describe(f"ssh://{box.name}/nowhere/engine.sock")
    lines = two_lines(cli("start", "there", "--no-open", "--json"), 3)
    assert f"ssh://{box.name}/nowhere/engine.sock" in lines
