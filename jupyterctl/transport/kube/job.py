"""What a run is in a cluster: a Job, and the Secrets with what its pod begins with.

The Secrets belong to the Job, so that one delete removes everything. What does not fit into a few of them comes to the
pod once it is there.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from ...model import Bundle, Json, Plan, Run, duration
from .. import contained
from ..contained import storage
from . import podspec
from .api import LABEL
from .held import numbered

PIECE_BYTES = 1_000_000
"""A Secret may hold 1 MiB."""
MOST_PIECES = 4
"""More goes into the pod itself: Secrets lie in the memory of the cluster's store."""
PRINTED_BYTES = 2 << 20
"""The largest files that follow the journal in the pod's log, which a node may cut at 10 MiB."""
SAVE_SECONDS = 30.0
"""What a run whose time is over has to save its notebook."""
STEPS = f"{contained.ROOT}/head"

UNPACK = f"""
import glob, io, os, sys, tarfile
data = b"".join(open(piece, "rb").read() for piece in sorted(glob.glob("{STEPS}/piece-*")))
tarfile.open(fileobj=io.BytesIO(data)).extractall("{contained.RUN}")
"""
BECOME = f"""
os.execv(sys.executable, [sys.executable, "{contained.RUN}/runner.pyz", "contained"])
"""
BOOT = UNPACK + BECOME
"""The pod's command: it puts the pieces together, and becomes the run's first process."""


class Luggage(Struct, frozen=True, kw_only=True):
    """What goes along with a run: pieces for Secrets, and an archive that is sent later, if there is one."""

    pieces: tuple[bytes, ...]
    later: Path | None = None


def name_of(run_id: str) -> str:
    """The Job's name."""
    return podspec.name("run", run_id)


def pack(run: Run, bundle: Bundle, plan: Plan, settings: Any, folder: Path) -> Luggage:
    """Make the archives; one to be sent later is written into the folder."""
    archive, more = packed_body(run.id, bundle, settings, folder)
    own = head(run, bundle, plan, settings, more)
    if not more:
        own[contained.ARCHIVE] = archive
    return Luggage(pieces=pieces_of(own), later=archive if more else None)


def packed_body(name: str, bundle: Bundle, settings: Any, folder: Path) -> tuple[Path, dict[str, Json]]:
    """The archive of what may be of any size, and where it does not fit into Secrets what is told of its coming."""
    archive = folder / "files.tar.gz"
    with archive.open("wb") as file:
        contained.tar(contained.body(bundle), file, packed=True)
    small = archive.stat().st_size <= PIECE_BYTES * (MOST_PIECES - 1)
    return archive, {} if small else _awaited(name, archive, settings)


def head(run: Run, bundle: Bundle, plan: Plan, settings: Any, more: Mapping[str, Json]) -> dict[str, bytes | Path]:
    """What a run begins with, by name; `more` is what its first process is told beside the usual."""
    told = options(run, settings, {"lack": plan.launch.get("lack", []), **more})
    once = structs.replace(bundle, task={**bundle.task, "retries": 0})  # each attempt is a pod
    return dict(contained.head(run, once, plan, told, settings.workdir))


def pieces_of(files: Mapping[str, bytes | Path]) -> tuple[bytes, ...]:
    """An archive of files, cut so that each piece fits into a Secret."""
    packed = io.BytesIO()
    contained.tar(files, packed, packed=True)
    data = packed.getvalue()
    return tuple(data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))


def options(run: Run, settings: Any, more: Mapping[str, Json]) -> dict[str, Json]:
    """What the run's first process is told."""
    told = {"print": PRINTED_BYTES, "keep": int(duration(settings.keep)), "install": settings.install, **more}
    if settings.storage:
        told["store"] = storage.below(settings.storage, run.id)
    return told


def body_in_storage(name: str, settings: Any) -> str:
    """Where the archive of a run or a sweep lies that is sent later, where the profile names a storage."""
    return f"{storage.below(settings.storage, name)}/body.tar.gz"


def _awaited(name: str, archive: Path, settings: Any) -> dict[str, Json]:
    import hashlib

    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    told = {"await": [archive.stat().st_size, digest], "await_for": duration(settings.start_timeout)}
    return {**told, "fetch": body_in_storage(name, settings)} if settings.storage else told


class Called(Struct, frozen=True, kw_only=True):
    """What a Job is called, and what its pods begin with."""

    name: str
    labels: dict[str, str]
    env: dict[str, str] = {}
    boot: str = BOOT
    pieces: int
    """How many Secrets there are."""


def called(run: Run, pieces: int) -> Called:
    """How the Job of one run is called."""
    return Called(
        name=name_of(run.id), labels=podspec.labels(run=run.id), env={"JUPYTERCTL_RUN": run.id}, pieces=pieces
    )


def secrets(called: Called, pieces: Sequence[bytes]) -> list[dict[str, Json]]:
    """One Secret a piece."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": numbered(called.name, number), "labels": called.labels},
            "type": "Opaque",
            "data": {f"piece-{number:03}": base64.b64encode(piece).decode()},
        }
        for number, piece in enumerate(pieces)
    ]


def job(called: Called, run: Run, bundle: Bundle, settings: Any) -> dict[str, Json]:
    """The Job."""
    sources = [{"secret": {"name": numbered(called.name, number)}} for number in range(called.pieces)]
    spec = podspec.spec(
        settings,
        {"command": [settings.python, "-c", called.boot]},
        env={**settings.run.env, "PYTHONUNBUFFERED": "1", **called.env},
        volumes=[({"emptyDir": {}}, contained.RUN), ({"projected": {"sources": sources}}, STEPS)],
    )
    grace = float(bundle.task.get("grace") or 0)
    spec.setdefault("restartPolicy", "Never")
    spec.setdefault("terminationGracePeriodSeconds", math.ceil(grace + SAVE_SECONDS))
    queue = {"kueue.x-k8s.io/queue-name": settings.queue} if settings.queue else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": called.name,
            "labels": {**called.labels, **queue},
            "annotations": {f"{LABEL}/notebook": Path(run.notebook).name, f"{LABEL}/target": run.target},
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": retries(run),
            "ttlSecondsAfterFinished": int(duration(settings.keep)),
            **deadline(bundle.task.get("timeout"), grace, settings),
            "podFailurePolicy": {"rules": [DRAINED, {"action": "FailJob", **FINAL}]},
            "template": {"metadata": {"labels": called.labels}, "spec": spec},
        },
    }


DRAINED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
"""A pod that is taken away for the cluster's own reasons is replaced, whatever it says of its end."""
FINAL = {"onExitCodes": {"containerName": "main", "operator": "In", "values": [4, 5]}}
"""A run that was cancelled or has used up its time is not tried again; servers before 1.26 do not know of this."""


def retries(run: Run) -> int:
    """How often a run that fails is tried again."""
    return int(run.task.get("retries") or 0)


def deadline(timeout: float | None, grace: float, settings: Any) -> dict[str, Json]:
    """The run keeps its time by itself, and can save then; this is for one that cannot.

    A result that waits in the pod to be fetched has its time too.
    """
    if timeout is None:
        return {}
    waits = 0.0 if settings.storage else duration(settings.keep)
    return {
        "activeDeadlineSeconds": math.ceil(duration(settings.start_timeout) + timeout + grace + SAVE_SECONDS + waits)
    }
