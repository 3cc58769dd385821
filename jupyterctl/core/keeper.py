"""The process that holds a way to a place open, and the link of its lab up: `python -m jupyterctl.core.keeper NAME`.

It owns the link's local port from its start to its end, opens the way anew whenever it is lost, and serves every
command's requests over that one way (`Broker` is their side). A lock of the kernel's sees to it that a profile has one
keeper. It keeps nothing that matters: killed at any moment, the next one goes on from the store.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..errors import ConfigError, JupyterctlError, TargetError
from ..model import Dial, Link
from ..store import Store
from ..transport import keepers
from ..transport.rsh import LENGTH
from ..transport.ssh.way import Question
from ..transport.there import said_of
from . import terminals
from .holding import Holding
from .opening import profile_of

if TYPE_CHECKING:
    from ..transport.carrier import Carrier
    from ..transport.ssh.way import Ask, Stream

IDLE_SECONDS = 120.0
"""How long a keeper stays that has no link to hold up and nothing to do."""
CHUNK = 1 << 16


class Keeper:
    """One profile's keeper: its control socket, and what it holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.store = Store()
        self.holding: Holding | None = None
        self._lock = threading.Lock()
        self._busy = 0
        self._quiet = threading.Event()
        kept = self.store.kept(name).get(name)
        if kept is not None:
            port = self.store.link_port(name)
            holding = self._hold(msgspec.json.decode(kept.profile))
            if port is not None and not holding.target.direct:
                with suppress(TargetError):  # the link says so, and takes the port once it is free
                    holding.listen(port, kept.address.via)

    def run(self) -> None:
        """Serve requests until told to stop, or idle for long."""
        place = keepers.address(self.name)
        place.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(str(place))
            place.chmod(0o600)
            control.listen(64)
            control.settimeout(IDLE_SECONDS)
            while not self._quiet.is_set():
                try:
                    client, _ = control.accept()
                except TimeoutError:
                    if self._idle():
                        break
                    continue
                client.settimeout(None)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            place.unlink(missing_ok=True)
        if self.holding is not None:
            self.holding.close()

    def _idle(self) -> bool:
        with self._lock:
            return not self._busy and (self.holding is None or self.holding.port is None)

    def _hold(self, given: dict[str, Any]) -> Holding:
        """What holds the profile's way; another one where the profile is another one now."""
        with self._lock:
            if self.holding is None or not self.holding.of(given):
                before, self.holding = self.holding, Holding(profile_of(given), given, self._say)
                if before is not None:
                    self.holding.take_over(before)
            return self.holding

    def _say(self, link: Link) -> None:
        with suppress(JupyterctlError):
            self.store.say(link)

    def _serve(self, client: socket.socket) -> None:
        """One request, from its line to its last word."""
        with self._lock:
            self._busy += 1
        conversation = Conversation(client)
        try:
            request = conversation.read()
            if request is not None:
                os.environ.update(request.get("env", {}))
                for word, value in self._answer(request, conversation):
                    conversation.write({word: value})
        except (JupyterctlError, OSError) as error:
            conversation.write({"error": said_of(error)})
        finally:
            client.close()
            with self._lock:
                self._busy -= 1

    def _answer(self, request: dict[str, Any], conversation: Conversation) -> Iterator[tuple[str, Any]]:
        do = request["do"]
        if do == "stop":
            self._quiet.set()
            with suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
                knock.connect(str(keepers.address(self.name)))
            yield "result", None
            return
        holding = self._hold(request["profile"])
        if do == "state":
            holding.looked_at()
            yield "result", holding.link()
        elif do == "open":
            for phase in holding.open(conversation.ask, anew=request.get("anew", False)):
                yield "phase", phase
            yield "result", holding.link()
        elif do == "link":
            dial = request["dial"]
            holding.learn(request["profile"])
            holding.listen(request["port"], msgspec.convert(dial, Dial) if dial else None)
            yield "result", holding.link()
        elif do == "unlink":
            holding.stop_listening()
            yield "result", None
        elif do == "call":
            carrier = _machine(holding, None if request.get("glance") else conversation.ask)
            settings = request["profile"]["settings"]
            yield from carrier.call(request["method"], self.name, settings, request["arguments"])
        elif do == "stream":
            stream = _machine(holding, conversation.ask).way.execute(request["command"])
            yield "result", None
            conversation.become(stream)
        elif do in {"put", "get", "terminal"}:
            carry = terminals.carry if do == "terminal" else self._copy
            yield from carry(_machine(holding, conversation.ask), request, conversation)
        else:
            raise ConfigError(f"a keeper knows no `{do}`", "end it: it is of another version")

    @staticmethod
    def _copy(carrier: Carrier, request: dict[str, Any], conversation: Conversation) -> Iterator[tuple[str, Any]]:
        from pathlib import Path

        def progress(done: int, size: int) -> None:
            conversation.write({"progress": [done, size]})

        if request["do"] == "put":
            carrier.put(Path(request["source"]), request["destination"], progress)
        else:
            carrier.get(request["source"], Path(request["destination"]), request["digest"], progress)
        yield "result", None


def _machine(holding: Holding, ask: Ask | None) -> Carrier:
    """The open way, for requests that only a machine's target makes."""
    return cast("Carrier", holding.carrier(ask))


class Conversation:
    """One client: lines of JSON to and fro."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._buffer = b""
        self._writing = threading.Lock()

    def read(self) -> dict[str, Any] | None:
        """The next line; None where the client is gone."""
        while b"\n" not in self._buffer:
            try:
                data = self._client.recv(CHUNK)
            except OSError:
                return None
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        said: dict[str, Any] = msgspec.json.decode(line)
        return said

    def write(self, said: dict[str, Any]) -> None:
        """Say something; a client that is gone misses it."""
        with self._writing, suppress(OSError):
            self._client.sendall(msgspec.json.encode(said) + b"\n")

    def become(self, stream: Stream) -> None:
        """Carry a command's input and output from now on, until both have ended, and tell how it did; see `rsh`."""

        def back() -> None:
            with suppress(OSError, JupyterctlError):
                while data := stream.read(CHUNK):
                    self._client.sendall(LENGTH.pack(len(data)) + data)
                ended = {"status": stream.wait(), "errors": stream.errors()}
                self._client.sendall(LENGTH.pack(0) + msgspec.json.encode(ended))
            with suppress(OSError):  # a way that is lost ends it too, or the client would wait for ever
                self._client.shutdown(socket.SHUT_WR)

        reading = threading.Thread(target=back, daemon=True)
        reading.start()
        with suppress(OSError, JupyterctlError):
            while data := self._client.recv(CHUNK):
                stream.write(data)
            stream.end_input()
        reading.join()
        stream.close()

    def ask(self, question: Question) -> str | None:
        """Put a question to the person at the other end."""
        self.write({"ask": question})
        said = self.read()
        return said.get("answer") if said else None


def main() -> None:
    """Be the keeper of the profile that is named, unless there is one; who starts us may hand the lock over."""
    name, *handed = sys.argv[1:]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    held = os.fdopen(int(handed[0]), "w") if handed else keepers.lock(name)
    if held is None:
        return
    with held:
        os.set_inheritable(held.fileno(), False)
        Keeper(name).run()
    os._exit(0)


if __name__ == "__main__":
    main()
