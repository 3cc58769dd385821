"""What holds a run in a cluster: a Job of its own, or a place in the Indexed Job that its whole sweep is."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from . import pods, podspec
from .api import LABEL, Cluster, ForbiddenError, MissingError

ATTEMPTS = f"{LABEL}/attempts"
"""Annotation of a Job: where in the journal each attempt begins; one for each place of a sweep's."""
LEFT = f"{LABEL}/left"
"""Annotation of a sweep's Job for each place that nothing is to come of any more: CANCELLED or REMOVED."""
CANCELLED, REMOVED = "cancelled", "removed"
INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation of the pods of an Indexed Job."""
EVERY = 0.4
"""Seconds between looks at a Job and its pods."""
SHARE = 20
"""How much longer than a look takes the next one waits: a sweep may have a thousand pods."""
KILL_SECONDS = 30.0
"""How long a cluster may take to end what was killed."""
POLL_SECONDS = 0.2

Object = dict[str, Any]


def holder(cluster: Cluster, handle: Mapping[str, str]) -> Alone:
    """What holds the run of a handle."""
    return Place(cluster, handle) if "index" in handle else Alone(cluster, handle)


class Alone:
    """A Job of its own."""

    def __init__(self, cluster: Cluster, handle: Mapping[str, str]) -> None:
        self.cluster = cluster
        self.name = handle["job"]
        self.attempts = ATTEMPTS
        self._own = {"run": handle["run"]}

    def found(self, *, anew: bool) -> tuple[Object | None, list[Object]]:
        """The Job, if it is there, and the run's pods, the oldest first."""
        del anew  # it is looked at for this run alone, so as often as that wants
        return look(self.cluster, self.name, podspec.selector(**self._own))

    def settled(self, job: Object) -> bool:
        """Whether the Job makes no pod for the run any more."""
        return any(pods.condition(job, name).get("status") == "True" for name in ("Complete", "Failed"))

    def withheld(self, job: Object) -> bool:
        """Whether somebody here wanted nothing to come of the run."""
        del job
        return False

    def retries(self, job: Object) -> int:
        """How often the Job tries again."""
        return int(job["spec"].get("backoffLimit") or 0)

    def turn(self, job: Object) -> str:
        """Why the Job has made no pod for the run yet, where that is as it should be."""
        del job
        return ""

    def annotate(self, annotations: Mapping[str, str], version: str | None = None) -> Object:
        """Keep something with the Job as it is now; ConflictError where `version` is an older one of it."""
        known = {"resourceVersion": version} if version else {}
        return self._patch({"metadata": {**known, "annotations": dict(annotations)}})

    def _patch(self, patch: Object) -> Object:
        kept: Object = self.cluster.ask(
            self.cluster.batch.patch_namespaced_job, self.name, self.cluster.namespace, patch
        )
        return kept

    def try_no_more(self) -> None:
        """The attempt that runs is the last one."""
        self._patch({"spec": {"backoffLimit": 0}})

    def end(self) -> None:
        """Let nothing run, nor begin to; a pod that runs is killed."""
        self._delete_job()
        with suppress(MissingError, ForbiddenError):  # who may not do this waits until they end by themselves
            self._delete_pods(label_selector=podspec.selector(**self._own))

    def await_end(self) -> None:
        """Wait until no pod runs, though not for ever."""
        deadline = time.monotonic() + KILL_SECONDS
        while time.monotonic() < deadline and not all(map(pods.over, self.found(anew=True)[1])):
            time.sleep(POLL_SECONDS)

    def remove(self) -> bool:
        """Remove all that is left of the run; whether nothing is left of its Job either."""
        self.end()
        self.await_end()
        self.remove_secrets()
        return True

    def remove_secrets(self) -> None:
        """Remove those that no Job owns yet."""
        self.cluster.ask(
            self.cluster.core.delete_collection_namespaced_secret,
            self.cluster.namespace,
            label_selector=podspec.selector(**self._own),
        )

    def _delete_job(self) -> None:
        with suppress(MissingError):
            self.cluster.ask(
                self.cluster.batch.delete_namespaced_job,
                self.name,
                self.cluster.namespace,
                body={"propagationPolicy": "Background"},
            )

    def _delete_pods(self, **which: str) -> None:
        self.cluster.ask(
            self.cluster.core.delete_collection_namespaced_pod, self.cluster.namespace, grace_period_seconds=1, **which
        )


