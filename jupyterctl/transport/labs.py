"""Jupyter servers on this machine: found, described and ended.

A server that jupyterctl started carries a mark in its environment, so any jupyterctl finds it, whatever state folder it
has: the mark says its profile's name and the directory that its token, log and pid are kept in. Processes inherit the
mark from it; only the one whose pid stands in that directory is the server.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..errors import JupyterctlError, TargetError
from ..model import Address, Server, ServerState
from . import jpserver, jupyter_api, launch, process

LOG, TOKEN, SESSION = "server.log", "token", "session"
QUICK_SECONDS = 0.3
"""How long a server that nobody here started has to prove that it is there."""
_GENTLY, _FIRMLY, _BY_FORCE = 10.0, 5.0, 5.0
"""Seconds that a server has to end after being asked over HTTP, by SIGTERM and by SIGKILL."""


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    """A server's process and what is known of it; `name` is empty where it carries no mark."""

    name: str
    pid: int
    began: float
    directory: Path | None
    record: jpserver.Record | None
    program: str
    """The Python that it runs on."""


def look(pid: int) -> Lab | None:
    """What a process is, if it is a server's; None where it is gone, another user's, or something else."""
    import psutil

    try:
        found = psutil.Process(pid)
        began, environment, command = found.create_time(), found.environ(), found.cmdline()
        if found.status() == psutil.STATUS_ZOMBIE:
            return None
    except (psutil.Error, OSError):
        return None
    name, directory = _mark(pid, environment)
    record = _record(pid, environment, began)
    if not name and record is None:
        return None
    program = next(iter(command), "")
    return Lab(name=name, pid=pid, began=began, directory=directory, record=record, program=program)


def _becoming(pid: int, name: str, directory: Path) -> Lab | None:
    """The shell that is about to become the server: until then it carries no mark."""
    found = process.named(pid, str(directory / launch.SCRIPT))
    if found is None:
        return None
    return Lab(name=name, pid=pid, began=process.began(pid), directory=directory, record=None, program="")


def labs() -> Iterator[Lab]:
    """Every server of this user that has said where it is; a ghost's record is passed over."""
    yield from filter(None, map(look, jpserver.pids(jpserver.runtime())))


def find(name: str, known: Server | None, directory: Path) -> Lab | None:
    """The server of a profile: what was last known is looked at first, then its directory, then all there are."""
    if known is not None and known.pid is not None:
        lab = look(known.pid)
        if lab is not None and (lab.name == name or (known.adopted and _same(lab, known))):
            return lab
    kept = _read(directory, launch.PID)
    lab = (look(int(kept)) or _becoming(int(kept), name, directory)) if kept.isdecimal() else None
    return lab if lab is not None and lab.name == name else next((lab for lab in labs() if lab.name == name), None)


def strangers() -> Iterator[Lab]:
    """Servers that carry no mark and prove that they are there: they know the token of their record."""
    return (lab for lab in labs() if not lab.name and answers(lab))


def answers(lab: Lab) -> bool:
    """Whether a server accepts its record's token, within `QUICK_SECONDS`."""
    if lab.record is None:
        return False
    try:
        jupyter_api.status(lab.record.address, QUICK_SECONDS)
    except JupyterctlError:
        return False
    return True


def describe(lab: Lab, kind: str, *, name: str = "", adopted: bool = False) -> Server:
    """The server as the rest of the program knows it."""
    session = _read(lab.directory, SESSION)
    record = lab.record
    return Server(
        name=name or lab.name,
        kind=kind,
        state=ServerState.STARTING if record is None else ServerState.RUNNING,
        place=f"this machine, {session.replace(' ', ' session ', 1)}" if session else "this machine",
        pid=lab.pid,
        port=record.port if record else None,
        url=record.address.url if record else None,
        version=_version(lab.program),
        root=record.root_dir if record else "",
        since=datetime.fromtimestamp(lab.began, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        handle=_handle(lab, session),
        adopted=adopted,
    )


def address(server: Server) -> Address:
    """Where it answers, and its token; TargetError where it has not said so yet."""
    lab = look(server.pid) if server.pid is not None else None
    if lab is None:
        raise TargetError(f"the server of `{server.name}` is gone", f"start it: jupyterctl start {server.name}")
    if lab.record is None:
        raise TargetError(f"the server of `{server.name}` is not up yet", f"see `jupyterctl logs {server.name}`")
    return lab.record.address


def end(server: Server) -> None:
    """End a server and its kernels: over HTTP, by SIGTERM, by SIGKILL; TargetError where nothing helps."""
    if server.pid is None:
        return
    lab = look(server.pid)
    if lab is None:
        return
    if lab.record is not None:
        with suppress(JupyterctlError):
            jupyter_api.shut_down(lab.record.address)
            if _gone(lab, _GENTLY):
                return
    for number, seconds in ((signal.SIGTERM, _FIRMLY), (signal.SIGKILL, _BY_FORCE)):
        with suppress(ProcessLookupError):
            os.kill(lab.pid, number)
        if _gone(lab, seconds):
            return
    raise TargetError(f"the server of `{server.name}` (pid {lab.pid}) does not end", f"try: kill -9 {lab.pid}")


def tail(directory: Path, offset: int) -> tuple[bytes, int]:
    """The log from an offset on, negative: from the end; and where to go on. One that was begun anew is read anew."""
    try:
        with (directory / LOG).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size + offset) if offset < 0 else offset if offset <= size else 0
            file.seek(start)
            data = file.read()
    except OSError:
        return b"", 0
    return data, start + len(data)


def without_token(text: str, directory: Path) -> str:
    """Text from a server without its token, should something have written it."""
    token = _read(directory, TOKEN)
    return text.replace(token, "…") if token else text


def _gone(lab: Lab, seconds: float) -> bool:
    return process.await_that(lambda: not process.same(lab.pid, lab.began), seconds)


def _mark(pid: int, environment: dict[str, str]) -> tuple[str, Path | None]:
    name, directory = environment.get(launch.SERVER_MARK, ""), environment.get(launch.SERVER_DIRECTORY, "")
    if not name or _read(Path(directory), launch.PID) != str(pid):
        return "", None
    return name, Path(directory)


def _record(pid: int, environment: dict[str, str], began: float) -> jpserver.Record | None:
    for folder in dict.fromkeys((jpserver.runtime(environment), jpserver.runtime())):
        record = jpserver.read(folder, pid)
        if record is not None and jpserver.belongs(record, began):
            return record
    return None


def _same(lab: Lab, known: Server) -> bool:
    """Whether it is the process that was adopted, and not a later one with its pid."""
    return lab.record is not None and str(round(lab.began)) == known.handle.get("began")


def _handle(lab: Lab, session: str) -> dict[str, str]:
    handle = {"host": os.uname().nodename, "began": str(round(lab.began)), "program": lab.program}
    if lab.directory:
        handle["directory"] = str(lab.directory)
    return handle | ({"session": session} if session else {})


def _version(program: str) -> str:
    from ..environments.environment import read

    found = read(Path(program).parent.parent) if os.sep in program else None
    return found.packages.get("jupyterlab", "") if found else ""


def _read(directory: Path | None, name: str) -> str:
    try:
        return (directory / name).read_text(encoding="utf-8").strip() if directory else ""
    except OSError:
        return ""
