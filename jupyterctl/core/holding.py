"""What a keeper holds for one profile: the way to its place, and the link of its lab over it.

A lab that does not answer is not gone: it is when the machine says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from ..errors import JupyterctlError, TargetError, UnreachableError
from ..model import Dial, Link, LinkState, Profile
from ..target import load
from .near_end import GoneError, NearEnd
from .opening import Opening, profile_of
from .steps import Steps

if TYPE_CHECKING:
    from ..target import Distant
    from ..transport.linked import Opened

AGAIN_SECONDS = 2.0
"""Between looks for a lab that is not where it was, and tries for a port that is taken."""


class Holding(Opening):
    """The way and the link. `say` hears of every change of the link."""

    def __init__(self, profile: Profile, given: dict[str, Any], say: Callable[[Link], object]) -> None:
        self._end = NearEnd(knocked=self._knocked, story=self._story, absent=self._doubt_lab)
        self._doubted = False
        """Whether the lab may not be where it was."""
        self._anew = False
        """Whether the way has been opened since the lab was last found: its machine may have been started anew."""
        self._proved = 0.0
        """When the lab was last looked for."""
        super().__init__(profile, given, say)

    @property
    def port(self) -> int | None:
        """The link's on this machine, None where there is no link."""
        return self._end.port

    def link(self) -> Link:
        """How it stands."""
        return structs.replace(super().link(), port=self.port)

    @property
    def _wanted(self) -> bool:
        return self.port is not None

    def _tell(self, state: LinkState, error: JupyterctlError | None = None, next_try: float | None = None) -> None:
        """A link whose port is another program's is down, however its way is."""
        problem = self._end.problem
        if problem is not None and state in {LinkState.UP, LinkState.DOWN}:
            state, error = LinkState.DOWN, problem
        super()._tell(state, error, next_try)

    def _story(self) -> str:
        link = self.link()
        return f"The way to `{link.name}` is {link.state.value}" + (f": {link.error}." if link.error else ".")

    def _taken(self, carrier: Opened) -> None:
        self._anew = self._doubted = True
        self._proved = 0.0
        self._end.carry(carrier)

    def _lost(self) -> None:
        self._end.carry(None)

    def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        self.stop_listening()
        super().close()

    # -- the port -------------------------------------------------------------------------------------------------

    def listen(self, port: int, dial: Dial | None = None) -> None:
        """Be reachable at a local port from now on, and lead to where the lab listens, as far as that is known.

        TargetError names who has the port; it is taken as soon as it is free.
        """
        with self._lock:
            waiting = self._end.problem is not None
            try:
                self._end.listen(port, dial)
            except TargetError as error:
                self._tell(LinkState.DOWN, error)
                if not waiting:
                    threading.Thread(target=self._await_port, daemon=True).start()
                raise
            self._end.carry(self._carrier)
            if self._carrier is not None and (dial is not None or waiting):
                self._tell(LinkState.UP)
        self._news.set()

    def _await_port(self) -> None:
        """Take the port as soon as it is free."""
        while not self._closed and self._end.problem is not None and self.port is not None:
            time.sleep(AGAIN_SECONDS)
            with self._lock, suppress(TargetError):
                if self._end.problem is not None and self.port is not None:
                    self.listen(self.port)

    def stop_listening(self) -> None:
        """Let go of the port."""
        with self._lock:
            self._end.stop()

    def take_over(self, before: Holding) -> None:
        """Go on with what another one has held, by another way."""
        port = before.port
        before.close()
        if port is not None:
            self.listen(port)

    def learn(self, given: dict[str, Any]) -> None:
        """What the profile says now of the lab that the link leads to; the way is the same."""
        if given != self.given:
            self.given, self.profile = given, profile_of(given)
            self.target = cast("Distant", load(given["kind"]).create(self.profile))

    # -- the lab --------------------------------------------------------------------------------------------------

    def _prove(self, steps: Steps) -> None:
        """See that the lab answers through the link, wherever it is now."""
        carrier = self._open_one()
        if carrier is None:
            raise UnreachableError(f"the way to `{self.profile.name}` was lost again", "try again")
        try:
            self._end.prove(self.target, carrier, steps, anew=self._anew)
        except GoneError as error:
            self._anew = False
            self._tell(LinkState.GONE, error)
            raise
        self._anew = False
        self._tell(LinkState.UP)

    def _doubt_lab(self) -> None:
        """Somebody came who found nobody where the lab was."""
        self._doubted = True

    def _tend(self) -> None:
        """Look for the lab where it may not be where it was; one that is gone, as long as somebody is looking."""
        carrier = self._carrier
        if carrier is not None and carrier.uneasy.is_set():
            carrier.uneasy.clear()
            self._doubted = True
        wanted = self._doubted or (self._watched and self._link.state is LinkState.GONE)
        if wanted and self._wanted and time.monotonic() - self._proved > AGAIN_SECONDS:
            self._doubted, self._proved = False, time.monotonic()
            threading.Thread(target=self._prove_quietly, daemon=True).start()

    def _prove_quietly(self) -> None:
        try:
            self._prove(Steps(lambda _: None))
        except UnreachableError:
            self._doubted = True
        except JupyterctlError:
            return
