"""A sweep as one Indexed Job: the cluster itself starts one run as another ends.

Every run is one index. What all have in common goes along once, beside a small folder for each of them; a pod takes
its own by the index that the cluster gives it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import TargetError, UnreachableError
from ...model import Bundle, Plan, Run
from ...remote import RUNNER
from .. import contained
from ..contained import storage
from . import job, podspec
from .api import ForbiddenError
from .points import CANCELLED, Point
from .runs import Runs

POINTS = "points"
"""Folder of the folders that are one run's each, by index."""
NOTES_BYTES, NOTE_BYTES, RETRY_BYTES = 200_000, 150, 700
"""Room in the annotations of a Job (256 KiB), and what is noted there of an index, and of each retry of it, at most."""
LEFT_OUT = 4
"""Exit code of a run that was cancelled."""
LEAVE = f"""
import os, sys
index = os.environ["JOB_COMPLETION_INDEX"]
if os.path.exists("{job.STEPS}/{CANCELLED}-" + index):
    sys.exit({LEFT_OUT})
"""
CHOOSE = f"""
import shutil
points = "{contained.RUN}/{POINTS}"
for name in os.listdir(points + "/" + index):
    os.replace(points + "/" + index + "/" + name, "{contained.RUN}/" + name)
shutil.rmtree(points)
"""
BOOT = LEAVE + job.UNPACK + CHOOSE + job.BECOME
"""The command of the pods: each puts the pieces together and keeps what is its own."""

Member = tuple[Run, Bundle, Plan]


class Together(Runs):
    """The runs of a sweep at once; see `target.Gathering`."""

    def handles(self, runs: Sequence[Run]) -> list[dict[str, str]]:
        """Which index of which Job."""
        sweep = str(runs[0].sweep)
        own = {"job": name_of(sweep), "sweep": sweep}
        return [{**self.handle(run), **own, "index": str(index)} for index, run in enumerate(runs)]

    def gather(self, runs: Sequence[Member], at_once: int) -> Callable[[], None] | None:
        """What creates the Job and all that belongs to it.

        None where the cluster makes no Indexed Jobs in which each index has its own retries, or not all fits into one.
        """
        sweep, handle = str(runs[0][0].sweep), runs[0][0].handle
        with tempfile.TemporaryDirectory() as folder:
            luggage = self._pack(runs, Path(folder))
            objects = self._objects(runs, at_once, luggage)
            if objects is not None and luggage.later is not None:
                storage.put(luggage.later, job.body_in_storage(sweep, self.settings))
        return partial(self._create, handle, *objects) if objects is not None else None

    def gathered(self, runs: Sequence[Member], at_once: int) -> str | None:
        """The same objects as YAML; secrets' contents are left out."""
        with tempfile.TemporaryDirectory() as folder:
            objects = self._objects(runs, at_once, self._pack(runs, Path(folder)))
        return self._shown(*objects) if objects is not None else None

    def _objects(
        self, runs: Sequence[Member], at_once: int, luggage: job.Luggage
    ) -> tuple[list[dict[str, Any]], dict[str, Any]] | None:
        """The Secrets and the Job, where the cluster makes it."""
        manifest = self._manifest(runs, at_once, len(luggage.pieces))
        if not self._fits(luggage, runs) or not self._makes(manifest):
            return None
        return job.secrets(self._called(runs[0][0], len(luggage.pieces)), luggage.pieces), manifest

    def _fits(self, luggage: job.Luggage, runs: Sequence[Member]) -> bool:
        """Whether one Job can have all of it, in its Secrets and its annotations."""
        noted = len(runs) * (NOTE_BYTES + RETRY_BYTES * job.retries(runs[0][0]))
        carried = luggage.later is None or bool(self.settings.storage)
        return carried and len(luggage.pieces) <= job.MOST_PIECES and noted <= NOTES_BYTES

    def _makes(self, manifest: dict[str, Any]) -> bool:
        """Whether the server would make it so: it alone can tell, and older ones leave out what they do not know."""
        try:
            made = self.cluster.ask(self.cluster.jobs.create, manifest, self.cluster.namespace, dry_run="All")
        except (ForbiddenError, UnreachableError):
            raise
        except TargetError:  # something in the cluster takes no rehearsals
            return False
        return made["spec"].get("completionMode") == "Indexed" and "backoffLimitPerIndex" in made["spec"]

    def withhold(self, handles: Sequence[dict[str, str]]) -> None:
        """Let those not begin that wait for their turn."""
        places = [handle for handle in handles if "index" in handle]
        if places:
            Point(self._at(places[0]), places[0]).withhold([int(handle["index"]) for handle in places])

    def _pack(self, runs: Sequence[Member], folder: Path) -> job.Luggage:
        first, bundle, _ = runs[0]
        archive, more = job.packed_body(str(first.sweep), bundle, self.settings, folder)
        files: dict[str, bytes | Path] = {} if more else {contained.ARCHIVE: archive}
        for index, (run, its, plan) in enumerate(runs):
            own = job.head(run, its, plan, self.settings, more)
            files[RUNNER] = own.pop(RUNNER)
            files |= {f"{POINTS}/{index}/{name}": content for name, content in own.items()}
        return job.Luggage(pieces=job.pieces_of(files), later=archive if more else None)

    @staticmethod
    def _called(first: Run, pieces: int) -> job.Called:
        sweep = str(first.sweep)
        return job.Called(name=name_of(sweep), labels=podspec.labels(sweep=sweep), boot=BOOT, pieces=pieces)

    def _manifest(self, runs: Sequence[Member], at_once: int, pieces: int) -> dict[str, Any]:
        """The Job; its time and its retries are each index's own."""
        run, bundle, _ = runs[0]
        made: dict[str, Any] = job.job(self._called(run, pieces), run, bundle, self.settings)
        spec = made["spec"]
        del spec["backoffLimit"]
        if "activeDeadlineSeconds" in spec:
            spec["template"]["spec"]["activeDeadlineSeconds"] = spec.pop("activeDeadlineSeconds")
        spec.update(
            completionMode="Indexed",
            completions=len(runs),
            parallelism=min(at_once, len(runs)),
            backoffLimitPerIndex=job.retries(run),
            podFailurePolicy={"rules": [job.DRAINED, {"action": "FailIndex", **job.FINAL}]},
        )
        return made


def name_of(sweep: str) -> str:
    """The Job's name."""
    return podspec.name("sweep", sweep)
