"""A way to a place, held open: opened by a person or by itself, watched, and opened anew.

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

from ..errors import JupyterctlError, StartingError, TargetError, UnreachableError
from ..model import Link, LinkState, Phase, Profile, now
from ..target import load
from ..transport import routes
from ..transport.ssh.way import Ask, Question, RefusedError
from .pulse import BackOff, Pulse, Verdict
from .steps import Steps

if TYPE_CHECKING:
    from ..target import Distant
    from ..transport.linked import Opened
    from ..transport.ssh.way import Report

TICK = 0.25
WATCHED_SECONDS = 20.0
"""For how long somebody counts as looking who has looked or knocked."""
AT_ONCE = 6
"""Attempts that may overlap while somebody is looking."""
ANSWER_SECONDS = 2.6
"""How long the other side of a way that a person doubts may take over a sign of life."""
FRESH_SECONDS = 2.0
"""For how long a failure to open the way answers those who ask next."""
PATIENCE_SECONDS = 5.0
"""How long who asks nobody waits for another one's attempt, which may be a person's."""


class Opening:
    """One profile's way. `say` hears of every change of how it stands; what it carries is a subclass's."""

    def __init__(self, profile: Profile, given: dict[str, Any], say: Callable[[Link], object]) -> None:
        self.profile = profile
        self.target = cast("Distant", load(profile.kind).create(profile))
        self.given = given
        self._say = say
        self._link = Link(name=profile.name, state=LinkState.DOWN, pid=os.getpid(), since=now())
        self._lock = threading.RLock()
        self._carrier: Opened | None = None
        self._news = threading.Event()
        self._watched_until = 0.0
        self._urged = False
        self._refused: RefusedError | None = None
        self._failed: tuple[JupyterctlError | None, float] = (None, 0.0)
        """Why the last attempt failed, and when."""
        self._due = 0.0
        """When it is tried again by itself."""
        self._opening = threading.Lock()
        self._attempts = 0
        self._persons = 0
        """Attempts of persons that are going on."""
        self._closed = False
        threading.Thread(target=self.target.warm, daemon=True).start()
        threading.Thread(target=self._supervise, daemon=True).start()
        routes.listen(self.urge)

    def of(self, given: dict[str, Any]) -> bool:
        """Whether a profile is reached the same way; what else it says comes with each request."""
        other = cast("Distant", load(given["kind"]).create(profile_of(given)))
        return given["kind"] == self.profile.kind and other.route == self.target.route

    # -- what it carries ------------------------------------------------------------------------------------------

    @property
    def _wanted(self) -> bool:
        """Whether the way is to be open though nobody looks."""
        return False

    def _taken(self, carrier: Opened) -> None:
        """The way is open."""

    def _lost(self) -> None:
        """The way is gone."""

    def _prove(self, steps: Steps) -> None:
        """See that what it carries arrives."""

    def _tend(self) -> None:
        """At every look at a way that is open: see to what it carries."""

    # -- what others see -----------------------------------------------------------------------------------------------

    def link(self) -> Link:
        """How it stands."""
        with self._lock:
            carrier = self._carrier
            return structs.replace(
                self._link,
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
                coming=error is not None and isinstance(error.__cause__, StartingError),
                next_try=due,
            )
            link = self.link()
        self._say(link)

    # -- opening -------------------------------------------------------------------------------------------------------

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
            self._log_in_for(ask, steps.begin)
        if anew and self._wanted:
            self._prove(steps)

    def _log_in_for(self, ask: Ask, report: Report) -> None:
        """A person's attempt."""
        with self._lock:
            self._persons += 1
        try:
            self._log_in(ask, report)
        finally:
            with self._lock:
                self._persons -= 1
            self._news.set()

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
            if self._open_one() is None and self._refused is None and not self._closed:
                wait = self._due - time.monotonic()
                self._tell(LinkState.DOWN, error, next_try=wait if wait > 0 else None)
            raise

    def _open_one(self) -> Opened | None:
        with self._lock:
            return None if self._carrier is None or self._carrier.way.closed.is_set() else self._carrier

    def carrier(self, ask: Ask | None) -> Opened:
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

    def _opened(self, ask: Ask) -> Opened:
        if (carrier := self._open_one()) is not None:
            return carrier
        if self._refused is not None and self._wanted:
            raise self._refused
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
        return self._wanted

    def _take(self, carrier: Opened) -> None:
        """A way has been opened: it is the one from now on, unless another one is up already."""
        with self._lock:
            if self._closed or (self._carrier is not None and not self._carrier.way.closed.is_set()):
                carrier.close()
                return
            self._carrier = carrier
            self._refused = None
            self._failed = None, 0.0
            self._link = structs.replace(self._link, reconnects=self._link.reconnects + 1)
            self._taken(carrier)
        self._tell(LinkState.UP)
        self._news.set()

    def _refuse(self, error: RefusedError) -> None:
        self._refused = error
        self._tell(LinkState.REFUSED, error)
        self._news.set()

    # -- by itself -----------------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        while not self._closed:
            carrier = self._carrier
            if carrier is None:
                self._bring_back()
                continue
            why = self._watch(carrier)
            carrier.close()
            with self._lock:
                lost = self._carrier is carrier
                if lost:
                    self._carrier = None
                    self._lost()
            if lost and not self._closed:
                self._failed = UnreachableError(why, "it is opened again by itself"), 0.0
                self._tell(LinkState.DOWN, self._failed[0])

    def _watch(self, carrier: Opened) -> str:
        """Until the way is gone; why it is."""
        way = carrier.way
        pulse = Pulse(time.monotonic(), time.time())
        while not way.closed.wait(TICK if self._watched or self._urged else TICK * 4):
            if self._urged:
                self._urged = False
                pulse.urge(time.monotonic())
            verdict = pulse.look(time.monotonic(), time.time(), way.heard(), watched=self._watched)
            if verdict is Verdict.GONE:
                return "the other side no longer answers"
            if verdict is Verdict.ASK:
                threading.Thread(target=_ask, args=(carrier,), daemon=True).start()
            self._tend()
        return way.why or "the connection was closed"

    def _bring_back(self) -> None:
        """Try until the way is open, for a link or while somebody looks; only a person gets past a refusal.

        Without a link a person's own attempt is enough: another one beside it could cost them a second code.
        """
        back_off = BackOff(time.monotonic())
        while self._carrier is None and not self._closed:
            wanted = self._wanted or (self._watched and not self._persons)
            if self._refused is not None or not wanted:
                self._news.wait()
                self._news.clear()
                continue
            self._attempt()
            delay = back_off.next(time.monotonic(), watched=self._watched)
            with self._lock:
                self._due = time.monotonic() + delay
                if self._carrier is None and self._link.state is not LinkState.REFUSED:
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
        with self._lock:
            carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()
        self._news.set()


def _answers(carrier: Opened) -> bool:
    """Whether the other side gives a sign of life at once."""
    asked = time.monotonic()
    _ask(carrier)
    while time.monotonic() - asked < ANSWER_SECONDS:
        if carrier.way.heard() > asked:
            return True
        if carrier.way.closed.wait(0.01):
            return False
    return False


def _ask(carrier: Opened) -> None:
    with suppress(JupyterctlError):
        carrier.way.probe()


def _nobody(_: Question) -> None:
    return None


def profile_of(given: dict[str, Any]) -> Profile:
    """The profile as a request tells it."""
    settings = msgspec.convert(given["settings"], load(given["kind"]).Settings)
    return Profile(name=given["name"], kind=given["kind"], settings=settings)
