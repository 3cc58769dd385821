"""What a keeper holds for one profile: the way to its place, and the link of its lab over it.

A lab that does not answer is not gone: it is when the machine says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ..errors import JupyterctlError, TargetError, UnreachableError
from ..model import Address, Dial, Link, LinkState, Profile
from ..transport import jupyter_api
from .opening import AGAIN_SECONDS, ANSWER_SECONDS, Opening
from .steps import Steps

if TYPE_CHECKING:
    from ..transport.carrier import Carrier
    from ..transport.listener import Listener


class Holding(Opening):
    """The way and the link. `say` hears of every change of the link, `searched` of labs that had to be found anew."""

    def __init__(
        self,
        profile: Profile,
        given: dict[str, Any],
        say: Callable[[Link], object],
        searched: Callable[[], object] = lambda: None,
    ) -> None:
        self._searched = searched
        self.port: int | None = None
        self._listener: Listener | None = None
        self._dial: Dial | None = None
        self._problem: TargetError | None = None
        """Why the port cannot be listened on."""
        self._proving = threading.Lock()
        super().__init__(profile, given, say)

    def link(self) -> Link:
        """How it stands."""
        return structs.replace(super().link(), port=self.port)

    @property
    def _wanted(self) -> bool:
        return self.port is not None

    def _taken(self, carrier: Carrier) -> None:
        if self._listener is not None and self._dial is not None:
            self._listener.use(carrier.way, _destination(self._dial))

    def _lost(self) -> None:
        if self._listener is not None:
            self._listener.use(None)

    def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        self.stop_listening()
        super().close()

    def _story(self) -> str:
        link = self.link()
        return f"The way to `{link.name}` is {link.state.value}" + (f": {link.error}." if link.error else ".")

    def listen(self, port: int, dial: Dial | None = None) -> None:
        """Be reachable at a local port from now on, and lead to where the lab listens, as far as that is known.

        TargetError names who has the port; it is taken as soon as it is free.
        """
        from ..transport.listener import Listener

        with self._lock:
            if self.port != port:
                self.stop_listening()
            self._dial = dial or self._dial
            if self._listener is None:
                listener = Listener(port, wanted=self._knocked, absent=self._absent, story=self._story)
                self.port = port
                try:
                    listener.start()
                except TargetError as error:
                    self._await_port(error)
                    raise
                self._listener = listener
            if self._carrier is not None and self._dial is not None and self._listener is not None:
                self._listener.use(self._carrier.way, _destination(self._dial))
            freed, self._problem = self._problem is not None, None
            found = self._open_one() is not None and (dial is not None or freed)
        if found:
            self._tell(LinkState.UP)
        self._news.set()

    def _await_port(self, problem: TargetError) -> None:
        """Somebody has the port: say who, and look again."""
        begun, self._problem = self._problem is not None, problem
        self._tell(LinkState.DOWN, problem)
        if not begun:
            threading.Thread(target=self._listen_again, daemon=True).start()

    def _listen_again(self) -> None:
        while not self._closed and self._problem is not None:
            time.sleep(AGAIN_SECONDS)
            with self._lock, suppress(TargetError):
                if self._problem is not None and self.port is not None:
                    self.listen(self.port)

    def _tell(self, state: LinkState, error: JupyterctlError | None = None, next_try: float | None = None) -> None:
        """A link whose port is somebody else's is down, however its way is."""
        if self._problem is not None and state in {LinkState.UP, LinkState.DOWN}:
            state, error = LinkState.DOWN, self._problem
        super()._tell(state, error, next_try)

    def stop_listening(self) -> None:
        """Let go of the port."""
        with self._lock:
            listener, self._listener, self.port, self._dial = self._listener, None, None, None
            self._problem = None
        if listener is not None:
            listener.stop()

    def take_over(self, before: Holding) -> None:
        """Go on with what another one has held, by another way."""
        port = before.port
        before.close()
        if port is not None:
            self.listen(port)

    def _prove(self, steps: Steps, *, again: bool) -> None:
        """See that the lab answers through the link, finding it anew where it does not listen where it did.

        `again`: one that is gone is started again where the profile wants that.
        """
        if self._dial is None or not self._answers():
            steps.begin("server", "")
            self._find(again=again)
        steps.begin("tunnel", f"127.0.0.1:{self.port}")
        listener, carrier, dial = self._listener, self._carrier, self._dial
        if listener is None or carrier is None or dial is None:
            raise UnreachableError(f"the way to `{self.profile.name}` was lost again", "try again")
        listener.use(carrier.way, _destination(dial))
        self._tell(LinkState.UP)
        steps.begin("http", "")
        jupyter_api.status(self._address(dial), ANSWER_SECONDS)

    def _answers(self) -> bool:
        """Whether the lab answers where it was; asked again is the machine only where it does not."""
        if self._dial is None:
            return False
        try:
            jupyter_api.status(self._address(self._dial), ANSWER_SECONDS)
        except JupyterctlError:
            return False
        return True

    def _address(self, dial: Dial) -> Address:
        return Address(url=f"http://127.0.0.1:{self.port}{dial.base_url}", token=dial.token)

    def _find(self, *, again: bool) -> None:
        """Ask the machine where the lab listens; who has said it meanwhile knows better."""
        carrier, before = self._carrier, self._dial
        if carrier is None:
            raise UnreachableError(f"`{self.profile.name}` is not connected")
        try:
            found = self.target.dial(carrier, again=again)
        except JupyterctlError as error:
            if not isinstance(error, UnreachableError) and self._now_at(before, None):
                self._tell(LinkState.GONE, error)
            raise
        if self._now_at(before, found):
            self._searched()

    def _now_at(self, before: Dial | None, found: Dial | None) -> bool:
        with self._lock:
            unchanged = self._dial is before
            if unchanged:
                self._dial = found
            return unchanged

    def _absent(self) -> None:
        """The machine has said that nobody listens where the lab did."""
        threading.Thread(target=self._prove_quietly, kwargs={"again": False}, daemon=True).start()

    def _prove_quietly(self, *, again: bool) -> None:
        """One at a time: its own requests may find the lab absent too."""
        if self._proving.acquire(blocking=False):
            try:
                with suppress(JupyterctlError):
                    self._prove(Steps(lambda _: None), again=again)
            finally:
                self._proving.release()


def _destination(dial: Dial) -> Any:
    return dial.socket or (dial.host, dial.port)
