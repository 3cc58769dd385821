"""Starting the ssh program as a control master, and passing its questions on to the person."""

from __future__ import annotations

import json
import os
import queue
import re
import shlex
import shutil
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ...errors import TargetError, UnreachableError
from ..limits import many_files
from . import askpass, mux
from .asking import Asker, nobody
from .complaint import failure
from .login import plain
from .openssh import Master, OpenSSHWay
from .pump import READ
from .route import Route
from .way import Question, RefusedError, Report

READY = "jupyterctl-is-in"
COMMAND = f"printf '{READY}\\n'; exec cat"
CONNECT_SECONDS = 4.0
LOGIN_SECONDS = 8.0
TOUCH_SECONDS = 60.0
"""How long a person may take to do what they are told, as touching a security key; the key's own time is shorter."""
ALIVE_SECONDS, ALIVE_COUNT = 5, 3
PREFIX = "jctl-"
PATH_BYTES = 90
"""How long a unix socket's path may be, everywhere."""


def open_master(route: Route, asker: Asker, report: Report) -> OpenSSHWay:
    """Log in by the ssh program; RefusedError or UnreachableError by what it says where that fails."""
    many_files()
    folder = _folder()
    questions: queue.SimpleQueue[socket.socket | bytes] = queue.SimpleQueue()
    listener = _listener(folder / "a")
    report("connect", f"{route.address} by the ssh program")
    master = Master(folder, _command(route, str(folder / "m")), _environment(folder))
    try:
        master.echoed = questions.put
        master.listen()
        master.pump.watch(listener, READ, lambda _events: _accept(listener, questions))
        report("authenticate", route.login)
        _await(master, route, asker, questions)
        asker.all_right()
    except BaseException:
        master.close()
        raise
    finally:
        master.pump.watch(listener, 0, lambda _events: None)
        listener.close()
    by = f" by way of {','.join(route.proxy_jump)}" if route.proxy_jump else ""
    return OpenSSHWay(master, f"{route.user}@{route.address}{by}, by the ssh program")


def _await(master: Master, route: Route, asker: Asker, came: queue.SimpleQueue[socket.socket | bytes]) -> None:
    """Wait for the login to be done, put its questions meanwhile, and pass on what it tells."""
    limit = (route.connect_timeout or CONNECT_SECONDS) + LOGIN_SECONDS * (1 + len(route.proxy_jump))
    patience, heard = limit, b""
    deadline = time.monotonic() + patience
    while f"{READY}\n".encode() not in heard:
        try:
            event = came.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty as error:
            raise _too_long(master, route, patience) from error
        if isinstance(event, socket.socket):
            told = _put(event, route, asker, master)
            if asker.unanswered is not None:
                raise nobody(asker.unanswered, route)
            patience = TOUCH_SECONDS if told else limit
            deadline = time.monotonic() + patience
        elif not event:
            raise failure(master.said, route)
        else:
            heard += event


def _too_long(master: Master, route: Route, limit: float) -> TargetError:
    if Path(master.path).exists():
        return RefusedError(f"`{route.login}` lets us in, but runs no commands", f"see: ssh {route.name} true")
    return UnreachableError(f"{route.address} took longer than {limit:g} s over the login", "it may be busy; try again")


# -- the program ------------------------------------------------------------------------------------------------------


def _command(route: Route, path: str) -> list[str]:
    options = [
        "ControlMaster=yes",
        f"ControlPath={path.replace('%', '%%')}",
        "ControlPersist=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "RequestTTY=no",
        "LogLevel=INFO",
        f"ServerAliveInterval={ALIVE_SECONDS}",
        f"ServerAliveCountMax={ALIVE_COUNT}",
        f"ConnectTimeout={route.connect_timeout or CONNECT_SECONDS:.0f}",
        "BatchMode=no",
        *route.session_overrides,
    ]
    if route.strict_host_key_checking == "no":
        options.append("StrictHostKeyChecking=accept-new")
    command = ["ssh", *(["-F", route.config] if route.config else [])]
    command += [word for option in options for word in ("-o", option)]
    return [*command, "-l", route.user, "-p", str(route.port), "--", route.name, COMMAND]


