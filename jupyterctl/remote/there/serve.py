"""Answers requests at the machine: a line of JSON each, many at once, until the connection ends.

A request is `{"id", "method", "settings", "arguments"}`. Answers carry its `id`: any number of `{"item"}`, then
`{"result"}` or `{"error": {"type", "message", "hint"}}`. Bytes travel as base64. What is started here outlives us.
"""

from __future__ import annotations

import base64
import enum
import errno
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timezone
from pathlib import Path
from typing import Any

if sys.version_info < (3, 11):  # what our modules take for granted

    class _StrEnum(str, enum.Enum):
        __str__ = str.__str__

    enum.StrEnum = _StrEnum
    sys.modules["datetime"].UTC = timezone.utc

if sys.version_info < (3, 10):
    _LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120 - before anything of ours is imported
    sys.stdlib_module_names = frozenset(
        name.partition(".")[0]
        for name in (*sys.builtin_module_names, *os.listdir(_LIBRARY), *os.listdir(f"{_LIBRARY}/lib-dynload"))  # noqa: PTH208
    )

import msgspec

from jupyterctl import environments, paths
from jupyterctl.errors import JupyterctlError, NoRunnerError
from jupyterctl.model import Bundle, Needs, Plan, Profile, Run, RunState, Server, ServerSpec, ServerState, now
from jupyterctl.targets.local import Local, Settings, place
from jupyterctl.transport import labs

MADE = {"lab": (), "runner": ("ipykernel", "papermill")}
"""The environments that can be made here, and what is in them; nothing said: all that a lab and runs want."""
OFFERED = "`jupyterctl run` offers to make one; --yes has it made"
BLOCK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
POLL_SECONDS = 0.02


class Machine(Local):
    """This machine for somebody who is elsewhere: nothing of the connection's own surroundings is handed on."""

    @property
    def near(self) -> Path:
        """The folder whose environments are preferred."""
        return self.lab_root(Path.home())

    @staticmethod
    def inherited() -> dict[str, str]:
        """Nothing: what starts begins as a login does."""
        return {}

    @staticmethod
    def script_command(file: Path) -> list[str]:
        """By a login shell, so that modules and the like are there as the person knows them."""
        return [environments.shell(), "-l", str(file)]

    def plan(self, needs: Needs) -> Plan:
        """As for a notebook in the profile's folder; isolated, or where there is none, on copies of its files."""
        isolated = needs.isolated or self.settings.workdir is None
        needs = msgspec.structs.replace(needs, notebook=self.near / "notebook", isolated=isolated)
        plan = super().plan(needs)
        python, lacking = self._runner(plan)
        if lacking and not plan.missing:
            raise NoRunnerError("no environment on this machine has papermill, which runs notebooks", OFFERED)
        missing = tuple(sorted({*plan.missing, *lacking}))
        fix = plan.fix
        if lacking:
            found = environments.resolve(f"python:{python}", self.near)
            fix = environments.install_command(found, missing)
        launch = {**plan.launch, "runner_python": python}
        return msgspec.structs.replace(plan, in_place=not isolated, missing=missing, fix=fix, launch=launch)

    def _runner(self, plan: Plan) -> tuple[str, list[str]]:
        """A Python with papermill, the kernel's own if it has it; and what it lacks where none has."""
        own = plan.launch.get("kernel_python")
        known = environments.environments(self.near)
        first = [environments.resolve(f"python:{own}", self.near)] if own else []
        for one in (*first, *known):
            if "papermill" in one.packages:
                return str(one.python), []
        if not first and not known:
            raise NoRunnerError("there is no Python environment on this machine that could run notebooks", OFFERED)
        return str((*first, *known)[0].python), ["papermill"]


def facts(_: Machine) -> dict[str, Any]:
    """What the machine is, and what it has."""
    there = {name: shutil.which(name) or "" for name in ("tmux", "screen", "setsid", "rsync", "uv", "sbatch", "squeue")}
    return {
        "host": os.uname().nodename,
        "system": f"{os.uname().sysname} {os.uname().machine}",
        "user": os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid()),
        "home": str(Path.home()),
        "shell": os.environ.get("SHELL", ""),
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": sys.executable,
        "programs": there,
        "time": now(),
        "booted": _booted(),
        "disk_free": shutil.disk_usage(paths.private(place())).free,
    }


