"""What takes the place of msgspec, psutil and libtmux at another machine behaves as they do, for what is asked of them.

Each test holds for the library first, and then for what stands in for it.
"""

from __future__ import annotations

import enum
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest

from jupyterctl.remote import there
from tests.conftest import need, wait_for

STAND_INS = Path(there.__file__).with_name("stand_ins")


def library(name: str, which: str) -> ModuleType:
    """The library of that name, or what stands in for it."""
    if which == "library":
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"stand_in_{name}", STAND_INS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(params=["library", "stand-in"])
def msgspec(request: pytest.FixtureRequest) -> ModuleType:
    return library("msgspec", request.param)


@pytest.fixture(params=["library", "stand-in"])
def psutil(request: pytest.FixtureRequest) -> ModuleType:
    return library("psutil", request.param)


@pytest.fixture(params=["library", "stand-in"])
def libtmux(request: pytest.FixtureRequest) -> ModuleType:
    return library("libtmux", request.param)


class Colour(enum.Enum):
    """Some values."""

    RED = "red"


# -- msgspec ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def shapes(msgspec: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Structs as ours are: frozen, by keyword, nested, with defaults, and one upon another."""

    class Inner(msgspec.Struct, frozen=True, kw_only=True):
        port: int = 0
        args: tuple[str, ...] = ()

    class Base(msgspec.Struct, frozen=True, kw_only=True):
        name: str

    class Outer(Base, frozen=True, kw_only=True):
        note: Annotated[str | None, msgspec.Meta(description="what it is", examples=["x"])] = None
        colour: Colour = Colour.RED
        folder: str = ""
        notes: dict[str, str] = {}  # noqa: RUF012 - a struct's default is copied
        inner: Inner = Inner()

        @property
        def loud(self) -> str:
            return self.name.upper()

    monkeypatch.setitem(globals(), "Inner", Inner)  # annotations are read where the struct is made
    monkeypatch.setitem(globals(), "msgspec", msgspec)
    return Inner, Outer


def test_fields_have_their_defaults(shapes: Any) -> None:
    inner, outer = shapes
    made = outer(name="a")
    assert (made.name, made.note, made.colour, made.notes, made.inner) == ("a", None, Colour.RED, {}, inner())
    assert made.loud == "A"
    assert set(outer.__struct_fields__) == {"name", "note", "colour", "folder", "notes", "inner"}


def test_a_mutable_default_is_nobody_elses(shapes: Any) -> None:
    _, outer = shapes
    outer(name="a").notes["x"] = "y"
    assert outer(name="a").notes == {}


@pytest.mark.parametrize("given", [{}, {"name": "a", "colr": 1}])
def test_what_is_missing_or_unknown_is_refused(shapes: Any, given: dict[str, Any]) -> None:
    _, outer = shapes
    with pytest.raises(TypeError):
        outer(**given)


def test_what_is_frozen_stays(shapes: Any) -> None:
    _, outer = shapes
    made = outer(name="a")
    with pytest.raises(AttributeError):
        made.name = "b"
    assert made.name == "a"


def test_structs_are_equal_by_their_values(shapes: Any) -> None:
    inner, _ = shapes
    assert inner(port=1) == inner(port=1)
    assert inner(port=1) != inner(port=2)
    assert len({inner(port=1), inner(port=1)}) == 1


def test_one_is_replaced_by_another(msgspec: ModuleType, shapes: Any) -> None:
    _, outer = shapes
    first = outer(name="a")
    second = msgspec.structs.replace(first, note="n")
    assert (first.note, second.note, second.name) == (None, "n", "a")
    assert msgspec.structs.asdict(second)["note"] == "n"
    with pytest.raises(TypeError):
        msgspec.structs.replace(first, colr="n")


def test_a_struct_is_made_of_what_json_says(msgspec: ModuleType, shapes: Any) -> None:
    inner, outer = shapes
    made = msgspec.convert({"name": "a", "inner": {"port": 3, "args": ["--x"]}, "else": 1}, outer)
    assert made == outer(name="a", inner=inner(port=3, args=("--x",)))


@pytest.mark.parametrize("given", [[], "text", {}])
def test_what_json_says_must_have_the_shape(msgspec: ModuleType, shapes: Any, given: Any) -> None:
    _, outer = shapes
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, outer)


