"""Runs in pods: each is a Job, found by its label, and needs nothing of this machine once it is submitted."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import TargetError, UnreachableError, UsageError
from ...model import Bundle, Fate, Needs, Plan, Profile, Run, duration
from .. import contained
from ..contained import storage
from . import job, pods, streams
from .api import Cluster
from .held import KILL_SECONDS, POLL_SECONDS, Alone
from .points import holder
from .watching import Watch

READ = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"
DIGEST = """
import hashlib, sys
digest = hashlib.sha256()
with open(sys.argv[1], "rb") as file:
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
print(digest.hexdigest())
"""
TERMINATE = "import os, signal; os.kill(1, signal.SIGTERM)"
RAISED = 1
"""Exit code of a Python that an exception ended."""


class Runs:
    """The run half of the Target protocol."""

    profile: Profile
    settings: Any
    cluster: Cluster

    def plan(self, needs: Needs) -> Plan:
        """In the profile's image; what that has is known there alone, and looked at before the first cell."""
        if needs.language != "python" and needs.kernel == "auto":
            raise UsageError(f"the notebook speaks {needs.language}", "name a kernel of the image with --kernel")
        where = f"{self.settings.image} in {self.cluster.namespace} of {self.cluster.context}"
        notices: tuple[str, ...] = ()
        if not self.settings.storage:
            notices = (self._keeping(),)
        launch = {"kernel": needs.kernel, "lack": list(needs.imports)}
        return Plan(place=where, reason="the profile's image", launch=launch, notices=notices)

    def _keeping(self) -> str:
        """How long there is a result to fetch; a server of an unknown age is taken for one that clears away."""
        if self.cluster.keeps:
            return "the run and its result stay in the cluster until they are removed: jupyterctl runs remove"
        kept = f"the result is kept in the cluster for {self.settings.keep} after the run's end"
        return f"{kept}: look at it by then, or name a `storage`"

    def handle(self, run: Run) -> dict[str, str]:
        """Which Job of which cluster."""
        place = {"context": self.cluster.context, "namespace": self.cluster.namespace}
        return {**place, "job": job.name_of(run.id), "run": run.id}

    def _at(self, handle: dict[str, str]) -> Cluster:
        """The cluster that the run is in, whatever the current context is now."""
        if handle["context"] == self.cluster.context and handle["namespace"] == self.cluster.namespace:
            return self.cluster
        return Cluster(self.settings.kubeconfig, handle["context"], handle["namespace"])

    def _holder(self, handle: dict[str, str]) -> Alone:
        return holder(self._at(handle), handle)

    def _watch(self, handle: dict[str, str]) -> Watch:
        watches = self.__dict__.setdefault("_watches", {})
        if handle["run"] not in watches:
            watches[handle["run"]] = Watch(self._holder(handle), duration(self.settings.start_timeout))
        found: Watch = watches[handle["run"]]
        return found

    # -- before ------------------------------------------------------------------------------------------------------

    def manifest(self, run: Run, bundle: Bundle, plan: Plan) -> str:
        """What `submit` would create, as YAML; secrets' contents are left out."""
        with tempfile.TemporaryDirectory() as folder:
            luggage = job.pack(run, bundle, plan, self.settings, Path(folder))
        called = job.called(run, len(luggage.pieces))
        return self._shown(job.secrets(called, luggage.pieces), job.job(called, run, bundle, self.settings))

    def _shown(self, secrets: list[dict[str, Any]], manifest: dict[str, Any]) -> str:
        """Objects as YAML, and of secrets how large they are."""
        import yaml

        for secret in secrets:
            secret["data"] = {name: f"({len(b64decode(data))} bytes)" for name, data in secret["data"].items()}
        for each in (*secrets, manifest):
            each["metadata"]["namespace"] = self.cluster.namespace
        return "".join(f"---\n{yaml.safe_dump(each, sort_keys=False)}" for each in (*secrets, manifest))

    def submit(self, run: Run, bundle: Bundle, plan: Plan) -> None:
        """Create the Job and what belongs to it; what is large is sent into its pod, which waits for it."""
        with tempfile.TemporaryDirectory() as folder:
            luggage = job.pack(run, bundle, plan, self.settings, Path(folder))
            if luggage.later is not None and self.settings.storage:
                storage.put(luggage.later, job.body_in_storage(run.id, self.settings))
            called = job.called(run, len(luggage.pieces))
            self._create(run.handle, job.secrets(called, luggage.pieces), job.job(called, run, bundle, self.settings))
            if luggage.later is not None and not self.settings.storage:
                try:
                    self._send(run, luggage.later)
                except BaseException:  # it would wait in vain
                    with suppress(TargetError):
                        self._holder(run.handle).clear()
                    raise

    def _create(self, handle: dict[str, str], secrets: list[dict[str, Any]], manifest: dict[str, Any]) -> None:
        """Create a Job with its Secrets, or nothing."""
        cluster = self._at(handle)
        try:
            for secret in secrets:
                cluster.ask(cluster.secrets.create, secret, cluster.namespace)
            made = cluster.ask(cluster.jobs.create, manifest, cluster.namespace)
            self._own(cluster, made, secrets)
        except BaseException:  # the Job may be there though nobody has answered
            with suppress(TargetError):
                self._holder(handle).clear()
            raise

    @staticmethod
    def _own(cluster: Cluster, owner: dict[str, Any], secrets: list[dict[str, Any]]) -> None:
        """Have the Secrets go with the Job."""
        identity = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        reference = {"apiVersion": "batch/v1", "kind": "Job", **identity, "blockOwnerDeletion": False}
        for secret in secrets:
            patch = {"metadata": {"ownerReferences": [reference]}}
            cluster.ask(cluster.secrets.patch, patch, secret["metadata"]["name"], cluster.namespace)

    def _send(self, run: Run, archive: Path) -> None:
        """Bring the rest into the pod as soon as its container runs."""
        watch = self._watch(run.handle)
        while (pod := watch.running()) is None:
            watch.look()
            stuck = watch.stuck()
            if stuck is not None or (watch.job is None and not watch.pods):
                fate = stuck or watch.fate()
                raise TargetError(fate.value, f"look at it: jupyterctl doctor {self.profile.name}")
            time.sleep(POLL_SECONDS)
        self._settle_in(watch, pod["metadata"]["name"], archive)

    def _settle_in(self, watch: Watch, pod: str, archive: Path) -> None:
        arriving, there = (f"{contained.RUN}/{name}" for name in (contained.ARRIVING, contained.ARCHIVE))
        streams.files(watch.cluster, pod, self.settings.python, contained.RUN).put(archive, arriving, lambda *_: None)
        move = [self.settings.python, "-c", "import os, sys; os.replace(*sys.argv[1:])", arriving, there]
        streams.run(watch.cluster, pod, move)

    # -- meanwhile ---------------------------------------------------------------------------------------------------

    def journal(self, handle: dict[str, str], offset: int) -> tuple[bytes, bool]:
        """The journal out of the pods' logs; when they are gone, out of the storage."""
        watch = self._watch(handle)
        data, gone = watch.journal(offset)
        if gone and not watch.pods and self.settings.storage:
            with tempfile.TemporaryDirectory() as folder, suppress(FileNotFoundError):
                file = Path(folder) / "events.jsonl"
                self._out_of_storage(handle, file.name, file)
                return file.read_bytes()[offset:], gone
        return data, gone

    def unfollow(self, handle: dict[str, str]) -> None:
        """End the streams of its pods' logs."""
        watch = self.__dict__.get("_watches", {}).pop(handle["run"], None)
        if watch is not None:
            watch.close()

    def pending(self, handle: dict[str, str]) -> str:
        """Why it has not started, in the cluster's words."""
        return self._watch(handle).pending()

    def fate(self, handle: dict[str, str]) -> Fate | None:
        """How it ended, as the cluster tells it."""
        return self._watch(handle).fate()

    def cancel(self, handle: dict[str, str], grace: float | None) -> None:
        """Have the run's first process end it; after `grace` seconds, or where it has not begun, delete the Job."""
        watch = self._watch(handle)
        watch.look(anew=True)
        pod = watch.running()
        if grace == 0 or pod is None:
            if watch.again or not watch.pods or not all(pods.over(one) for one in watch.pods):
                watch.holder.end()
                if pod is not None:
                    watch.holder.await_end()
            return
        self._ask_to_end(watch, pod)
        if grace is None:
            return
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            watch.look(anew=True)
            if watch.running() is None or contained_over(watch):
                return
            time.sleep(POLL_SECONDS)
        watch.holder.end()
        watch.holder.await_end()

    def _ask_to_end(self, watch: Watch, pod: dict[str, Any]) -> None:
        """SIGTERM to the first process; a Job that would try again must not."""
        if watch.again:
            watch.holder.try_no_more()
        streams.run(watch.cluster, pod["metadata"]["name"], [self.settings.python, "-c", TERMINATE])

    # -- afterwards --------------------------------------------------------------------------------------------------

    def collect(self, handle: dict[str, str], name: str, destination: Path) -> str:
        """Out of the pod's log where it was printed, out of the pod where it waits, else out of the storage."""
        watch = self._watch(handle)
        deadline = time.monotonic() + KILL_SECONDS
        while True:
            watch.look(anew=True)
            printed = watch.printed()
            if watch.job is not None and name == contained.LAST:
                watch.holder.wind_up(watch.job)
            if name in printed.files:
                return _write(printed.files[name], destination)
            if self.settings.storage and (printed.stored or watch.pod is None):
                return self._out_of_storage(handle, name, destination)
            pod = watch.running()
            if pod is None:
                raise FileNotFoundError(name)
            digest = self._out_of_pod(watch.cluster, pod["metadata"]["name"], name, destination)
            if digest is not None:
                break
            if time.monotonic() > deadline:
                raise FileNotFoundError(name)
            time.sleep(POLL_SECONDS)
        if printed.waits is not None and name == contained.LAST:
            self._let_go(watch.cluster, pod["metadata"]["name"])
        return digest

    def _out_of_pod(self, cluster: Cluster, pod: str, name: str, destination: Path) -> str | None:
        """Its digest; None where the container has just ended, so that its log says what there is."""
        path = f"{contained.RUN}/{name}"
        try:
            digest = streams.run(cluster, pod, [self.settings.python, "-c", DIGEST, path]).decode().strip()
            self._copy(streams.Command(cluster, pod, [self.settings.python, "-c", READ, path]), destination)
        except UnreachableError:
            raise
        except streams.FailedError as error:
            if error.code == RAISED:
                raise FileNotFoundError(name) from error
            return None  # it was killed, with its container
        except TargetError:
            return None
        return digest

    @staticmethod
    def _copy(command: streams.Command, destination: Path) -> None:
        temporary = destination.with_name(f".{destination.name}.{os.getpid()}.part")
        try:
            with temporary.open("wb") as file:
                for block in command.output():
                    file.write(block)
            command.checked()
            temporary.replace(destination)
        finally:
            temporary.unlink(missing_ok=True)

    def _let_go(self, cluster: Cluster, pod: str) -> None:
        """Everything is fetched: the pod need not wait."""
        path = f"{contained.RUN}/{contained.COLLECTED}"
        with suppress(TargetError):
            streams.run(cluster, pod, [self.settings.python, "-c", "import sys; open(sys.argv[1], 'w')", path])

    def _out_of_storage(self, handle: dict[str, str], name: str, destination: Path) -> str:
        storage.fetch(f"{storage.below(self.settings.storage, handle['run'])}/{name}", destination)
        with destination.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def discard(self, handle: dict[str, str]) -> None:
        """Remove the Job, its pods and its Secrets."""
        last = self._holder(handle).remove()
        if self.settings.storage:
            storage.remove(storage.below(self.settings.storage, handle["run"]))
            if last and "sweep" in handle:
                storage.remove(storage.below(self.settings.storage, handle["sweep"]))


def contained_over(watch: Watch) -> bool:
    """Whether the run has ended though its container waits for somebody to fetch its files."""
    return watch.printed().waits is not None


def _write(data: bytes, destination: Path) -> str:
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    temporary.write_bytes(data)
    temporary.replace(destination)
    return hashlib.sha256(data).hexdigest()
