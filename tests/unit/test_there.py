"""The program at another machine, with a process of this one in the place of the way to it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from jupyterctl.errors import NotFoundError, TargetError, UnreachableError
from jupyterctl.remote import there
from jupyterctl.transport.carrier import Carrier
from jupyterctl.transport.ssh.way import ClosedError, Way
from jupyterctl.transport.there import IncompleteError, NoPythonError, There
from tests.conftest import need, wait_for

SETTINGS = {"environment": f"venv:{sys.prefix}"}


class Process:
    """A command's standard input and output, as a way gives them."""

    def __init__(self, command: str, environment: dict[str, str]) -> None:
        self.sent = 0
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the stream
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            start_new_session=True,
        )

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except OSError as error:
            raise ClosedError("the process has ended") from error
        self.sent += len(data)

    def read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), size)

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def errors(self) -> str:
        self.process.wait(60)
        self.stderr.seek(0)
        return self.stderr.read().decode()

    def wait(self, seconds: float | None = None) -> int | None:
        return self.process.wait(seconds)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Machine:
    """A home folder whose processes come without anything of our own surroundings; `login` is printed first."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.home = home
        self.login = "true"
        self.environment = {"HOME": str(home), "PATH": os.defpath, "TMPDIR": str(home / "tmp"), "SHELL": "/bin/sh"}
        self.streams: list[Process] = []

    def execute(self, command: str) -> Process:
        self.streams.append(Process(f"{self.login}; {command}", self.environment))
        return self.streams[-1]

    def there(self, *pythons: str) -> There:
        """The program, started by these Pythons or the one that the tests run in."""
        return There(cast(Way, self), pythons or (sys.executable,))

    def ask(self, method: str, **arguments: Any) -> Any:
        """What a newly started program answers."""
        return result(self.there(), method, **arguments)

    def kept(self) -> list[Path]:
        """Every copy of the program."""
        return sorted(path for path in self.home.rglob("there-*") if path.is_dir())


def result(program: There, method: str, **arguments: Any) -> Any:
    """The result of a method."""
    *_, (word, value) = program.call(method, "lab", SETTINGS, arguments)
    assert word == "result"
    return value


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "far")
    yield made
    for stream in made.streams:
        stream.close()


def fake(folder: Path, name: str, text: str) -> Path:
    """A program of that name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return folder / name


def test_it_says_what_the_machine_is(machine: Machine) -> None:
    facts = machine.ask("facts")
    assert facts["home"] == str(machine.home)
    assert facts["host"] == os.uname().nodename
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))


def test_what_a_login_prints_is_passed_over(machine: Machine) -> None:
    noise = r"printf 'Welcome\nto the machine\njupyterctl-0 have\n'; seq 1 5000; echo bad >&2"
    machine.login = f"{noise}; printf 'no newline at the end'"
    assert machine.ask("facts")["home"] == str(machine.home)


def test_it_is_sent_once(machine: Machine) -> None:
    machine.ask("facts")
    machine.ask("facts")
    first, second = (stream.sent for stream in machine.streams)
    assert first - second > len(there.archive())
    (kept,) = machine.kept()
    assert kept == machine.home / ".cache/jupyterctl" / there.name()
    assert kept.parent.stat().st_mode & 0o077 == 0
    assert not [path for path in kept.parent.iterdir() if path != kept]


def test_starts_at_once_leave_one_copy(machine: Machine) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: machine.ask("facts"), range(4)))) == 4
    assert len(machine.kept()) == 1


def test_a_machine_without_python_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there, "_PYTHONS", ("python3", "/nowhere/python3"))
    monkeypatch.setattr(there, "_LOGIN", "/nowhere/python3")
    machine.environment["PATH"] = str(machine.home)
    machine.login = f"PATH={machine.home}:/bin"  # where `sh` is
    fake(machine.home, "python3", "exit 127")
    with pytest.raises(NoPythonError, match=r"no Python 3\.9 or newer") as caught:
        machine.there("/nowhere/python")
    assert "environment" in caught.value.hint


