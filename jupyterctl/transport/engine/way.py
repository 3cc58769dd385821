"""The way to a lab in a container of an engine elsewhere: over the engine's API, whatever carries that.

While the container runs, one command in it carries every connection (`tunnel`), and its answers are the way's signs of
life; else the engine is asked for the container. A tunnel that ends, as with its container, is made anew for the next
client, who waits for a container that is coming up.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ...errors import TargetError, UnreachableError
from ..linked import Caller, Contact
from ..ssh.way import ClosedError, RefusedError
from .client import LoginError, container
from .tunnel import Tunnel
from .where import Engine

WAIT_SECONDS = 30.0
"""How long a client waits for a lab that is on its way."""
EVERY = 0.3
"""Between two looks at it."""
DIALS = 64
"""Clients that wait at once."""
STOPPED = "the lab is stopped"


class Way(Contact):
    """One engine, and the tunnel into the lab's container on it."""

    def __init__(self, engine: Engine, name: str, python: str) -> None:
        super().__init__(f"by way of the engine at {engine.url}")
        self.engine, self.name, self.python = engine, name, python
        self.dialling = ThreadPoolExecutor(DIALS, thread_name_prefix="engine-dial")
        self._tunnel: Tunnel | None = None
        self._making = threading.Lock()
        self._probing = threading.Lock()

    # -- signs of life -----------------------------------------------------------------------------------------------

    def first(self) -> None:
        """The first probe: UnreachableError where nobody answers, RefusedError where nobody will."""
        try:
            self._look()
        except LoginError as error:
            raise RefusedError(error.message, error.hint) from error

    def probe(self) -> None:
        """Ask the container, else the engine; one that nothing listens at any more is gone."""
        tunnel = self._tunnel
        if tunnel is not None and tunnel.channels.ping():
            return
        if not self._probing.acquire(blocking=False):
            return
        try:
            self._look()
        except UnreachableError as error:
            self.give_up(error.message)
        except TargetError:
            self.hear()
        finally:
            self._probing.release()

    def _look(self) -> str | None:
        """The container's state, None where there is none."""
        asked = time.monotonic()
        found = container(self.engine, self.name)
        self.hear()
        self._trip = time.monotonic() - asked
        return str(found.status) if found is not None else None

    def heard(self) -> float:
        """When the container, or the engine, last said something."""
        tunnel = self._tunnel
        return max(self._heard, tunnel.channels.heard) if tunnel is not None else self._heard

    def round_trip(self) -> float | None:
        """Seconds that the last answer took."""
        tunnel = self._tunnel
        return (tunnel.channels.trip if tunnel is not None else 0.0) or self._trip

    def close(self) -> None:
        """Let go of everything."""
        self.give_up("it was closed")
        self.dialling.shutdown(wait=False)
        tunnel = self._tunnel
        if tunnel is not None:
            tunnel.close()

    # -- connections -------------------------------------------------------------------------------------------------

    def carry(self, caller: Caller) -> None:
        """Dial for it."""
        _Waiting(self, caller).carry()

    def tunnel(self, deadline: float) -> Tunnel:
        """The one that there is, else a new one; TargetError with why there can be none."""
        with self._making:
            while not self.closed.is_set():
                if self._tunnel is not None and self._tunnel.alive:
                    return self._tunnel
                state = self._look()
                if state == "running" and (made := self._made(deadline)) is not None:
                    return made
                if state not in {"running", "restarting", "created"}:
                    raise TargetError(STOPPED if state != "paused" else "the lab's container is paused")
                if time.monotonic() > deadline:
                    raise TargetError("the lab's container does not come up")
                self.closed.wait(EVERY)
        raise ClosedError(self._why)

    def _made(self, deadline: float) -> Tunnel | None:
        """A new one; None where its container has just ended, or may be about to."""
        try:
            made = Tunnel(self.engine, self.name, self.python, self.uneasy.set)
            made.prove()
        except UnreachableError:
            raise
        except TargetError:
            if self._look() == "running" and time.monotonic() > deadline:
                raise
            return None
        self._tunnel = made
        if self.closed.is_set():
            made.close()
        return made

    def alive(self) -> Tunnel | None:
        """The one that carries connections now."""
        tunnel = self._tunnel
        return tunnel if tunnel is not None and tunnel.alive else None


class _Waiting:
    """One client, until it is carried or it is clear that it will not be."""

    def __init__(self, way: Way, caller: Caller) -> None:
        assert not isinstance(caller.to, str)  # noqa: S101 - labs in containers have ports
        self._way, self._client, self._port = way, caller.client, caller.to[1]
        self._refused, self._lost = caller.refused, caller.lost
        self._deadline = time.monotonic() + WAIT_SECONDS

    def carry(self) -> None:
        """At once where there is a tunnel."""
        tunnel = self._way.alive()
        if tunnel is None or not tunnel.channels.open(self._client, self._port, self._absent, self._later):
            self._later()

    def _absent(self, reason: str) -> None:
        """Nobody listens there, in a container that runs: its lab is coming up, or never will."""
        self._way.uneasy.set()
        if time.monotonic() > self._deadline:
            self._refused(reason)
        else:
            self._later(EVERY)

    def _later(self, seconds: float = 0.0) -> None:
        try:
            self._way.dialling.submit(self._dial, seconds)
        except RuntimeError:  # the way has just ended
            self._lost()

    def _dial(self, seconds: float) -> None:
        """Once there is a tunnel."""
        self._way.closed.wait(seconds)
        try:
            tunnel = self._way.tunnel(self._deadline)
        except UnreachableError:
            self._way.probe()
            self._lost()
        except TargetError as error:
            self._way.uneasy.set()
            self._refused(f"{error.message[:1].upper()}{error.message[1:]}.")
        except Exception:
            logging.getLogger(__name__).exception("a connection could not be carried")
            self._lost()
        else:
            if not tunnel.channels.open(self._client, self._port, self._absent, self._later):
                self._later(EVERY)
