"""What a run is in a cluster: a Job, and the Secrets with what its pod begins with.

The Secrets belong to the Job, so that one delete removes everything. What does not fit into a few of them comes to the
pod once it is there.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from ...model import Bundle, Json, Plan, Run, duration
from .. import contained
from ..contained import storage
from . import podspec
from .api import LABEL

PIECE_BYTES = 1_000_000
"""A Secret may hold 1 MiB."""
MOST_PIECES = 4
"""More goes into the pod itself: Secrets lie in the memory of the cluster's store."""
PRINTED_BYTES = 2 << 20
"""The largest files that follow the journal in the pod's log, which a node may cut at 10 MiB."""
SAVE_SECONDS = 30.0
"""What a run whose time is over has to save its notebook."""
STEPS = f"{contained.ROOT}/head"
ATTEMPTS = f"{LABEL}/attempts"
"""Annotation of the Job: where in the journal each attempt begins."""

BOOT = f"""
import glob, io, os, sys, tarfile
data = b"".join(open(piece, "rb").read() for piece in sorted(glob.glob("{STEPS}/piece-*")))
tarfile.open(fileobj=io.BytesIO(data)).extractall("{contained.RUN}")
os.execv(sys.executable, [sys.executable, "{contained.RUN}/runner.pyz", "contained"])
"""
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
    body = contained.body(bundle)
    archive = folder / "body.tar.gz"
    with archive.open("wb") as file:
        contained.tar(body, file, packed=True)
    small = archive.stat().st_size <= PIECE_BYTES * (MOST_PIECES - 1)
    more = {"lack": plan.launch.get("lack", []), **({} if small else _awaited(run, archive, settings))}
    told = options(run, settings, more)
    once = structs.replace(bundle, task={**bundle.task, "retries": 0})  # each attempt is a pod
    head: dict[str, bytes | Path] = dict(contained.head(run, once, plan, told, settings.workdir))
    if small:
        head[contained.ARCHIVE] = archive
    packed = io.BytesIO()
    contained.tar(head, packed, packed=True)
    data = packed.getvalue()
    pieces = tuple(data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))
    return Luggage(pieces=pieces, later=None if small else archive)


def options(run: Run, settings: Any, more: Mapping[str, Json]) -> dict[str, Json]:
    """What the run's first process is told."""
    told = {"print": PRINTED_BYTES, "keep": int(duration(settings.keep)), "install": settings.install, **more}
    if settings.storage:
        told["store"] = storage.below(settings.storage, run.id)
    return told


def body_in_storage(run_id: str, settings: Any) -> str:
    """Where the archive lies that is sent later, where the profile names a storage."""
    return f"{storage.below(settings.storage, run_id)}/body.tar.gz"


def _awaited(run: Run, archive: Path, settings: Any) -> dict[str, Json]:
    import hashlib

    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    told = {"await": [archive.stat().st_size, digest], "await_for": duration(settings.start_timeout)}
    return {**told, "fetch": body_in_storage(run.id, settings)} if settings.storage else told


def secrets(run: Run, luggage: Luggage) -> list[dict[str, Json]]:
    """One Secret a piece."""
    name = name_of(run.id)
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-{number}", "labels": podspec.labels(run=run.id)},
            "type": "Opaque",
            "data": {f"piece-{number:03}": base64.b64encode(piece).decode()},
        }
        for number, piece in enumerate(luggage.pieces)
    ]


def job(run: Run, bundle: Bundle, settings: Any, pieces: int) -> dict[str, Json]:
    """The Job."""
    name = name_of(run.id)
    labels = podspec.labels(run=run.id)
    spec = podspec.spec(
        settings,
        {"command": [settings.python, "-c", BOOT]},
        env={**settings.run.env, "PYTHONUNBUFFERED": "1", "JUPYTERCTL_RUN": run.id},
        volumes=[
            ({"emptyDir": {}}, contained.RUN),
            ({"projected": {"sources": [{"secret": {"name": f"{name}-{number}"}} for number in range(pieces)]}}, STEPS),
        ],
    )
    grace = float(bundle.task.get("grace") or 0)
    spec.setdefault("restartPolicy", "Never")
    spec.setdefault("terminationGracePeriodSeconds", math.ceil(grace + SAVE_SECONDS))
    queue = {"kueue.x-k8s.io/queue-name": settings.queue} if settings.queue else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": {**labels, **queue},
            "annotations": {f"{LABEL}/notebook": Path(run.notebook).name, f"{LABEL}/target": run.target},
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": _retries(run),
            "ttlSecondsAfterFinished": int(duration(settings.keep)),
            **_deadline(bundle.task.get("timeout"), grace, settings),
            "podFailurePolicy": {"rules": [_DRAINED, _FINAL]},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


_DRAINED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
"""A pod that is taken away for the cluster's own reasons is replaced, whatever it says of its end."""
_FINAL = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [4, 5]}}
"""A run that was cancelled or has used up its time is not tried again; servers before 1.26 do not know of this."""


def _retries(run: Run) -> int:
    return int(run.task.get("retries") or 0)


def _deadline(timeout: float | None, grace: float, settings: Any) -> dict[str, Json]:
    """The run keeps its time by itself, and can save then; this is for one that cannot."""
    if timeout is None:
        return {}
    return {"activeDeadlineSeconds": math.ceil(timeout + grace + SAVE_SECONDS + duration(settings.start_timeout))}