def _environment(folder: Path) -> dict[str, str]:
    """With a program that asks us instead of a terminal; older ones want a DISPLAY for that, too."""
    program = folder / "askpass"
    command = shlex.join([sys.executable, "-I", "-S", askpass.__file__])
    program.write_text(f'#!/bin/sh\nexec {command} "$1"\n', encoding="utf-8")
    program.chmod(0o700)
    return {
        **os.environ,
        "DISPLAY": os.environ.get("DISPLAY") or ":0",
        "SSH_ASKPASS": str(program),
        "SSH_ASKPASS_REQUIRE": "force",
        askpass.SOCKET: str(folder / "a"),
    }


def _folder() -> Path:
    """A private folder whose path is short enough for sockets, on a disk that programs may be run from."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - it is made private
        with suppress(OSError):
            if not place or len(place) > PATH_BYTES:
                continue
            _sweep(Path(place))
            folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
            probe = folder / "x"
            probe.touch(mode=0o700)
            runs = os.access(probe, os.X_OK)
            probe.unlink()
            if runs and len(str(folder)) < PATH_BYTES:
                return folder
            shutil.rmtree(folder, ignore_errors=True)
    raise TargetError("there is no folder for the sockets of the ssh program", "set XDG_RUNTIME_DIR or TMPDIR to one")


def _sweep(place: Path) -> None:
    """Remove what was left by processes of ours that were killed: nobody has that pid, nor listens at its socket."""
    for folder in place.glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            if not pid.isdecimal() or folder.stat().st_uid != os.getuid():
                continue
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                if not _listens(folder / "m"):
                    shutil.rmtree(folder, ignore_errors=True)


def _listens(path: Path) -> bool:
    """Whether somebody is there, in another container perhaps."""
    with suppress(OSError):
        mux.dial(str(path)).close()
        return True
    return False


# -- its questions ----------------------------------------------------------------------------------------------------


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    listener.setblocking(False)
    return listener


def _accept(listener: socket.socket, came: queue.SimpleQueue[socket.socket | bytes]) -> None:
    with suppress(OSError):
        came.put(listener.accept()[0])


def _put(connection: socket.socket, route: Route, asker: Asker, master: Master) -> bool:
    """One question of the program, to the person and back; whether it only told them to do something.

    Where nobody answers the program is ended first: it would send an empty answer, which counts as a wrong one.
    """
    with connection, suppress(OSError, ValueError):
        connection.settimeout(LOGIN_SECONDS)
        with connection.makefile("rb") as lines:
            asked = json.loads(lines.readline())
        if asked["hint"] == "none":
            asker.tell(Question(kind="notice", text=plain(str(asked["text"])).strip(), secret=False, about=route.login))
            return True
        question = _question(str(asked["text"]), route)
        answer = _answer(question, asker)
        if answer is None:
            master.process.kill()
            master.process.wait()
            return False
        if question.kind == "host-key":
            answer = "yes" if answer.strip().lower() in {"yes", "y"} else "no"
        connection.sendall(json.dumps(answer).encode())
    return False


def _answer(question: Question, asker: Asker) -> str | None:
    if question.kind not in {"password", "passphrase"}:
        return asker(question)
    if asker.given(question):
        asker.wrong(question)
    return asker.secret(question)[0]


def _question(text: str, route: Route) -> Question:
    """What the program asks, by its words."""
    words = plain(text).strip()
    if "continue connecting" in words:
        return Question(kind="host-key", text=words, secret=False, about=route.login)
    if found := re.match(r"Enter passphrase for (?:key )?'?(.+?)'?:?$", words):
        return Question(kind="passphrase", text=f"passphrase of {found[1]}", about=found[1])
    if found := re.match(r"(\S+)'s password:?$", words):
        return Question(kind="password", text=f"password of {found[1]}", about=found[1])
    return Question(kind="prompt", text=re.sub(r"^\([^()\s]+@[^()\s]+\) ", "", words), about=route.login)
