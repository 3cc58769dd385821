"""Runs of a sweep that is one Indexed Job: each is one index.

A Job gives up none of its indexes. One that is to come to nothing is noted in the Secret that its pod would begin
with, which ends at once then, and with the Job, for those who watch.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from ...errors import UnreachableError
from . import pods, podspec
from .api import LABEL, Cluster, ConflictError, ForbiddenError, MissingError
from .held import ATTEMPTS, EVERY, Alone, Object, look, numbered

LEFT = f"{LABEL}/left"
"""Annotation of the Job for each index that nothing is to come of any more: CANCELLED or REMOVED."""
CANCELLED, REMOVED = "cancelled", "removed"
INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation of the pods, and on the servers that have what is wanted here a label too."""
SHARE, MOST_SECONDS = 20, 10.0
"""How much longer than a look at the whole sweep takes the next one waits, at most: it may have a thousand pods."""
TRIES = 20
"""How often something is noted with a Job that others change all the time."""

Found = tuple[Object | None, dict[str, list[Object]]]


def holder(cluster: Cluster, handle: Mapping[str, str]) -> Alone:
    """What holds the run of a handle."""
    return Point(cluster, handle) if "index" in handle else Alone(cluster, handle)


class Point(Alone):
    """One index of a sweep's Job."""

    def __init__(self, cluster: Cluster, handle: Mapping[str, str]) -> None:
        super().__init__(cluster, handle)
        self.index = int(handle["index"])
        self.attempts = f"{ATTEMPTS}-{self.index}"
        self._own = {"sweep": handle["sweep"]}

    def found(self, *, anew: bool) -> tuple[Object | None, list[Object]]:
        """The sweep's Job, and the pods of this index."""
        job, begun = self._sweep().look(self.cluster, self.name, self._selector)
        known = begun.get(str(self.index), [])
        if not anew:
            return job, known
        if any(INDEX in pod["metadata"].get("labels", {}) for found in begun.values() for pod in found):
            return look(self.cluster, self.name, f"{self._selector},{INDEX}={self.index}")
        job, begun = self._sweep().look(self.cluster, self.name, self._selector, anew=True)
        return job, begun.get(str(self.index), [])

    @property
    def _selector(self) -> str:
        return podspec.selector(**self._own)

    def _sweep(self) -> Sweep:
        return _sweep(self.cluster.context, self.cluster.namespace, self.name)

    def settled(self, job: Object) -> bool:
        """Whether this index has come to its end."""
        return super().settled(job) or self.index in _ended(job) or self.withheld(job)

    def withheld(self, job: Object) -> bool:
        """Whether it is noted with the Job that nothing is to come of this index."""
        return self.index in _left(job)

    def retries(self, job: Object) -> int:
        """How often each index is tried again."""
        return int(job["spec"].get("backoffLimitPerIndex") or 0)

    def turn(self, job: Object) -> str:
        """Only so many have their turn at a time."""
        at_once = int(job["spec"].get("parallelism") or 0)
        full = int(job.get("status", {}).get("active") or 0) >= at_once
        return f"its turn has not come, {at_once} at a time" if full else ""

    def blamed(self, job: Object) -> Object | None:
        """Never the Job: it ends early only where nothing was to come of it any more."""
        return {**job, "status": {}}

    def late(self, job: Object, patience: float) -> bool:
        """Whether the Job has made no pod at all for too many seconds; after the first, each waits for its turn."""
        made = any(job.get("status", {}).get(key) for key in ("active", "succeeded", "failed"))
        return not made and super().late(job, patience)

    def note(self, attempts: str, seen: Object | None) -> None:
        """As for a Job of its own; that something else of the Job has changed is no conflict."""
        before = _notes(seen or {}).get(self.attempts)
        for _ in range(TRIES):
            try:
                super().note(attempts, seen)
            except ConflictError:
                seen = self.cluster.ask(self.cluster.jobs.get, self.name, self.cluster.namespace)
                if _notes(seen).get(self.attempts) != before:
                    raise
            else:
                return

    def try_no_more(self) -> None:
        """The exit code of a run that was ended says so to the Job."""

    def end(self) -> None:
        """Let this index come to nothing."""
        job, known = self.found(anew=False)
        if job is None or known or not self.withheld(job):
            self._leave(CANCELLED)

    def stays(self, pod: Object) -> bool:
        """Those that are over stay, with what they have said."""
        return not pods.over(pod)

    def withhold(self, indexes: Sequence[int]) -> None:
        """Let those of these indexes come to nothing that have no pod, nor had one."""
        job, begun = self._sweep().look(self.cluster, self.name, self._selector, anew=True)
        early = [index for index in indexes if str(index) not in begun]
        if job is not None and early:
            self._mark(early, CANCELLED)

    def _leave(self, how: str) -> Object | None:
        """Note it, and delete the pods of this index; the Job as it is then, if there is one."""
        job = self._mark([self.index], how)
        for pod in self.found(anew=True)[1]:
            if how == REMOVED or not pods.over(pod):
                _delete(self.cluster, pod)
        return job

    def _mark(self, indexes: Sequence[int], how: str) -> Object | None:
        """Note how indexes have been left; the Job with that, if there is one."""
        written = base64.b64encode(how.encode()).decode()
        marked = {"data": {f"{CANCELLED}-{index}": written for index in indexes}}
        with suppress(MissingError):
            secret, space = numbered(self.name, 0), self.cluster.namespace
            self.cluster.ask(self.cluster.secrets.patch, marked, secret, space)
        with suppress(MissingError):
            job = self._patch({"metadata": {"annotations": {f"{LEFT}-{index}": how for index in indexes}}})
            self._sweep().forget()
            self.wind_up(job)
            return job
        return None

    def wind_up(self, job: Object) -> None:
        """End the Job where each index has come to its end or is left: its pods would only begin to end again."""
        left = _left(job)
        if left and not super().settled(job) and len(_ended(job) | set(left)) >= _size(job):
            with suppress(MissingError, ForbiddenError):
                self._patch({"spec": {"activeDeadlineSeconds": 1}})  # its finished pods stay, and so do their logs

    def remove(self) -> bool:
        """Remove the run's pods; the last to go takes the Job along."""
        job = self._leave(REMOVED)
        if job is not None and list(_left(job).values()).count(REMOVED) < _size(job):
            return False
        self.clear()
        return True


