"""What runs would make at their target, told before anything is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import remote, target
from ..model import Bundle, Json, Run
from . import records, runs


def rehearse(made: Sequence[Run], notebook: Path, at_once: int) -> str:
    """What submitting these runs would do, as YAML; nothing is made, and no secret is asked for."""
    there = runs.target_of(made[0])
    files = {records.INPUT: notebook, remote.RUNNER: runs.runner()}
    files |= {f"files/{name}": Path(path) for name, path in made[0].files.items()}
    loads = [(run, Bundle(files=files, task=run.task), runs.plan_of(run)) for run in made]
    if len(made) > 1 and isinstance(there, target.Gathering) and (together := there.gathered(loads, at_once)):
        return together
    if isinstance(there, target.Rehearsing):
        return "".join(there.manifest(*each) for each in loads)
    import yaml

    said = [_said(run) for run in made]
    return yaml.safe_dump_all(said, sort_keys=False, allow_unicode=True)


def _said(run: Run) -> dict[str, Json]:
    """A run in words, for a place that makes no objects of it."""
    plan = runs.plan_of(run)
    said: dict[str, Json] = {
        "run": run.id,
        "notebook": run.notebook,
        "target": run.target,
        "place": plan.place,
        "reason": plan.reason,
        "parameters": dict(run.parameters),
        "secrets": dict(run.secrets),
        "files": list(run.files),
        "output": run.output,
    }
    return {key: value for key, value in said.items() if value}
