"""Starting a JupyterLab on this machine, step by step, so that it outlives whoever starts it.

Its token is made here and kept in a file that only its owner can read; the server is told the file's name. It listens
on the loopback address, at exactly the port that it is given.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .. import paths
from ..environments import Environment, script
from ..errors import JupyterctlError, TargetError, UnreachableError
from ..model import Phase, PhaseState, ServerSettings, ServerSpec, duration
from ..remote import LAB
from . import jpserver, jupyter_api, lab_kernel, labs, launch, multiplexer, ports, process
from .lab_flags import flags

_EVERY = 0.02
SOCKET_BYTES = 100
"""The longest path that a unix socket can have on every system."""
_SOCKET = "lab.sock"
_LINES = 3
"""Lines of the log that go into an error."""
_LET_GO_SECONDS = 3.0
"""How long a program that just ended may hold its port."""
_NOT_INHERITED = ("JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE", "JPY_SESSION_NAME", "JPY_PARENT_PID", launch.MARK)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A start that has been decided on."""

    spec: ServerSpec
    settings: ServerSettings
    environment: Environment
    before: tuple[str, ...]
    root: Path
    directory: Path
    """Where the token, the log and the pid are kept."""
    inherited: Mapping[str, str]
    """The variables that it starts with."""
    command: Callable[[Path], list[str]]
    """How the script that starts it is executed."""
    kernel: Environment | None = None
    """Another environment whose kernel the lab offers."""


def step(name: str, work: Callable[[], str]) -> Iterator[Phase]:
    """One step as it begins and as it ends; what `work` returns says what came of it, what it raises ends the start."""
    yield Phase(name=name, state=PhaseState.DOING)
    began = time.monotonic()
    try:
        detail = work()
    except JupyterctlError as error:
        yield Phase(name=name, state=PhaseState.FAILED, seconds=time.monotonic() - began, detail=error.message)
        raise
    yield Phase(name=name, state=PhaseState.DONE, seconds=time.monotonic() - began, detail=detail)


