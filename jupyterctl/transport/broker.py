"""How every command reaches the keeper of a place, and through it the place: one login serves them all.

A request is a line of JSON to the keeper's socket: `{"do", "profile", …}`. Lines come back: `{"ask"}` is a question to
the person, answered by `{"answer"}`; `{"item"}`, `{"phase"}` and `{"progress"}` come while it is done; `{"result"}` or
`{"error"}` is the last. The socket lies in a folder that only its owner can enter.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ..errors import TargetError, UnreachableError
from ..model import Profile
from . import asking
from .keepers import address, log, start
from .ssh.way import Question
from .there import error_of

COME_UP_SECONDS = 15.0
"""How long a keeper may take to be there."""
_QUICK_SECONDS = 2.0
CHUNK = 1 << 20


class GoneError(UnreachableError):
    """The keeper ended in the middle of a request; another one can take its place."""


class Broker:
    """The way to one profile's place."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def alive(self) -> bool:
        """Whether there is a keeper."""
        with suppress(OSError), self._connect(_QUICK_SECONDS):
            return True
        return False

    def request(
        self,
        do: str,
        *,
        only_if_there: bool = False,
        connected: Callable[[socket.socket], object] = id,
        **fields: Any,
    ) -> Iterator[tuple[str, Any]]:
        """Ask the keeper, starting one where there is none: everything it says but for questions, `result` last.

        What it fails with is raised; UnreachableError where there is none and none is wanted. `connected` hears of the
        connection, for what is said to the keeper after the request.
        """
        line = msgspec.json.encode({"do": do, "profile": self._profile(), "env": _surroundings(), **fields}) + b"\n"
        with self._reach(only_if_there=only_if_there) as keeper:
            keeper.sendall(line)
            connected(keeper)
            for said in _lines(keeper):
                ((word, value),) = said.items()
                if word == "ask":
                    answer = asking.ask(msgspec.convert(value, Question))
                    keeper.sendall(msgspec.json.encode({"answer": answer}) + b"\n")
                elif word == "error":
                    raise error_of(value)
                else:
                    yield word, value
                    if word == "result":
                        return
        raise GoneError(f"the keeper of `{self.profile.name}` ended", "try again")

    def call(self, method: str, **arguments: Any) -> Any:
        """The result of a method of the program at the place."""
        *_, (_, result) = self.request("call", method=method, arguments=arguments)
        return result

    def glance(self, method: str, **arguments: Any) -> Any:
        """The same without asking anybody; UnreachableError at once while the keeper tries to open the way."""
        *_, (_, result) = self.request("call", method=method, arguments=arguments, glance=True)
        return result

    def items(self, method: str, **arguments: Any) -> Iterator[Any]:
        """What a method of the program there gives, one at a time."""
        return (value for word, value in self.request("call", method=method, arguments=arguments) if word == "item")

    def copy(
        self, do: str, source: str, destination: str, digest: str = "", progress: Callable[[int, int], object] = max
    ) -> None:
        """`put` a file there or `get` it here."""
        for word, value in self.request(do, source=source, destination=destination, digest=digest):
            if word == "progress":
                progress(*value)

    def _profile(self) -> dict[str, Any]:
        kept = {"name": self.profile.name, "kind": self.profile.kind}
        return {**kept, "settings": msgspec.to_builtins(self.profile.settings)}

    def _connect(self, seconds: float | None = None) -> socket.socket:
        keeper = socket.socket(socket.AF_UNIX)
        try:
            keeper.settimeout(seconds)
            keeper.connect(str(address(self.profile.name)))
            keeper.settimeout(None)
        except BaseException:
            keeper.close()
            raise
        return keeper

    def _reach(self, *, only_if_there: bool) -> socket.socket:
        with suppress(OSError):
            return self._connect()
        if only_if_there:
            raise UnreachableError(f"`{self.profile.name}` is not connected", f"jupyterctl start {self.profile.name}")
        deadline = time.monotonic() + COME_UP_SECONDS
        while time.monotonic() < deadline:
            start(self.profile.name)
            with suppress(OSError):
                return self._connect()
            time.sleep(0.005)
        raise TargetError(f"the keeper of `{self.profile.name}` does not come up", f"see `{log(self.profile.name)}`")


_LOGIN = ("SSH_AUTH_SOCK", "KRB5CCNAME", "AWS_PROFILE")
_CHOICES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY")
"""Variables that choose the place itself; one that is not set says so too."""
_FOLDERS = ("DOCKER_CONFIG", "DOCKER_CERT_PATH")


def _surroundings() -> dict[str, str]:
    """What of our own environment a login may need: the keeper's may be that of a terminal long closed.

    The keeper works in another folder, so paths are told whole.
    """
    found = {name: os.environ[name] for name in _LOGIN if name in os.environ}
    found |= {name: os.environ.get(name, "") for name in _CHOICES}
    for name in ("KUBECONFIG", *_FOLDERS):
        if name in os.environ:
            files = os.environ[name].split(os.pathsep)
            found[name] = os.pathsep.join(str(Path(file).absolute()) for file in files if file)
    return found


def _lines(keeper: socket.socket) -> Iterator[dict[str, Any]]:
    buffer = bytearray()
    while True:
        try:
            data = keeper.recv(CHUNK)
        except OSError:
            return
        if not data:
            return
        buffer += data
        *lines, rest = buffer.split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            yield msgspec.json.decode(line)