def test_json_goes_there_and_back(msgspec: ModuleType, shapes: Any) -> None:
    inner, outer = shapes
    made = outer(name="naïve 日本", inner=inner(port=3, args=("a", "b")), notes={"k": "v"})
    data = msgspec.json.encode(made)
    assert b"\n" not in data
    assert "naïve 日本".encode() in data
    known = msgspec.json.decode(data)
    assert known["colour"] == "red"
    assert known["inner"] == {"port": 3, "args": ["a", "b"]}
    assert msgspec.convert(known["inner"], inner) == made.inner
    assert msgspec.json.decode(msgspec.json.encode(made.inner), type=inner) == made.inner


def test_what_is_plain_stays_plain(msgspec: ModuleType) -> None:
    value = {"a": [1, 2.5, None, True], "b": (1, "x"), "c": Colour.RED, "d": Path("/p")}
    assert msgspec.json.decode(msgspec.json.encode({**value, "d": "/p"})) == {
        "a": [1, 2.5, None, True], "b": [1, "x"], "c": "red", "d": "/p",
    }  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": }', b"\xff"])
def test_what_is_no_json_is_refused(msgspec: ModuleType, data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(data)
    assert issubclass(msgspec.ValidationError, msgspec.DecodeError)
    assert issubclass(msgspec.DecodeError, msgspec.MsgspecError)


# -- psutil ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a mark in its environment and odd arguments."""
    code = "import time; print(flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code, "a b", "ünï", ""]
    process = subprocess.Popen(command, env={**os.environ, "MARK": "x=y z"}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_process_is_described(psutil: ModuleType, sleeper: subprocess.Popen[bytes]) -> None:
    import psutil as real

    found, known = psutil.Process(sleeper.pid), real.Process(sleeper.pid)
    assert found.pid == sleeper.pid
    assert found.cmdline() == known.cmdline()
    assert found.cmdline()[-3:] == ["a b", "ünï", ""]
    assert found.environ()["MARK"] == "x=y z"
    assert found.name() == known.name()
    assert found.create_time() == pytest.approx(known.create_time(), abs=1.0)
    assert found.status() != psutil.STATUS_ZOMBIE


def test_a_process_that_is_gone_is_told(psutil: ModuleType, sleeper: subprocess.Popen[bytes]) -> None:
    found = psutil.Process(sleeper.pid)
    found.send_signal(signal.SIGKILL)
    wait_for(lambda: found.status() == psutil.STATUS_ZOMBIE)
    sleeper.wait()
    for ask in (found.status, found.cmdline, found.environ, lambda: psutil.Process(sleeper.pid)):
        with pytest.raises(psutil.NoSuchProcess):
            ask()
    with pytest.raises(psutil.NoSuchProcess):
        found.send_signal(signal.SIGTERM)
    assert issubclass(psutil.NoSuchProcess, psutil.Error)
    assert issubclass(psutil.AccessDenied, psutil.Error)


def test_every_process_is_found(psutil: ModuleType, sleeper: subprocess.Popen[bytes]) -> None:
    assert {os.getpid(), sleeper.pid} <= {process.pid for process in psutil.process_iter()}


def test_another_users_process_is_not_looked_into(psutil: ModuleType) -> None:
    """Asked as another user, in a process of its own that comes from this one."""
    need("root", os.geteuid() == 0, "another user's process is looked into")
    asking = os.fork()
    if asking == 0:
        os.setuid(65534)
        try:
            psutil.Process(os.getppid()).environ()
        except psutil.AccessDenied:
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(asking, 0)
    assert status == 0


def test_who_listens_on_a_port_is_found(psutil: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        owners = [
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        ]
    assert owners == [os.getpid()]


# -- libtmux ---------------------------------------------------------------------------------------------------------


def test_tmux_is_asked(libtmux: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("tmux", shutil.which("tmux"), "apt install tmux")
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    monkeypatch.delenv("TMUX", raising=False)
    server = libtmux.Server()
    try:
        made = server.cmd("new-session", "-s", "one", "-d", "-P", "-F", "#{session_name}", "exec sleep 600")
        assert (made.returncode, made.stdout, made.stderr) == (0, ["one"], [])
        again = server.cmd("new-session", "-s", "one", "-d", "exec sleep 600")
        assert again.returncode != 0
        assert "duplicate session: one" in again.stderr
        window = server.cmd("new-window", "-d", "-P", "-F", "#{window_index}", "exec sleep 600", target="=one:")
        assert window.returncode == 0
        assert len(server.cmd("list-windows", target="=one").stdout) == 2
    finally:
        subprocess.run(["tmux", "kill-server"], capture_output=True, check=False)