@contextmanager
def alone(name: str) -> Iterator[None]:
    """While one process starts a server, others that want the same one wait; whatever state folder they have."""
    folder = paths.private(jpserver.runtime())
    with (folder / f"jupyterctl-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def join(lab: labs.Lab, settings: ServerSettings) -> Iterator[Phase]:
    """The steps of a start where the server is there already: it need only be up."""
    directory = lab.directory or Path()
    waiting = Wait(
        name=lab.name, pid=lab.pid, began=lab.began, directory=directory, limit=duration(settings.start_timeout)
    )
    yield from step("process", lambda: f"runs already, pid {lab.pid}")
    yield from step("address", waiting.for_record)
    yield from step("http", waiting.for_answer)


def start(plan: Plan) -> Iterator[Phase]:
    """Start the process, wait for it to say where it is, and for it to answer."""
    yield from step("process", lambda: _spawn(plan))
    pid = int((plan.directory / launch.PID).read_text(encoding="ascii"))
    limit = duration(plan.settings.start_timeout)
    waiting = Wait(name=plan.spec.name, pid=pid, began=process.began(pid), directory=plan.directory, limit=limit)
    yield from step("address", waiting.for_record)
    yield from step("http", waiting.for_answer)


def arguments(plan: Plan, *, root_user: bool) -> list[str]:
    """The command that becomes the server; what the profile's own arguments set is left to them."""
    listening: dict[str, object] = {"ServerApp.ip": "127.0.0.1", "ServerApp.port": plan.spec.port}
    if plan.spec.socket:
        listening = {"ServerApp.sock": _socket(plan), "ServerApp.sock_mode": "0600"}
    own = {
        **listening,
        "ServerApp.root_dir": plan.root,
        **({"ServerApp.allow_root": True} if root_user else {}),
    }
    return [str(plan.environment.python), str(LAB), *flags(plan.settings, own)]


def _socket(plan: Plan) -> Path:
    """Where the server's socket is: beside its token, in a folder that is its owner's alone."""
    socket = plan.directory / _SOCKET
    if len(os.fsencode(socket)) > SOCKET_BYTES:
        raise TargetError(f"`{socket}` is too long for a unix socket", "leave out `socket`, or shorten the name")
    return socket


def token(plan: Plan) -> Path:
    """The file with the token, made where it is missing; a restart keeps it, so that open tabs stay logged in."""
    file = plan.directory / labs.TOKEN
    if plan.spec.token or not file.exists():
        paths.write(file, (plan.spec.token or secrets.token_hex(32)).encode())
    return file


def _spawn(plan: Plan) -> str:
    """Start the script and hand it the environment; what it runs in, in words."""
    if not plan.spec.socket and not process.await_that(lambda: ports.free(plan.spec.port), _LET_GO_SECONDS):
        raise TargetError(
            f"port {plan.spec.port} of `{plan.spec.name}` is taken by {ports.owner(plan.spec.port)}",
            "end that program, or give the profile another port: link_port below [server]",
        )
    directory = paths.private(plan.directory)
    (directory / _SOCKET).unlink(missing_ok=True)
    _begin_log(directory / labs.LOG)
    where = _run(plan, launch.prepare(directory, _script(plan)))
    launch.hand_over(directory, launch.exports(_environment(plan), plan.spec.name, launch.SERVER_MARK))
    return where


def _run(plan: Plan, file: Path) -> str:
    session = plan.directory / labs.SESSION
    session.unlink(missing_ok=True)
    kept = multiplexer.spawn(plan.spec.name, plan.command(file), plan.directory, plan.directory / labs.LOG)
    session.write_text(kept, encoding="utf-8")
    return multiplexer.words(kept)


def _script(plan: Plan) -> str:
    command = shlex.join(arguments(plan, root_user=os.geteuid() == 0))
    own = [*plan.before, script(plan.environment), f"cd {shlex.quote(str(plan.root))} || exit 1", f"exec {command}"]
    return launch.lines(str(plan.directory), (launch.SERVER_MARK, plan.spec.name), own)


def _environment(plan: Plan) -> Mapping[str, str]:
    inherited = {name: value for name, value in plan.inherited.items() if name not in _NOT_INHERITED}
    return {
        **inherited,
        **lab_kernel.offer(plan.kernel, plan.directory),
        "JUPYTER_TOKEN_FILE": str(token(plan)),
        launch.SERVER_DIRECTORY: str(plan.directory),
    }


def _begin_log(file: Path) -> None:
    """An empty log, readable by its owner alone; the one before is kept beside it."""
    if file.exists():
        file.replace(file.with_name(f"{file.name}.1"))
    file.touch(mode=0o600)


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Waiting for a server to come up."""

    name: str
    pid: int
    began: float
    """When the process began, in seconds since 1970."""
    directory: Path
    limit: float
    """Seconds that each step may take."""

    def for_record(self) -> str:
        """Until it has written where it is; its address."""
        deadline = time.monotonic() + self.limit
        while time.monotonic() < deadline:
            record = self._record()
            if record is not None:
                return record.sock or record.address.url
            time.sleep(_EVERY)
        raise self._failed(f"the server has not said where it is within {self.limit:.0f} s")

    def for_answer(self) -> str:
        """Until it answers a request that carries the token."""
        deadline = time.monotonic() + self.limit
        problem = "it has taken its address back"
        while time.monotonic() < deadline:
            record = self._record()
            try:
                if record is not None:
                    jupyter_api.status(record.address, min(jupyter_api.SECONDS, self.limit))
                    return "answers"
            except UnreachableError as error:
                problem = error.message
            time.sleep(_EVERY)
        raise self._failed(f"the server does not answer within {self.limit:.0f} s: {problem}")

    def _record(self) -> jpserver.Record | None:
        """What it has written, None while it is still the shell that becomes the server, or on its way."""
        lab = labs.look(self.pid)
        if not process.same(self.pid, self.began):
            raise self._failed("the server ended while it was starting")
        return lab.record if lab else None

    def _failed(self, message: str) -> TargetError:
        """The error, with what the log says last."""
        data, _ = labs.tail(self.directory, -4096)
        lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
        said = labs.without_token(" | ".join(lines[-_LINES:]), self.directory)
        return TargetError(message, f"its log ends: {said or '(nothing)'}; all of it: jupyterctl logs {self.name}")