def test_a_python_that_is_too_old_is_passed_over(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake(machine.home / "bin", "python3", "exit 97")
    monkeypatch.setattr(there, "_PYTHONS", (str(old),))
    monkeypatch.setattr(there, "_LOGIN", str(old))
    with pytest.raises(NoPythonError):
        machine.there(str(old))
    monkeypatch.setattr(there, "_PYTHONS", (str(old), sys.executable))
    program = machine.there(str(old))
    assert Path(result(program, "facts")["executable"]).resolve() == Path(sys.executable).resolve()


def test_what_a_python_says_as_it_fails_is_shown(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = fake(machine.home / "bin", "python3", "echo 'cannot open shared object' >&2; exit 1")
    monkeypatch.setattr(there, "_PYTHONS", ())
    with pytest.raises(TargetError, match="runs no commands") as caught:
        machine.there(str(broken))
    assert "cannot open shared object" in caught.value.hint


def test_a_login_that_runs_nothing_is_told(machine: Machine) -> None:
    machine.login = "echo 'This account is closed.'; exit 1"
    with pytest.raises(TargetError, match="runs no commands") as caught:
        machine.there()
    assert "This account is closed." in caught.value.hint


def test_where_the_cache_cannot_be_written_another_folder_will_do(machine: Machine) -> None:
    machine.environment["XDG_CACHE_HOME"] = "/dev/null"
    (machine.home / "tmp").mkdir()
    assert machine.ask("facts")
    assert machine.ask("facts")
    (kept,) = machine.kept()
    assert kept.parent == machine.home / f"tmp/jupyterctl-{os.getuid()}"
    assert machine.streams[0].sent > machine.streams[1].sent


def test_a_folder_that_others_may_write_is_not_used(machine: Machine) -> None:
    cache = machine.home / ".cache/jupyterctl"
    planted = cache / there.name()
    planted.mkdir(parents=True)
    (planted / "serve.py").write_text("raise SystemExit('not ours')")
    cache.chmod(0o777)
    (machine.home / "tmp").mkdir()
    assert machine.ask("facts")
    assert [kept.parent.parent.name for kept in machine.kept() if kept != planted] == ["tmp"]


def test_many_ask_at_once(machine: Machine) -> None:
    program = machine.there()
    for number in range(40):
        (machine.home / f"{number}").write_bytes(b"x" * number)

    def digest(number: int) -> bool:
        found = result(program, "digest", handle={"directory": str(machine.home)}, name=str(number))
        return bool(found["sha256"] == hashlib.sha256(b"x" * number).hexdigest() and found["size"] == number)

    with ThreadPoolExecutor(40) as pool:
        assert all(pool.map(digest, range(40)))


def test_one_that_waits_holds_nobody_up(machine: Machine) -> None:
    program = machine.there()
    waited = {"directory": str(machine.home), "host": os.uname().nodename}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(result, program, "journal", handle=waited, offset=0, wait=600.0)
        assert result(program, "facts")
        assert not waiting.done()
        (machine.home / "events.jsonl").write_bytes(b"{}\n")
        assert waiting.result(60) == ["e30K", True]


def test_what_comes_step_by_step_comes_as_items(machine: Machine) -> None:
    said = list(machine.there().call("check", "lab", SETTINGS, {}))
    assert [word for word, _ in said] == ["item"] * (len(said) - 1) + ["result"]
    assert {"environment", "lab", "disk"} <= {value["name"] for word, value in said if word == "item"}


def test_errors_come_as_what_they_are(machine: Machine) -> None:
    program = machine.there()
    elsewhere = {"directory": str(machine.home), "host": "elsewhere"}
    with pytest.raises(UnreachableError, match="`elsewhere`"):
        result(program, "journal", handle=elsewhere, offset=0, wait=0.0)
    with pytest.raises(NotFoundError) as caught:
        list(program.call("plan", "lab", {"environment": "conda:nobody-has-it"}, {"needs": NEEDS}))
    assert caught.value.hint
    with pytest.raises(TargetError, match="is a directory"):
        result(program, "digest", handle={"directory": "/"}, name="tmp")
    with pytest.raises(TargetError, match="KeyError"):
        result(program, "no_such_method")
    assert result(program, "facts")


NEEDS = {"language": "python", "kernel": "auto", "imports": [], "isolated": False}


def test_an_end_in_the_middle_is_told_to_all(machine: Machine) -> None:
    program = machine.there()
    waiting = {"handle": {"directory": str(machine.home)}, "offset": 0, "wait": 600.0}
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(result, program, "journal", **waiting) for _ in range(3)]
        wait_for(lambda: machine.streams[0].sent > 0 and len(program._waiting) == 4)
        machine.streams[0].close()
        for one in asked:
            with pytest.raises(ClosedError):
                one.result(60)
    wait_for(lambda: program.over)
    with pytest.raises(ClosedError):
        result(program, "facts")


def test_it_ends_with_its_input(machine: Machine) -> None:
    machine.ask("facts")
    machine.streams[0].end_input()
    assert machine.streams[0].wait(60) == 0


@pytest.mark.parametrize("minor", range(there.OLDEST[1], 15))
def test_any_python_will_do(machine: Machine, minor: int) -> None:
    """What goes along asks for no more than the oldest has, and nothing beside it."""
    python = shutil.which(f"python3.{minor}") or "none"
    found = [python, "-I", "-c", "import sys; print(sys.version_info[1])"]
    said = subprocess.run(found, capture_output=True, text=True, check=False).stdout if python != "none" else ""
    need(f"python3.{minor}", said == f"{minor}\n", "the program there is tried with it")
    program = machine.there(python)
    assert result(program, "facts")["python"].startswith(f"3.{minor}.")
    plan = result(program, "plan", needs={**NEEDS, "imports": ["json", "no_such_module", "_socket", "sys"]})
    assert plan["missing"] == ["no_such_module"]
    assert result(program, "servers") == []
    known = {"directory": str(machine.home / "r-1"), "host": os.uname().nodename}
    assert result(program, "journal", handle=known, offset=0, wait=0.0) == ["", True]
    assert result(program, "cancel", handle=known, grace=0.0) is None
    assert {"environment", "disk"} <= {
        value["name"] for word, value in list(program.call("check", "lab", SETTINGS, {}))[:-1]
    }


def test_what_prints_there_does_not_disturb(machine: Machine) -> None:
    """A login shell that prints and a program that is asked write elsewhere than the answers."""
    (machine.home / ".profile").write_text("echo noise from the profile\n")
    machine.environment["SHELL"] = shutil.which("bash") or "/bin/sh"
    program = machine.there()
    assert list(program.call("check", "lab", SETTINGS, {}))
    assert result(program, "facts")


def connected(machine: Machine) -> Carrier:
    """One whose program there has answered."""
    carrier = Carrier(cast(Way, machine), (sys.executable,))
    assert asked(carrier, "facts")
    return carrier


def asked(carrier: Carrier, method: str, **arguments: Any) -> Any:
    """What the program answers that a carrier keeps."""
    *_, (word, value) = carrier.call(method, "lab", SETTINGS, arguments)
    assert word == "result"
    return value


def test_a_program_whose_files_are_removed_is_sent_again(machine: Machine) -> None:
    carrier = connected(machine)
    waiting = {"handle": {"directory": str(machine.home), "host": os.uname().nodename}, "offset": 0, "wait": 600.0}
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(asked, carrier, "journal", **waiting)
        wait_for(lambda: len(carrier.there()._waiting) == 2)
        (kept,) = machine.kept()
        shutil.rmtree(kept)
        assert asked(carrier, "shell", server=None)
        assert kept.is_dir()
        assert len(machine.streams) == 2
        assert not before.done()
        (machine.home / "events.jsonl").write_bytes(b"{}\n")
        assert before.result(60) == ["e30K", True]
    assert machine.streams[0].wait(60) is not None, "it ends once it has answered"
    assert asked(carrier, "facts")
    assert len(machine.streams) == 2


def test_a_program_that_lacks_a_module_is_made_whole(machine: Machine) -> None:
    carrier = connected(machine)
    (kept,) = machine.kept()
    for lost in ("jupyterctl/transport/lab_shell.py", "jupyterctl/remote/lab.py"):
        (kept / lost).unlink()
    assert asked(carrier, "shell", server=None)
    assert (kept / "jupyterctl/remote/lab.py").is_file()
    assert machine.kept() == [kept]
    assert list(kept.parent.iterdir()) == [kept]
    assert asked(carrier, "facts")
    assert len(machine.streams) == 2


def test_a_module_that_is_nowhere_is_asked_for_twice_and_no_more(machine: Machine) -> None:
    carrier = connected(machine)
    (kept,) = machine.kept()
    (kept / "jupyterctl/transport/lab_shell.py").write_text("import no_such_module")
    with pytest.raises(IncompleteError, match="no_such_module") as caught:
        asked(carrier, "shell", server=None)
    assert ".cache/jupyterctl" in caught.value.hint
    assert len(machine.streams) == 2