class Place(Alone):
    """One index of a sweep's Job.

    A Job gives up none of its indexes. One that is to come to nothing is noted in the Secret that its pod will begin
    with, which ends at once then, and with the Job, for those who watch.
    """

    def __init__(self, cluster: Cluster, handle: Mapping[str, str]) -> None:
        super().__init__(cluster, handle)
        self.index = int(handle["index"])
        self.attempts = f"{ATTEMPTS}-{self.index}"
        self._own = {"sweep": handle["sweep"]}

    def found(self, *, anew: bool) -> tuple[Object | None, list[Object]]:
        """The sweep's Job, and the pods of this index."""
        job, begun = self._looked(anew=anew)
        return job, begun.get(str(self.index), [])

    def _looked(self, *, anew: bool) -> tuple[Object | None, dict[str, list[Object]]]:
        sweep = _sweep(self.cluster.context, self.cluster.namespace, self.name)
        return sweep.look(self.cluster, self.name, podspec.selector(**self._own), anew=anew)

    def settled(self, job: Object) -> bool:
        """Whether this index has come to its end."""
        status = job.get("status", {})
        ended = (status.get(key) or "" for key in ("completedIndexes", "failedIndexes"))
        return super().settled(job) or self.withheld(job) or any(among(self.index, text) for text in ended)

    def withheld(self, job: Object) -> bool:
        """Whether it is noted with the Job that nothing is to come of this index."""
        return f"{LEFT}-{self.index}" in (job["metadata"].get("annotations") or {})

    def retries(self, job: Object) -> int:
        """How often each index is tried again."""
        return int(job["spec"].get("backoffLimitPerIndex") or 0)

    def turn(self, job: Object) -> str:
        """Only so many have their turn at a time, once the Job has made any pod."""
        made = any(job.get("status", {}).get(key) for key in ("active", "succeeded", "failed"))
        return f"its turn has not come, {job['spec'].get('parallelism')} at a time" if made else ""

    def try_no_more(self) -> None:
        """The exit code of a run that was ended says so to the Job."""

    def end(self) -> None:
        """Let this index come to nothing."""
        self._leave(CANCELLED)

    def _leave(self, how: str) -> Object | None:
        """Note it, and delete the pods of this index; the Job as it is then, if there is one."""
        kept = self._note([self.index], how)
        for pod in self.found(anew=True)[1]:
            if how == REMOVED or not pods.over(pod):
                with suppress(MissingError, ForbiddenError):
                    self._delete_pods(field_selector=f"metadata.name={pod['metadata']['name']}")
        return kept

    def _note(self, indexes: Sequence[int], how: str) -> Object | None:
        with suppress(MissingError):
            written = base64.b64encode(how.encode()).decode()
            noted = {"data": {f"{CANCELLED}-{index}": written for index in indexes}}
            space = self.cluster.namespace
            self.cluster.ask(self.cluster.core.patch_namespaced_secret, numbered(self.name, 0), space, noted)
            return self.annotate({f"{LEFT}-{index}": how for index in indexes})
        return None

    def withhold(self, indexes: Sequence[int]) -> None:
        """Let those of these indexes come to nothing that have no pod, nor had one."""
        job, begun = self._looked(anew=True)
        early = [index for index in indexes if str(index) not in begun]
        if job is not None and early:
            self._note(early, CANCELLED)

    def remove(self) -> bool:
        """Remove the run's pods; the last to go takes the Job along."""
        job = self._leave(REMOVED)
        left = (job or {"metadata": {}})["metadata"].get("annotations") or {}
        if job is not None and sum(left[key] == REMOVED for key in left if key.startswith(LEFT)) < completions(job):
            return False
        self._delete_job()
        self.remove_secrets()
        return True


class Sweep:
    """A sweep's Job and its pods, looked at once for all its runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._found: tuple[Object | None, dict[str, list[Object]]] = (None, {})

    def look(
        self, cluster: Cluster, name: str, selector: str, *, anew: bool
    ) -> tuple[Object | None, dict[str, list[Object]]]:
        """The Job, and the pods of each index."""
        with self._lock:
            began = time.monotonic()
            if anew or began >= self._next:
                job, found = look(cluster, name, selector)
                by_index: dict[str, list[Object]] = {}
                for pod in found:
                    by_index.setdefault((pod["metadata"].get("annotations") or {}).get(INDEX, ""), []).append(pod)
                self._found = job, by_index
                self._next = time.monotonic() + max(EVERY, SHARE * (time.monotonic() - began))
            return self._found


@lru_cache(maxsize=32)
def _sweep(context: str, namespace: str, name: str) -> Sweep:
    del context, namespace, name
    return Sweep()


def look(cluster: Cluster, name: str, selector: str) -> tuple[Object | None, list[Object]]:
    """A Job, if it is there, and pods, the oldest first."""
    job: Object | None = None
    with suppress(MissingError):
        job = cluster.ask(cluster.batch.read_namespaced_job, name, cluster.namespace)
    found = cluster.ask(cluster.core.list_namespaced_pod, cluster.namespace, label_selector=selector)["items"]
    return job, sorted(found, key=lambda pod: pod["metadata"]["creationTimestamp"])


def completions(job: Object) -> int:
    """How many runs a sweep's Job holds."""
    return int(job["spec"].get("completions") or 0)


def numbered(job: str, number: int) -> str:
    """The name of a Job's Secret."""
    return f"{job}-{number}"


def among(index: int, text: str) -> bool:
    """Whether a list of indexes, as the API writes them, has this one.

    >>> among(4, "0,3-5,9"), among(6, "0,3-5,9"), among(0, "")
    (True, False, False)
    """
    return any(first <= index <= last for first, last in _ranges(text))


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield int(first), int(last or first)