def _booted() -> str:
    """Changes when the machine starts anew; empty where it does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def check(machine: Machine) -> Iterator[Any]:
    """The local checks, for the profile's folder."""
    os.chdir(Path.home())
    yield from machine.check()


def start(machine: Machine, spec: dict[str, Any]) -> Iterator[Any]:
    """Start a lab, step by step."""
    yield from machine.start(ServerSpec(**{**spec, "near": machine.near}))


def servers(machine: Machine) -> list[Any]:
    """Every lab of this user."""
    return machine.servers()


def find(machine: Machine, name: str, known: dict[str, Any] | None) -> Any:
    """A profile's lab."""
    return machine.find(name, _server(known) if known else None)


def adoptable(machine: Machine, name: str) -> Any:
    """One started by hand that is what the profile describes."""
    return machine.adoptable(name, machine.near)


def address(_: Machine, server: dict[str, Any]) -> dict[str, Any]:
    """Where it listens, and its token."""
    lab = labs.look(int(server["pid"]))
    record = lab.record if lab else None
    found = labs.address(_server(server)) if record is None else record.address
    return {
        "url": found.url,
        "token": found.token,
        "port": record.port if record else 0,
        "socket": record.sock if record else "",
        "base_url": record.base_url if record else "/",
    }


def stop(machine: Machine, server: dict[str, Any]) -> None:
    """End a lab."""
    machine.stop(_server(server))


def log(machine: Machine, server: dict[str, Any] | None, name: str, offset: int) -> tuple[str, int]:
    """Its log from an offset on."""
    data, end = machine.log(_server(server) if server else None, name, offset)
    return base64.b64encode(data).decode(), end


def shell(machine: Machine, server: dict[str, Any] | None) -> list[str]:
    """The command of a shell, to be executed here in a terminal."""
    return machine.shell(_server(server) if server else None, machine.near)


def plan(machine: Machine, needs: dict[str, Any]) -> Any:
    """Where and with what a notebook would run."""
    return machine.plan(Needs(**{**needs, "notebook": machine.near / "notebook", "imports": tuple(needs["imports"])}))


def directory(_: Machine, run: str) -> str:
    """The directory that a run's files are to be put into, made."""
    made = paths.private(place() / run)
    (made / "files").mkdir(exist_ok=True)
    return str(made)


def submit(machine: Machine, run: dict[str, Any], bundle: dict[str, Any], plan: dict[str, Any]) -> None:
    """Start a run whose files are in its directory."""
    wanted = Run(state=RunState.QUEUED, target="", notebook="", created="", **run)
    machine.submit(wanted, Bundle(files={}, **bundle), Plan(**plan))


def journal(machine: Machine, handle: dict[str, str], offset: int, wait: float) -> tuple[str, bool]:
    """The journal from an offset on, once there is more or `wait` seconds are over; and whether the process is gone."""
    deadline = time.monotonic() + wait
    file = Path(handle["directory"]) / "events.jsonl"
    while time.monotonic() < deadline and (not file.exists() or file.stat().st_size <= offset):
        time.sleep(POLL_SECONDS)
    data, gone = machine.journal(handle, offset)
    return base64.b64encode(data).decode(), gone


def digest(_: Machine, handle: dict[str, str], name: str) -> dict[str, Any]:
    """Path, size and SHA-256 of a file of a run; `size` is None where it has no such file."""
    file = Path(handle["directory"]) / name
    made = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while block := opened.read(BLOCK):
                made.update(block)
            return {"path": str(file), "size": opened.tell(), "sha256": made.hexdigest()}
    except FileNotFoundError:
        return {"path": str(file), "size": None, "sha256": ""}


def look(machine: Machine, path: str) -> dict[str, Any]:
    """What a path leads to: absolute path, `file`, `folder` or an empty kind, and a folder's files below it.

    Also whether it is the person's home, or a folder above it. A relative path starts at the profile's folder. A file
    is `[path, bytes, seconds since 1970]`.
    """
    found = machine.near / Path(path).expanduser()
    kind = "folder" if found.is_dir() else "file" if found.exists() else ""
    files = []
    for folder, _, names in os.walk(found) if kind == "folder" else ():
        for name in names:
            file = Path(folder) / name
            if file.is_file():
                status = file.stat()
                files.append([file.relative_to(found).as_posix(), status.st_size, status.st_mtime])
    real, home = found.resolve(), Path.home().resolve()
    return {"path": str(found), "kind": kind, "files": files, "home": real == home or real in home.parents}


