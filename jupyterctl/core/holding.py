"""One way to a place, held open: opened by a person or by itself, watched, opened anew; and the link that it carries.

Who opens it decides what may be asked: a person's own attempt can put questions, the keeper's attempts cannot, and
end in `refused`, which only a person's next attempt gets out of. Attempts may overlap: the first one is taken.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import structs

from ..errors import JupyterctlError, TargetError, UnreachableError
from ..model import Address, Dial, Link, LinkState, Phase, Profile, now
from ..target import load
from ..transport import jupyter_api, routes
from ..transport.ssh.way import Ask, Question, RefusedError
from .pulse import BackOff, Pulse, Verdict
from .steps import Steps

if TYPE_CHECKING:
    from ..target import Distant
    from ..transport.carrier import Carrier
    from ..transport.listener import Listener
    from ..transport.ssh.way import Report

TICK = 0.25
WATCHED_SECONDS = 20.0
"""For how long somebody counts as looking who has looked or knocked."""
AT_ONCE = 4
"""Attempts that may overlap while somebody is looking."""
ANSWER_SECONDS = 3.0
"""How long the lab may take to answer through the link."""
FRESH_SECONDS = 2.0
"""For how long a failure to open the way answers those who ask next."""
PATIENCE_SECONDS = 5.0
"""How long who asks nobody waits for another one's attempt, which may be a person's."""


class Holding:
    """What a keeper holds for one profile. `say` hears of every change of the link."""

    def __init__(self, profile: Profile, given: dict[str, Any], say: Callable[[Link], object]) -> None:
        self.profile = profile
        self.target = cast("Distant", load(profile.kind).create(profile))
        self.given = given
        self.port: int | None = None
        self._say = say
        self._link = Link(name=profile.name, state=LinkState.DOWN, pid=os.getpid(), since=now())
        self._lock = threading.RLock()
        self._carrier: Carrier | None = None
        self._proving = threading.Lock()
        self._news = threading.Event()
        self._watched_until = 0.0
        self._urged = False
        self._refused: RefusedError | None = None
        self._failed: tuple[JupyterctlError | None, float] = (None, 0.0)
        """Why the last attempt failed, and when."""
        self._opening = threading.Lock()
        self._attempts = 0
        self._listener: Listener | None = None
        self._dial: Dial | None = None
        self._closed = False
        threading.Thread(target=self._supervise, daemon=True).start()
        routes.listen(self.urge)

    def of(self, given: dict[str, Any]) -> bool:
        """Whether a profile is reached the same way; what else it says comes with each request."""
        other = cast("Distant", load(given["kind"]).create(profile_of(given)))
        return given["kind"] == self.profile.kind and other.route == self.target.route

    # -- what others see ------------------------------------------------------------------------------------------

    def link(self) -> Link:
        """How it stands."""
        with self._lock:
            carrier = self._carrier
            return structs.replace(
                self._link,
                port=self.port,
                round_trip=carrier.way.round_trip() if carrier else None,
                way=carrier.way.description if carrier else "",
            )

    def looked_at(self) -> None:
        """Somebody is looking: be quick for a while."""
        self._watched_until = time.monotonic() + WATCHED_SECONDS

    def urge(self) -> None:
        """Doubt the way, and try again at once where it is down."""
        self._urged = True
        self._news.set()

    def _knocked(self) -> None:
        self.looked_at()
        self._news.set()

    @property
    def _watched(self) -> bool:
        return time.monotonic() < self._watched_until

    def _tell(self, state: LinkState, error: JupyterctlError | None = None, next_try: float | None = None) -> None:
        with self._lock:
            since = self._link.since if state is self._link.state else now()
            due = None if next_try is None else (datetime.now(UTC) + timedelta(seconds=next_try)).isoformat()
            self._link = structs.replace(
                self._link,
                state=state,
                since=since,
                error=error.message if error else None,
                hint=error.hint if error else "",
                next_try=due,
            )
            link = self.link()
        self._say(link)

    def _story(self) -> str:
        link = self.link()
        return f"The way to `{link.name}` is {link.state.value}" + (f": {link.error}." if link.error else ".")

    # -- opening --------------------------------------------------------------------------------------------------

    def open(self, ask: Ask, *, anew: bool) -> Iterator[Phase]:
        """Open the way and prove the link, for a person; `anew` doubts a way that seems to be open."""
        told: queue.SimpleQueue[Phase | JupyterctlError | None] = queue.SimpleQueue()
        steps = Steps(told.put)

        def work() -> None:
            try:
                self._open(ask, steps, anew=anew)
                steps.done()
                told.put(None)
            except JupyterctlError as error:
                steps.failed(error)
                told.put(error)

        self.looked_at()
        threading.Thread(target=work, daemon=True).start()
        while (item := told.get()) is not None:
            if isinstance(item, JupyterctlError):
                raise item
            yield item

    def _open(self, ask: Ask, steps: Steps, *, anew: bool) -> None:
        carrier = self._carrier
        if carrier is not None and anew and not _answers(carrier):
            carrier.close()
        if self._open_one() is None:
            self._log_in(ask, steps.begin)
        if anew and self._listener is not None:
            self._prove(steps, again=True)

    def _log_in(self, ask: Ask, report: Report) -> None:
        """One attempt; others hear of what it ends in, unless one of them was luckier."""
        try:
            self._take(self.target.open(ask, report))
        except RefusedError as error:
            if self._open_one() is None:
                self._refuse(error)
            raise
        except JupyterctlError as error:
            self._failed = error, time.monotonic()
            if self._open_one() is None and not self._closed:
                self._tell(LinkState.DOWN, error)
            raise

    def _open_one(self) -> Carrier | None:
        with self._lock:
            return None if self._carrier is None or self._carrier.way.closed.is_set() else self._carrier

    def carrier(self, ask: Ask | None) -> Carrier:
        """The open way, opened for a person where it is not; what could not be opened just now is not tried again.

        With nobody to ask (None), UnreachableError comes at once while it is being tried by itself.
        """
        if (carrier := self._open_one()) is not None:
            return carrier
        if ask is None and self._link.error and self._in_hand():
            raise UnreachableError(self._link.error, self._link.hint)
        if not self._opening.acquire(timeout=-1 if ask else PATIENCE_SECONDS):
            raise UnreachableError(f"the way to `{self.profile.name}` is being opened", "answer what it asks for")
        try:
            return self._opened(ask or _nobody)
        except TargetError as error:
            raise error if ask else UnreachableError(error.message, error.hint) from error
        finally:
            self._opening.release()

    def _opened(self, ask: Ask) -> Carrier:
        if (carrier := self._open_one()) is not None:
            return carrier
        failed, when = self._failed
        if failed is not None and time.monotonic() - when < FRESH_SECONDS:
            raise failed
        self.looked_at()
        self._open(ask, Steps(lambda _: None), anew=False)
        if (carrier := self._open_one()) is None:
            raise UnreachableError(f"the way to `{self.profile.name}` was lost again", "try again")
        return carrier

    def _in_hand(self) -> bool:
        """Whether it is tried without us, or only a person can open it."""
        if self._watched or self._refused is not None:
            self._knocked()
            return True
        return self._listener is not None

    def _take(self, carrier: Carrier) -> None:
        """A way has been opened: it is the one from now on, unless another one is up already."""
        with self._lock:
            if self._closed or (self._carrier is not None and not self._carrier.way.closed.is_set()):
                carrier.close()
                return
            self._carrier = carrier
            self._refused = None
            self._failed = None, 0.0
            self._link = structs.replace(self._link, reconnects=self._link.reconnects + 1)
            if self._listener is not None and self._dial is not None:
                self._listener.use(carrier.way, _destination(self._dial))
        self._tell(LinkState.UP)
        self._news.set()

    def _refuse(self, error: RefusedError) -> None:
        self._refused = error
        self._tell(LinkState.REFUSED, error)
        self._news.set()

    # -- the link -------------------------------------------------------------------------------------------------

    def listen(self, port: int, dial: Dial | None = None) -> None:
        """Be reachable at a local port from now on, and lead to where the lab listens, as far as that is known.

        TargetError names who has the port.
        """
        from ..transport.listener import Listener

        with self._lock:
            if self.port != port:
                self.stop_listening()
                listener = Listener(port, wanted=self._knocked, absent=self._absent, story=self._story)
                listener.start()
                self._listener, self.port = listener, port
            self._dial = dial or self._dial
            if self._carrier is not None and self._dial is not None and self._listener is not None:
                self._listener.use(self._carrier.way, _destination(self._dial))
            found_again = dial is not None and self._link.state is LinkState.GONE
        if found_again:
            self._tell(LinkState.UP)
        self._news.set()

    def stop_listening(self) -> None:
        """Let go of the port."""
        with self._lock:
            listener, self._listener, self.port, self._dial = self._listener, None, None, None
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
        steps.begin("http", "")
        try:
            jupyter_api.status(self._address(dial), ANSWER_SECONDS)
        except JupyterctlError as error:
            self._tell(LinkState.GONE, error)
            raise
        self._tell(LinkState.UP)

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
            if self._now_at(before, None) and not isinstance(error, UnreachableError):
                self._tell(LinkState.GONE, error)
            raise
        self._now_at(before, found)

    def _now_at(self, before: Dial | None, found: Dial | None) -> bool:
        with self._lock:
            unchanged = self._dial is before
            if unchanged:
                self._dial = found
            return unchanged

    def _absent(self) -> None:
        """The machine has said that nobody listens where the lab did."""
        threading.Thread(target=self._prove_quietly, kwargs={"again": False}, daemon=True).start()

    # -- by itself ------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        while not self._closed:
            carrier = self._carrier
            if carrier is None:
                self._bring_back()
                continue
            why = self._watch(carrier)
            carrier.close()
            with self._lock:
                self._carrier = None
                if self._listener is not None:
                    self._listener.use(None)
            if not self._closed:
                self._tell(LinkState.DOWN, UnreachableError(why))

    def _watch(self, carrier: Carrier) -> str:
        """Until the way is gone; why it is."""
        way = carrier.way
        pulse = Pulse(time.monotonic(), time.time())
        proven = self._listener is None
        while not way.closed.wait(TICK if self._watched or self._urged else TICK * 4):
            if self._urged:
                self._urged = False
                pulse.urge(time.monotonic())
            verdict = pulse.look(time.monotonic(), time.time(), way.heard(), watched=self._watched)
            if verdict is Verdict.GONE:
                return "the other side no longer answers"
            if verdict is Verdict.ASK:
                threading.Thread(target=_ask, args=(carrier,), daemon=True).start()
            if not proven:
                proven = True
                threading.Thread(target=self._prove_quietly, kwargs={"again": True}, daemon=True).start()
        return way.why or "the connection was closed"

    def _prove_quietly(self, *, again: bool) -> None:
        """One at a time: its own requests may find the lab absent too."""
        if self._proving.acquire(blocking=False):
            try:
                with suppress(JupyterctlError):
                    self._prove(Steps(lambda _: None), again=again)
            finally:
                self._proving.release()

    def _bring_back(self) -> None:
        """Try until the way is open, for a link or while somebody looks; only a person gets past a refusal."""
        back_off = BackOff(time.monotonic())
        while self._carrier is None and not self._closed:
            if self._refused is not None or not (self._listener or self._watched):
                self._news.wait()
                self._news.clear()
                continue
            self._attempt()
            delay = back_off.next(time.monotonic(), watched=self._watched)
            if self._link.state is not LinkState.REFUSED:
                self._tell(LinkState.DOWN, self._failed[0], next_try=delay)
            self._news.clear()
            if self._news.wait(delay):
                self._news.clear()
                self._urged = False

    def _attempt(self) -> None:
        """Start an attempt of our own, unless enough of them are going on."""
        with self._lock:
            if self._attempts >= (AT_ONCE if self._watched else 1):
                return
            self._attempts += 1
        threading.Thread(target=self._try, daemon=True).start()

    def _try(self) -> None:
        try:
            with suppress(JupyterctlError):
                self._log_in(_nobody, lambda *_: None)
        finally:
            with self._lock:
                self._attempts -= 1

    def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        self.stop_listening()
        with self._lock:
            carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()
        self._news.set()


def _answers(carrier: Carrier) -> bool:
    """Whether the other side gives a sign of life at once."""
    asked = time.monotonic()
    _ask(carrier)
    while time.monotonic() - asked < ANSWER_SECONDS:
        if carrier.way.heard() > asked:
            return True
        if carrier.way.closed.wait(0.01):
            return False
    return False


def _ask(carrier: Carrier) -> None:
    with suppress(JupyterctlError):
        carrier.way.probe()


def _nobody(_: Question) -> None:
    return None


def _destination(dial: Dial) -> Any:
    return dial.socket or (dial.host, dial.port)


def profile_of(given: dict[str, Any]) -> Profile:
    """The profile as a request tells it."""
    settings = msgspec.convert(given["settings"], load(given["kind"]).Settings)
    return Profile(name=given["name"], kind=given["kind"], settings=settings)
