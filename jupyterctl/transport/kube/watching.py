"""One run's Job and pods, looked at as often as it pays, and its journal out of their logs."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from ...errors import TargetError, UnreachableError
from ...model import Fate, RunState
from .. import contained
from . import attempts, pods, streams
from .api import ConflictError, ForbiddenError
from .attempts import Anchor, Attempt
from .held import EVERY, Alone
from .logs import Log

EVENTS_AFTER = 2.0
"""Seconds that a pod may be on its way before the cluster's events are asked for the reason."""
EVENTS_EVERY = 2.0
"""Seconds between two questions for them."""

Object = dict[str, Any]


class Watch:
    """What is known of one run."""

    def __init__(self, holder: Alone, patience: float) -> None:
        self.holder = holder
        self.cluster = holder.cluster
        self.job: Object | None = None
        self.pods: list[Object] = []
        self._patience = patience
        self._logs: dict[str, Log] = {}
        self._anchors: list[Anchor] = []
        self._looked = 0.0
        self._asked = False
        self._warned: tuple[float, str, list[Object]] = (0.0, "", [])
        """When the cluster was last asked for warnings, of which object, and what it said."""

    # -- the cluster's side ------------------------------------------------------------------------------------------

    def look(self, *, anew: bool = False) -> None:
        """See how the Job and its pods are, unless that was done a moment ago."""
        if not anew and time.monotonic() - self._looked < EVERY:
            return
        self.job, self.pods = self.holder.found(anew=anew)
        self._looked = time.monotonic()

    @property
    def pod(self) -> Object | None:
        """The newest one."""
        return self.pods[-1] if self.pods else None

    def running(self) -> Object | None:
        """The pod whose container runs, if there is one."""
        pod = self.pod
        return pod if pod and main_runs(pod) else None

    @property
    def settled(self) -> bool:
        """Whether the Job makes no pod any more, or is not there."""
        return self.job is None or self.holder.settled(self.job)

    @property
    def again(self) -> bool:
        """Whether another attempt may follow the one that is the last now."""
        return not self.settled and bool(self.job and self.holder.retries(self.job))

    # -- the journal -------------------------------------------------------------------------------------------------

    def journal(self, offset: int) -> tuple[bytes, bool]:
        """Bytes from the offset on, and whether no more can come."""
        self.look()
        self._anchor(offset)
        made = self._attempts()
        stream = attempts.joined(made, again=self.again)
        self._asked = True
        if attempts.final(stream) or (attempts.last_word(stream) and not self.again):
            self.close()
        return stream[offset:], self._over(made)

    def _over(self, made: list[Attempt]) -> bool:
        pod = self.pod
        if pod is None:
            return self.settled or bool(self.job and self.holder.late(self.job, self._patience))
        if pods.over(pod):
            return self._log(pod).complete and (self.settled or not (self.again or self._taken(pod)))
        if self.job is None and not main_runs(pod):  # it is on its way out, and has never begun
            return True
        return self.stuck() is not None or (bool(made) and attempts.final(made[-1].lines))

    def stuck(self) -> Fate | None:
        """The end of a run that will not start."""
        pod = self.pod
        if pod is None:
            return None
        warned = self._events(pod) if pods.held_up(pod) else []
        return pods.hopeless(pod, warned) or pods.unscheduled(pod, self._patience)

    def _attempts(self) -> list[Attempt]:
        known = {pod["metadata"]["uid"]: pod for pod in self.pods}
        return [
            Attempt(anchor=anchor, lines=self._said(known[anchor.uid]) if anchor.uid in known else b"")
            for anchor in self._anchors
        ]

    def _said(self, pod: Object) -> bytes:
        """The journal of one pod; that it was cancelled is no end where the cluster has done so for its own reasons."""
        lines = self._lines(pod)
        if (attempts.last_word(lines) or {}).get("status") != RunState.CANCELLED:
            return lines
        self.look(anew=True)
        now = next((one for one in self.pods if one["metadata"]["uid"] == pod["metadata"]["uid"]), None)
        return attempts.without_end(lines) if now and (self._taken(now) or pods.expired(now)) else lines

    def _taken(self, pod: Object) -> bool:
        """Whether a pod is taken from a Job that goes on, as when its node is drained: the Job makes another."""
        job = self.job
        return (pods.deleted(pod) or pods.disrupted(pod)) and job is not None and not pods.deleted(job)

    def _lines(self, pod: Object) -> bytes:
        """The journal of one pod, as far as it has come."""
        log = self._log(pod)
        if pods.over(pod):
            self._read(log, last=True)
        elif main_runs(pod):
            if self._asked:
                log.follow()
            else:
                self._read(log, last=False)
            if log.cut:
                self._fill(pod, log)
        return log.said().journal

    @staticmethod
    def _read(log: Log, *, last: bool) -> None:
        try:
            log.read(last=last)
        except UnreachableError:
            raise
        except TargetError:  # its container has not begun, or is gone: there is no log
            log.complete = last

    def _fill(self, pod: Object, log: Log) -> None:
        """The journal out of the pod's own file, for a node that has thrown lines of the log away."""
        try:
            log.fill(streams.run(self.cluster, pod["metadata"]["name"], ["cat", f"{contained.RUN}/events.jsonl"]))
        except UnreachableError:
            raise
        except TargetError:
            pass  # its container ends just now

    def _log(self, pod: Object) -> Log:
        return self._logs.setdefault(pod["metadata"]["uid"], Log(self.cluster, pod["metadata"]["name"]))

    def printed(self) -> contained.Printed:
        """What the newest pod has printed after its journal."""
        pod = self.pod
        if pod is None:
            return contained.Printed()
        log = self._log(pod)
        self._read(log, last=pods.over(pod))
        return log.said()

    def close(self) -> None:
        """Follow no log any longer."""
        for log in self._logs.values():
            log.close()

    # -- attempts ------------------------------------------------------------------------------------------------------

    def _anchor(self, offset: int) -> None:
        """Give every pod its place in the journal."""
        kept = ((self.job or {}).get("metadata", {}).get("annotations") or {}).get(self.holder.attempts)
        if kept:
            self._anchors = msgspec.json.decode(kept, type=list[Anchor])
        for pod in self.pods:
            if pod["metadata"]["uid"] in {anchor.uid for anchor in self._anchors}:
                continue
            if main_runs(pod) or pods.over(pod):
                self._begin(pod, offset)

    def _begin(self, pod: Object, offset: int) -> None:
        """An attempt has begun: decide where, unless somebody has just done so."""
        made = self._attempts()
        if not made:
            self._keep([Anchor(uid=pod["metadata"]["uid"])], offset)
            return
        before = next((one for one in self.pods if one["metadata"]["uid"] == self._anchors[-1].uid), None)
        fate = pods.ended(before or {})
        of = (self.holder.retries(self.job) if self.job else 0) + 1
        failure = (fate.state, fate.name, fate.value)
        anchor = attempts.next_anchor(made, pod["metadata"]["uid"], offset, of, failure)
        self._keep([*self._anchors, anchor], offset)

    def _keep(self, anchors: list[Anchor], offset: int) -> None:
        try:
            self.holder.note(msgspec.json.encode(anchors).decode(), self.job)
        except ConflictError:
            self.look(anew=True)
            self._anchor(offset)
            return
        except UnreachableError:
            raise
        except TargetError:
            pass  # nobody else will know, but we do
        self._anchors = anchors

    # -- in words ------------------------------------------------------------------------------------------------------

    def pending(self) -> str:
        """Why nothing has started."""
        pod = self.pod
        if pod is None:
            return self._unmade(self.job) if self.job else ""
        waits = pods.age(pod["metadata"]["creationTimestamp"])
        plain = pods.pending(pod)
        if not plain or waits <= EVENTS_AFTER:
            return ""
        return pods.pending(pod, self._events(pod))

    def _unmade(self, job: Object) -> str:
        """Why the Job has made no pod."""
        turn = self.holder.turn(job)
        if turn or pods.age(job["metadata"]["creationTimestamp"]) <= EVENTS_AFTER:
            return turn
        warned = self._events(job)
        return f"the cluster makes no pod: {pods.refusal(warned[-1])}" if warned else ""

    def _events(self, of: Object) -> list[Object]:
        """What the cluster warns of that keeps something from starting, the newest last."""
        uid = of["metadata"]["uid"]
        asked, about, told = self._warned
        if about == uid and time.monotonic() - asked < EVENTS_EVERY:
            return told
        selector = f"involvedObject.uid={uid},type=Warning"
        try:
            found = self.cluster.ask(
                self.cluster.events.get, namespace=self.cluster.namespace, field_selector=selector
            )["items"]
        except ForbiddenError:
            return []
        told = [event for event in found if event.get("reason", "").startswith(("Failed", "BackOff"))]
        told.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        self._warned = time.monotonic(), uid, told
        return told

    def fate(self) -> Fate:
        """How the run ended, as the cluster tells it."""
        self.look(anew=True)
        if self.job is not None and self.holder.withheld(self.job):
            when = "could save" if self._anchors else "began"
            return Fate(state=RunState.CANCELLED, name="Cancelled", value=f"cancelled before it {when}")
        stuck = self.stuck()
        if stuck is not None:
            return stuck
        if self.pod is None and self.job is not None and not self.settled:
            why = self.pending() or "the cluster makes no pod"
            return Fate(state=RunState.FAILED, name="NotStarted", value=why)
        return pods.of_job(self.holder.blamed(self.job) if self.job else None, self.pods)


def main_runs(pod: Object) -> bool:
    """Whether a pod's container runs."""
    return "running" in pods.main(pod).get("state", {})