def refusal(_: Machine, path: str) -> dict[str, Any]:
    """Why no file can be written at a path, found out by writing one beside it; no reason where one can."""
    file = Path.home() / path
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent) as tried:
            tried.write(bytes(BLOCK))
    except OSError as error:
        return {"reason": (error.strerror or str(error)).lower(), "full": error.errno in FULL}
    return {"reason": "", "full": False}


def arrange(_: Machine, folders: list[str], times: dict[str, float], remove: list[str]) -> None:
    """Make folders, set the times of files, and remove files; all by their absolute paths."""
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
    for file, seconds in times.items():
        os.utime(file, (seconds, seconds))
    for file in remove:
        Path(file).unlink(missing_ok=True)


def cancel(machine: Machine, handle: dict[str, str], grace: float | None) -> None:
    """End a run."""
    machine.cancel(handle, grace)


def discard(machine: Machine, handle: dict[str, str]) -> None:
    """Remove a run's directory."""
    machine.discard(handle)


def make(_: Machine, name: str, report: Callable[[Any], None]) -> None:
    """One of the environments that can be made, a virtual one."""
    from jupyterctl.environments.create import create

    create(name, packages=MADE[name], virtual=True, report=report)


METHODS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        facts, check, start, servers, find, adoptable, address, stop, log, shell, plan, directory, submit, journal,
        digest, look, refusal, arrange, cancel, discard,
    )
}  # fmt: skip


def _server(given: dict[str, Any]) -> Server:
    return Server(**{**given, "state": ServerState(given["state"])})


class Answers:
    """What goes back, a line each, whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # nothing else may write there

    def send(self, **answer: Any) -> None:
        """Send one line; where nobody listens any more there is nothing left to do."""
        line = msgspec.json.encode(answer) + b"\n"
        with self._lock:
            try:
                self._out.write(line)
                self._out.flush()
            except OSError:
                os._exit(0)

    def to(self, request: dict[str, Any]) -> None:
        """Do what is asked, and say how it went."""
        number = request["id"]
        try:
            _still_here()
            machine = Machine(
                Profile(name=request["name"], kind="", settings=msgspec.convert(request["settings"], Settings))
            )
            if request["method"] == make.__name__:
                make(machine, **request["arguments"], report=lambda step: self.send(id=number, item=step))
                result = None
            else:
                result = METHODS[request["method"]](machine, **request["arguments"])
            if isinstance(result, Iterator):
                for item in result:
                    self.send(id=number, item=item)
                result = None
            self.send(id=number, result=result)
        except JupyterctlError as error:
            self.send(id=number, error=_said(error, error.message, error.hint))
        except OSError as error:
            self.send(id=number, error=_said(error, *_system(error, request["name"])))
        except Exception as error:  # noqa: BLE001 - the one who asked is told, whatever it is
            self.send(id=number, error=_said(error, f"{type(error).__name__}: {error}", ""))


def _still_here() -> None:
    """ModuleNotFoundError where our own files are gone: nothing is begun that would need one in its middle."""
    if not Path(__file__).exists():
        raise ModuleNotFoundError("the program's own files have been removed")


def _system(error: OSError, name: str) -> tuple[str, str]:
    """What the system would not do, and what a person can."""
    where = f": `{error.filename}`" if error.filename else ""
    verb = "free some space" if error.errno in FULL else "look at it"
    return f"{(error.strerror or str(error)).lower()} on this machine{where}", f"{verb} there: jupyterctl shell {name}"


def _said(error: BaseException, message: str, hint: str) -> dict[str, str]:
    """An error as it travels: who reads it is at another machine."""
    here = f"`{os.uname().nodename}`"
    return {"type": type(error).__name__, "message": message.replace("this machine", here), "hint": hint}


def main() -> None:
    """Answer until standard input ends, then leave: what was started lives on."""
    answers = Answers()
    answers.send(id=0, result=None)
    for line in sys.stdin.buffer:
        threading.Thread(target=answers.to, args=(msgspec.json.decode(line),), daemon=True).start()
    os._exit(0)
