"""One way to a place, held open: opened by a person or by itself, watched, opened anew; and the link that it carries.

Who opens it decides what may be asked: a person's own attempt can put questions, the keeper's attempts cannot, and
end in `refused`, which only a person's next attempt gets out of. Attempts may overlap: the first one is taken.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import structs

from ..errors import JupyterctlError, TargetError, UnreachableError
from ..model import Dial, Link, LinkState, Phase, Profile, now
from ..target import load
from ..transport import routes
from ..transport.ssh.way import Ask, Question, RefusedError
from .near_end import GoneError, NearEnd
from .pulse import BackOff, Pulse, Verdict
from .steps import Steps, told

if TYPE_CHECKING:
    from ..target import Distant
    from ..transport.carrier import Carrier

TICK = 0.25
WATCHED_SECONDS = 20.0
"""For how long somebody counts as looking who has looked or knocked."""
AT_ONCE = 4
"""Attempts that may overlap while somebody is looking."""
ANSWER_SECONDS = 3.0
"""How long the other side of a way that is doubted may take to give a sign of life."""
AGAIN_SECONDS = 2.0
"""Between looks for a lab that is not where it was, and tries for a port that is taken."""
FRESH_SECONDS = 2.0
"""For how long a failure to open the way answers those who ask next."""


class Holding:
    """What a keeper holds for one profile. `say` hears of every change of the link."""

    def __init__(self, profile: Profile, given: dict[str, Any], say: Callable[[Link], object]) -> None:
        self.profile = profile
        self.target = cast("Distant", load(profile.kind).create(profile))
        self.given = given
        self._end = NearEnd(self.target, knocked=self._knocked, story=self._story, refused=self._doubt_lab)
        self._say = say
        self._link = Link(name=profile.name, state=LinkState.DOWN, pid=os.getpid(), since=now())
        self._lock = threading.RLock()
        self._carrier: Carrier | None = None
        self._news = threading.Event()
        self._watched_until = 0.0
        self._urged = False
        self._refused: RefusedError | None = None
        self._failed: tuple[JupyterctlError | None, float] = (None, 0.0)
        """Why the last attempt failed, and when."""
        self._opening = threading.Lock()
        self._attempts = 0
        self._doubted = False
        """Whether the lab may not be where it was."""
        self._anew = False
        """Whether the way has been opened since the lab was last found: its machine may have been started anew."""
        self._proved = 0.0
        """When the lab was last looked for."""
        self._closed = False
        threading.Thread(target=self._supervise, daemon=True).start()
        routes.listen(self.urge)

    def of(self, given: dict[str, Any]) -> bool:
        """Whether a profile is reached the same way; what else it says comes with each request."""
        other = cast("Distant", load(given["kind"]).create(profile_of(given)))
        return given["kind"] == self.profile.kind and other.route == self.target.route

    @property
    def port(self) -> int | None:
        """The link's on this machine, None where there is no link."""
        return self._end.port

    # -- what others see ------------------------------------------------------------------------------------------

    def link(self) -> Link:
        """How it stands."""
        with self._lock:
            carrier = self._carrier
            return structs.replace(
                self._link,
                port=self._end.port,
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
            if state is LinkState.DOWN:
                error = self._end.problem or error
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
        """Open the way for a person; `anew` doubts one that seems to be open, and proves the link."""
        self.looked_at()
        yield from told(lambda steps: self._open(ask, steps, anew=anew))

    def _open(self, ask: Ask, steps: Steps, *, anew: bool) -> None:
        carrier = self._carrier
        if carrier is not None and anew and not _answers(carrier):
            carrier.close()
        if carrier is None or carrier.way.closed.is_set():
            try:
                self._take(self.target.open(ask, steps.begin))
            except RefusedError as error:
                self._refuse(error)
                raise
            except UnreachableError as error:
                self._failed = error, time.monotonic()
                raise
        if anew and self.port is not None:
            self._prove(steps)

    def carrier(self, ask: Ask) -> Carrier:
        """The open way, opened for a person where it is not; what could not be opened just now is not tried again.

        What was refused while a link is held up waits for `open`.
        """
        self.looked_at()
        with self._opening:
            carrier = self._carrier
            if carrier is not None and not carrier.way.closed.is_set():
                return carrier
            if self._refused is not None and self.port is not None:
                raise self._refused
            failed, when = self._failed
            if failed is not None and time.monotonic() - when < FRESH_SECONDS:
                raise failed
            self._open(ask, Steps(lambda _: None), anew=False)
            return self._there()

    def _there(self) -> Carrier:
        carrier = self._carrier
        if carrier is None:
            raise UnreachableError(f"the way to `{self.profile.name}` was lost again", "try again")
        return carrier

    def _take(self, carrier: Carrier) -> None:
        """A way has been opened: it is the one from now on, unless another one is up already."""
        with self._lock:
            if self._closed or (self._carrier is not None and not self._carrier.way.closed.is_set()):
                carrier.close()
                return
            self._carrier = carrier
            self._refused = None
            self._failed = None, 0.0
            self._anew = True
            self._link = structs.replace(self._link, reconnects=self._link.reconnects + 1)
            self._end.carry(carrier)
        self._tell_up()
        self._news.set()

    def _refuse(self, error: RefusedError) -> None:
        self._refused = error
        self._tell(LinkState.REFUSED, error)
        self._news.set()

    # -- the link -------------------------------------------------------------------------------------------------

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
                self._tell_up()
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
            self.target = self._end.target = cast("Distant", load(given["kind"]).create(self.profile))

    def _prove(self, steps: Steps) -> None:
        """See that the lab answers through the link, wherever it is now."""
        carrier = self._there()
        try:
            self._end.prove(carrier, steps, anew=self._anew)
        except GoneError as error:
            self._anew = False
            self._tell(LinkState.GONE, error)
            raise
        self._anew = False
        self._tell_up()

    def _tell_up(self) -> None:
        """The way is up; whether the link is depends on its port."""
        self._tell(LinkState.DOWN if self._end.problem else LinkState.UP)

    def _doubt_lab(self) -> None:
        """Somebody came who found nobody where the lab was."""
        self._doubted = True

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
                lost = self._carrier is carrier
                if lost:
                    self._carrier = None
                    self._end.carry(None)
            if lost and not self._closed:
                self._failed = UnreachableError(why, "it is opened again by itself"), 0.0
                self._tell(LinkState.DOWN, self._failed[0])

    def _watch(self, carrier: Carrier) -> str:
        """Until the way is gone; why it is."""
        way = carrier.way
        pulse = Pulse(time.monotonic(), time.time())
        self._doubted, self._proved = self.port is not None, 0.0
        while not way.closed.wait(TICK if self._watched or self._urged else TICK * 4):
            if self._urged:
                self._urged = False
                pulse.urge(time.monotonic())
            verdict = pulse.look(time.monotonic(), time.time(), way.heard(), watched=self._watched)
            if verdict is Verdict.GONE:
                return "the other side no longer answers"
            if verdict is Verdict.ASK:
                threading.Thread(target=_ask, args=(carrier,), daemon=True).start()
            if self._lab_is_due():
                self._doubted, self._proved = False, time.monotonic()
                threading.Thread(target=self._prove_quietly, daemon=True).start()
        return way.why or "the connection was closed"

    def _lab_is_due(self) -> bool:
        """Whether the lab is to be looked for now: one that is gone is as long as somebody is looking."""
        wanted = self._doubted or (self._watched and self._link.state is LinkState.GONE)
        return wanted and self.port is not None and time.monotonic() - self._proved > AGAIN_SECONDS

    def _prove_quietly(self) -> None:
        try:
            self._prove(Steps(lambda _: None))
        except UnreachableError:
            self._doubted = True
        except JupyterctlError:
            return

    def _bring_back(self) -> None:
        """Try until the way is open; only a link is worth it, and only a person gets past a refusal."""
        back_off = BackOff(time.monotonic())
        while self._carrier is None and not self._closed:
            if self.port is None or self._refused is not None:
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
            self._take(self.target.open(_nobody, lambda *_: None))
        except RefusedError as error:
            if self._carrier is None:
                self._refuse(error)
        except JupyterctlError as error:
            self._failed = error, time.monotonic()
            if self._carrier is None and self._refused is None and not self._closed:
                self._tell(LinkState.DOWN, error)
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


def profile_of(given: dict[str, Any]) -> Profile:
    """The profile as a request tells it."""
    settings = msgspec.convert(given["settings"], load(given["kind"]).Settings)
    return Profile(name=given["name"], kind=given["kind"], settings=settings)