class Sweep:
    """A sweep's Job and its pods by index, looked at once for all its runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._found: Found | UnreachableError = (None, {})

    def look(self, cluster: Cluster, name: str, selector: str, *, anew: bool = False) -> Found:
        """The Job, if it is there, and the pods; who asks while nobody answers is told that at once."""
        with self._lock:
            began = time.monotonic()
            if anew or began >= self._next:
                self._found = self._asked(cluster, name, selector)
                took = time.monotonic() - began
                self._next = time.monotonic() + min(max(EVERY, SHARE * took), MOST_SECONDS)
            if isinstance(self._found, UnreachableError):
                raise self._found
            return self._found

    @staticmethod
    def _asked(cluster: Cluster, name: str, selector: str) -> Found | UnreachableError:
        try:
            job, found = look(cluster, name, selector)
        except UnreachableError as error:
            return error
        by_index: dict[str, list[Object]] = {}
        for pod in found:
            by_index.setdefault((pod["metadata"].get("annotations") or {}).get(INDEX, ""), []).append(pod)
        if job is not None:
            _make_room(cluster, [pod for index in _left(job) for pod in by_index.get(str(index), [])])
        return job, by_index

    def forget(self) -> None:
        """Something has changed: the next look is a new one."""
        self._next = 0.0


@lru_cache(maxsize=32)
def _sweep(context: str, namespace: str, name: str) -> Sweep:
    del context, namespace, name
    return Sweep()


def _make_room(cluster: Cluster, left: Sequence[Object]) -> None:
    """Delete pods of left indexes that cannot even begin to end, as without an image: they keep others from a turn."""
    for pod in left:
        if pods.hopeless(pod):
            _delete(cluster, pod)


def _delete(cluster: Cluster, pod: Object) -> None:
    """Delete a pod, at once where nothing of it has begun; who may not do this waits until it ends by itself."""
    seconds = 0 if pods.hopeless(pod) else 1
    with suppress(MissingError, ForbiddenError):
        cluster.ask(
            cluster.pods.delete,
            namespace=cluster.namespace,
            field_selector=f"metadata.name={pod['metadata']['name']}",
            grace_period_seconds=seconds,
        )


def _notes(job: Object) -> dict[str, str]:
    notes: dict[str, str] = job.get("metadata", {}).get("annotations") or {}
    return notes


def _left(job: Object) -> dict[int, str]:
    """How indexes were left, by index."""
    return {int(key.rpartition("-")[2]): how for key, how in _notes(job).items() if key.startswith(f"{LEFT}-")}


def _ended(job: Object) -> set[int]:
    """The indexes that have come to their end by themselves."""
    status = job.get("status", {})
    return {index for key in ("completedIndexes", "failedIndexes") for index in indexes(status.get(key) or "")}


def _size(job: Object) -> int:
    """How many runs a sweep's Job holds."""
    return int(job["spec"].get("completions") or 0)


def indexes(text: str) -> Iterator[int]:
    """The indexes of a list as the API writes it.

    >>> list(indexes("0,3-5,9"))
    [0, 3, 4, 5, 9]
    """
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
