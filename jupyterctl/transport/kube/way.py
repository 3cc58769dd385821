"""The way to a lab's pod: every connection is a port-forward of its own, dialled when a client comes.

So the link outlives pods, API servers and proxies that cut what is idle: the next connection finds whatever is there
then. The API server is asked for the pod from time to time; an answer is the way's sign of life, and a pod that is not
what it was makes the keeper look for the lab.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ...errors import TargetError, UnreachableError
from ..linked import Caller, Contact
from ..ssh.pump import Pump
from ..ssh.way import RefusedError
from . import lab_manifest, lab_state, pods
from .api import Cluster, ForbiddenError, MissingError
from .carried import Carried

PROBE_SECONDS = (3.0, 5.0)
"""How long a probe may take to connect, and to be answered."""
DIALS = 64
"""Connections that are dialled, or wait for the pod, at once."""
SWEEP_SECONDS = 2.0
EVERY = 0.5
"""Seconds between looks at a pod that clients wait for."""


class Way(Contact):
    """The API server and one lab behind it; `uneasy` is set where the pod is not what it was."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        host = cluster.client.configuration.host
        super().__init__(f"port-forward by way of {host}, namespace {cluster.namespace}")
        self.cluster = cluster
        self.name = name
        self.pump = Pump("pod-pump")
        self.dialling = ThreadPoolExecutor(DIALS, thread_name_prefix="pod-dial")
        self._pod: tuple[Any, ...] | None = None
        self._carried: set[Carried] = set()
        self._lock = threading.Lock()
        self._seen: tuple[float, str | None] = (0.0, None)
        threading.Thread(target=self._sweep, name="pod-sweep", daemon=True).start()

    # -- signs of life -----------------------------------------------------------------------------------------------

    def first(self) -> None:
        """The first probe: UnreachableError where nobody answers, RefusedError where we may not even look."""
        try:
            self._look()
        except ForbiddenError as error:
            raise RefusedError(error.message, error.hint) from error

    def probe(self) -> None:
        """Ask for the pod; what is not reached at all is gone."""
        try:
            self._look()
        except UnreachableError as error:
            if isinstance(error.__cause__, (ConnectionRefusedError, socket.gaierror)) or _refused(error):
                self.give_up(error.message)
        except TargetError:
            self.hear()

    def _look(self) -> None:
        asked = time.monotonic()
        pod: dict[str, Any] | None = None
        with suppress(MissingError):
            pod = self.cluster.ask(
                self.cluster.pods.get,
                lab_manifest.pod_of(self.name),
                self.cluster.namespace,
                _request_timeout=PROBE_SECONDS,
            )
        self.hear()
        self._trip = time.monotonic() - asked
        found = _fingerprint(pod)
        if self._pod is not None and found != self._pod:
            self.uneasy.set()
        self._pod = found

    def close(self) -> None:
        """Let go of everything."""
        self.give_up("it was closed")
        with self._lock:
            carried, self._carried = self._carried, set()
        for one in carried:
            one.end()
        self.pump.stop()
        self.dialling.shutdown(wait=False)

    # -- connections -------------------------------------------------------------------------------------------------

    def carry(self, caller: Caller) -> None:
        """Dial for it."""
        Carried(self, caller).begin()

    def carrying(self, one: Carried) -> bool:
        """Keep a connection until it ends; False where the way has."""
        with self._lock:
            if self.closed.is_set():
                return False
            self._carried.add(one)
            return True

    def dropped(self, one: Carried) -> None:
        """It has ended."""
        with self._lock:
            self._carried.discard(one)

    def await_pod(self, deadline: float) -> str:
        """Until the pod is ready; empty then, else why it is not. UnreachableError where nobody can tell."""
        self.uneasy.set()
        while True:
            with self._lock:  # who waits for the same need not ask for the same
                when, why = self._seen
                if time.monotonic() - when > EVERY:
                    why = self._state()
                    self._seen = time.monotonic(), why
            if why is None:
                return ""
            if why.startswith(STOPPED) or time.monotonic() > deadline or self.closed.wait(EVERY):
                return why

    def _state(self) -> str | None:
        """Why the lab does not answer; None where it should."""
        lab = lab_state.look(self.cluster, self.name)
        self.hear()
        if lab is None or not lab.wanted or lab.rests:
            return STOPPED
        if lab.ready:
            return None
        return lab_state.waits_for(lab, lab_state.events(self.cluster, lab.set, lab.pod))

    def _sweep(self) -> None:
        while not self.closed.wait(SWEEP_SECONDS):
            with self._lock:
                carried = list(self._carried)
            for one in carried:
                one.look(time.monotonic())


STOPPED = "the lab is stopped"


def _fingerprint(pod: dict[str, Any] | None) -> tuple[Any, ...]:
    """What makes a pod another one to those who use it."""
    if pod is None:
        return ()
    ready = pods.condition(pod, "Ready").get("status")
    return pod["metadata"]["uid"], ready, pods.main(pod).get("containerID"), "deletionTimestamp" in pod["metadata"]


def _refused(error: BaseException | None) -> bool:
    """Whether nobody listens where the API server was."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError) or "Connection refused" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
