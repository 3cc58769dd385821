"""What holds a run in a cluster: a Job of its own, where it is no point of a sweep that is one Job. See `points`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from . import pods, podspec
from .api import LABEL, Cluster, ForbiddenError, MissingError

ATTEMPTS = f"{LABEL}/attempts"
"""Annotation of a Job: where in the journal each attempt begins; one for each place of a sweep's."""
EVERY = 0.4
"""Seconds between looks at a Job and its pods."""
KILL_SECONDS = 30.0
"""How long a cluster may take to end what was killed."""
POLL_SECONDS = 0.2

Object = dict[str, Any]


class Alone:
    """A Job of its own."""

    def __init__(self, cluster: Cluster, handle: Mapping[str, str]) -> None:
        self.cluster = cluster
        self.name = handle["job"]
        self.attempts = ATTEMPTS
        self._own = {"run": handle["run"]}

    def found(self, *, anew: bool) -> tuple[Object | None, list[Object]]:
        """The Job, if it is there, and the run's pods, the oldest first; as they are now, or were a moment ago."""
        del anew  # nobody else looks at it
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

    def blamed(self, job: Object) -> Object | None:
        """The Job, where its end explains the run's."""
        return job

    def late(self, job: Object, patience: float) -> bool:
        """Whether the Job has made no pod for the run for too many seconds."""
        return pods.age(job["metadata"]["creationTimestamp"]) > patience

    def note(self, attempts: str, seen: Object | None) -> None:
        """Keep with the Job where the attempts begin; ConflictError where others have since it was seen."""
        version = (seen or {"metadata": {}})["metadata"].get("resourceVersion")
        self._patch({"metadata": {"resourceVersion": version, "annotations": {self.attempts: attempts}}})

    def _patch(self, patch: Object) -> Object:
        kept: Object = self.cluster.ask(self.cluster.jobs.patch, patch, self.name, self.cluster.namespace)
        return kept

    def try_no_more(self) -> None:
        """The attempt that runs is the last one."""
        self._patch({"spec": {"backoffLimit": 0}})

    def end(self) -> None:
        """Let nothing run, nor begin to; a pod that runs is killed."""
        self._delete_job()
        self._delete_pods()

    def await_end(self) -> None:
        """Wait until nothing is left of its pods, though not for ever."""
        deadline = time.monotonic() + KILL_SECONDS
        while time.monotonic() < deadline and any(map(self.stays, self.found(anew=True)[1])):
            time.sleep(POLL_SECONDS)

    def stays(self, pod: Object) -> bool:
        """Whether a pod that is there after `end` will go yet; here every one does."""
        del pod
        return True

    def remove(self) -> bool:
        """Remove all that is left of the run; whether nothing is left of its Job either."""
        self.end()
        self.await_end()
        self.remove_secrets()
        return True

    def remove_secrets(self) -> None:
        """Remove those that no Job owns yet."""
        self.cluster.ask(
            self.cluster.secrets.delete,
            namespace=self.cluster.namespace,
            label_selector=podspec.selector(**self._own),
        )

    def clear(self) -> None:
        """Remove the Job, which may have been made just now, and what belongs to it."""
        self._delete_job()
        self._delete_pods()
        self.remove_secrets()

    def wind_up(self, job: Object) -> None:
        """Let the Job come to its end where nothing is to come of it any more."""

    def _delete_job(self) -> None:
        with suppress(MissingError):
            self.cluster.ask(
                self.cluster.jobs.delete,
                self.name,
                self.cluster.namespace,
                body={"propagationPolicy": "Background"},
            )

    def _delete_pods(self) -> None:
        with suppress(MissingError, ForbiddenError):  # who may not do this waits until they end by themselves
            self.cluster.ask(
                self.cluster.pods.delete,
                namespace=self.cluster.namespace,
                label_selector=podspec.selector(**self._own),
                grace_period_seconds=1,
            )


def look(cluster: Cluster, name: str, selector: str) -> tuple[Object | None, list[Object]]:
    """A Job, if it is there, and pods, the oldest first."""
    job: Object | None = None
    with suppress(MissingError):
        job = cluster.ask(cluster.jobs.get, name, cluster.namespace)
    found = cluster.ask(cluster.pods.get, namespace=cluster.namespace, label_selector=selector)["items"]
    return job, sorted(found, key=lambda pod: pod["metadata"]["creationTimestamp"])


def numbered(job: str, number: int) -> str:
    """The name of a Job's Secret."""
    return f"{job}-{number}"
