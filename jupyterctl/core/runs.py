"""The life of runs on this side: submit, take in what the journal says, collect the result, cancel, fetch, remove.

A run's record and the store are enough to go on with it in any process, at any later time: whoever looks at a run next
does what is left to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import structs

from .. import __version__, paths, remote, target
from ..errors import JupyterctlError, NotFoundError, TargetError, UnreachableError, UsageError
from ..model import Bundle, Event, Plan, Profile, Run, RunError, RunState, now
from ..store import Store
from ..target import Target
from . import journal, prepare, records, results

SAVE_SECONDS = 10.0
"""What a run that is cancelled has, beyond the grace of its cell, to save its notebook and end its kernel."""
SUBMIT_SECONDS = 120.0
"""How long another process may take to start a run before nobody believes in it any more."""
NOT_SUBMITTED = "NotSubmitted"
"""The error of a run that its target did not take."""


def create(store: Store, run: Run, notebook: Path) -> Run:
    """Keep a new run, with its record."""
    records.create(run, notebook)
    store.add(run)
    return run


def submit(store: Store, run: Run) -> Run:
    """Hand a queued run to its target. A failure ends the run, and is raised."""
    try:
        there = target_of(run)
        run = _handed_over(store, run, there.handle(run))
        secrets = prepare.bundle_secrets(run)
        _submission(run)
        there.submit(*load(run, secrets))
    except BaseException as error:
        end(store, run, RunState.FAILED, NOT_SUBMITTED, _reason(error))
        raise
    return store.change(run.id, _now_submitted)


def submit_together(store: Store, made: Sequence[Run], at_once: int) -> list[Run]:
    """Hand the queued runs of a sweep to a target that takes them at once, so many at a time; none where it does not.

    A failure ends them all, and is raised.
    """
    there = target_of(made[0])
    if not isinstance(there, target.Gathering):
        return []
    try:
        secrets = prepare.bundle_secrets(made[0])
        handles = there.handles(made)
        to_be = [structs.replace(run, handle=handle) for run, handle in zip(made, handles, strict=True)]
        for run in to_be:
            _submission(run)
        start = there.gather([load(run, secrets) for run in to_be], at_once)
        if start is None:
            return []
        for run in to_be:
            _handed_over(store, run, run.handle)
        start()
    except BaseException as error:
        for run in made:
            close(store, run, RunState.FAILED, NOT_SUBMITTED, _reason(error))
        raise
    now_there = [store.change(run.id, _now_submitted) for run in made]
    if given_up := [run.handle for run in now_there if run.state.ended]:  # by others, while this went on
        there.withhold(given_up)
    return now_there


def _handed_over(store: Store, run: Run, handle: dict[str, str]) -> Run:
    """Keep what will find the run again, before there is anything to be found."""
    return store.change(run.id, lambda kept: structs.replace(kept, handle=handle, handed_over=now()))


def _submission(run: Run) -> None:
    """Keep in the run's record where it is handed to."""
    records.keep(run)
    records.submitted(run, {**run.handle, "with": plan_of(run).place})


def load(run: Run, secrets: dict[str, str]) -> target.Load:
    """A run with what goes along, and where it is to run."""
    return run, bundle(run, secrets), plan_of(run)


def plan_of(run: Run) -> Plan:
    """Where a run is to be executed; empty where that is not known."""
    return run.plan or Plan(place="", reason="")


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, JupyterctlError) else str(error) or type(error).__name__


def _now_submitted(run: Run) -> Run:
    return structs.replace(run, state=RunState.SUBMITTED) if run.state is RunState.QUEUED else run


def bundle(run: Run, secrets: dict[str, str]) -> Bundle:
    """What goes along with a run."""
    record = records.directory(run.id)
    files = {
        records.INPUT: record / records.INPUT,
        records.JOURNAL: record / records.JOURNAL,
        remote.RUNNER: runner(),
        **{f"files/{name}": Path(path) for name, path in run.files.items()},
    }
    return Bundle(files=files, task=run.task, secrets=secrets)


def runner() -> Path:
    """The runner's archive of this version of jupyterctl, made once."""
    file = paths.cache() / f"runner-{__version__}-{remote.fingerprint()}.pyz"
    if not file.exists():
        paths.private(file.parent)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        remote.archive(temporary)
        temporary.replace(file)
    return file


def target_of(run: Run) -> Target:
    """The target that the run was made for, as its profile was then: a run outlives changes of its profile."""
    kind = target.load(run.kind)
    settings = msgspec.convert(run.settings, kind.Settings)
    return kind.create(Profile(name=run.target, kind=run.kind, settings=settings))


# -- taking in what happened -------------------------------------------------------------------------------------------


def take_in(store: Store, run_id: str, events: Iterable[Event], offset: int) -> Run:
    """Let the store know what the journal says up to `offset`."""
    events = list(events)

    def change(run: Run) -> Run:
        if run.state is RunState.UNKNOWN:
            run = structs.replace(run, state=RunState.RUNNING if run.started else RunState.SUBMITTED, error=None)
        return structs.replace(journal.fold_all(run, events), offset=max(run.offset, offset), seen=now())

    return store.change(run_id, change)


def refresh(store: Store, run: Run) -> Run:
    """Ask the place how a live run is doing, and do what is left to do. Where it does not answer: unknown."""
    if run.state.ended:
        return settle(store, run)
    if not run.handle:
        return run if run.sweep or being_submitted(run) else lost(store, run)
    early = being_submitted(run)  # what is seen now may be what was there before it was started
    try:
        run, gone = advance(store, run)
    except UnreachableError as error:
        return unreachable(store, run, error)
    if gone and not run.state.ended and not early:
        run = lost(store, run)
    return settle(store, run) if run.state.ended else run


def advance(store: Store, run: Run) -> tuple[Run, bool]:
    """Fetch and take in all that is new in the journal; also whether the run's process is gone."""
    there = target_of(run)
    reader = journal.Reader()
    data = records.journal(run.id, run.offset)
    offset = run.offset + len(data)
    events = reader.feed(data)
    gone = False
    try:
        while True:
            data, gone = there.journal(run.handle, offset)
            records.extend(run.id, offset, data)
            offset += len(data)
            events += reader.feed(data)
            if not data or gone:
                break
        run = take_in(store, run.id, events, offset - reader.pending)
        return (run if gone else waits(store, run, there)), gone
    finally:
        unfollow(there, run)


def unfollow(there: Target, run: Run) -> None:
    """The journal is asked for no longer."""
    if there is not None and isinstance(there, target.Following):
        there.unfollow(run.handle)


def waits(store: Store, run: Run, there: Target) -> Run:
    """Keep why a run has not started, where its place can tell; it has just been asked for the journal."""
    if run.started or run.state.ended or not isinstance(there, target.Queueing):
        return run
    try:
        reason = there.pending(run.handle)
    except JupyterctlError:
        return run
    if reason == run.waiting:
        return run

    def change(kept: Run) -> Run:
        return kept if kept.started or kept.state.ended else structs.replace(kept, waiting=reason)

    return store.change(run.id, change)


def unreachable(store: Store, run: Run, error: UnreachableError) -> Run:
    """The state nobody can tell; what was last known of the run stays. One that is being submitted is that still."""
    problem = RunError(name="Unreachable", value=error.message)

    def change(kept: Run) -> Run:
        if kept.state.ended or being_submitted(kept):
            return kept
        return structs.replace(kept, state=RunState.UNKNOWN, error=problem)

    return store.change(run.id, change)


def being_submitted(run: Run) -> bool:
    """Whether another process may be starting the run this moment."""
    if run.state is not RunState.QUEUED:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(run.handed_over or run.created)
    return age.total_seconds() < SUBMIT_SECONDS


def lost(store: Store, run: Run) -> Run:
    """The run's process is gone and left no last word; a place that knows why says so."""
    if run.handle and isinstance(there := target_of(run), target.Knowing):
        try:
            fate = there.fate(run.handle)
        except UnreachableError as error:
            return unreachable(store, run, error)
        if fate is not None:
            return end(store, run, fate.state, fate.name, fate.value)
    if not run.started:
        return end(store, run, RunState.LOST, "Lost", "its process ended before the notebook was started")
    return end(store, run, RunState.LOST, "Lost", "its process was killed; the notebook is kept as far as it was saved")


def end(store: Store, run: Run, state: RunState, name: str, value: str) -> Run:
    """Write the last word for a run that cannot, once, and end what may be left of its processes."""
    run, ended = close(store, run, state, name, value)
    if ended and run.handle:
        with suppress(JupyterctlError):
            target_of(run).cancel(run.handle, 0.0)
    return run


def close(store: Store, run: Run, state: RunState, name: str, value: str) -> tuple[Run, bool]:
    """Write the last word for a run that cannot; whether it had none."""
    ended = False

    def change(kept: Run) -> Run:
        nonlocal ended
        if kept.state.ended:
            return kept
        records.close(kept.id, state.value, name, value)
        ended = True
        known = journal.events(records.journal(kept.id))
        return journal.fold_all(structs.replace(kept, state=RunState.SUBMITTED), known)

    return store.change(run.id, change), ended


def settle(store: Store, run: Run) -> Run:
    """Bring an ended run's result home, verified, and put it where it was asked for; what fails is tried later."""
    if run.collected or not run.handle:
        return run
    try:
        results.collect(run, target_of(run))
        delivered = results.deliver(run)
    except UnreachableError as error:
        return unreachable(store, run, error)
    except TargetError as error:
        delivered = error.message
    done = store.change(run.id, lambda kept: structs.replace(kept, collected=delivered is None, undelivered=delivered))
    records.keep(done)
    return done


# -- what a person does with runs --------------------------------------------------------------------------------------


def find(store: Store, name: str | None) -> Run:
    """The run of that id or of the only id that begins so; None: the newest. NotFoundError names the nearest."""
    if name is None:
        newest = store.runs(limit=1)
        if not newest:
            raise NotFoundError("there is no run yet", "`jupyterctl run NOTEBOOK` makes one")
        return newest[0]
    ids = store.ids(name)
    if name in ids or len(ids) == 1:
        return store.run(name if name in ids else ids[0])
    if ids:
        raise NotFoundError(f"`{name}` begins several runs' names", f"which one: {', '.join(ids[:6])}")
    sweeps = store.sweeps(name)
    if len(sweeps) == 1:
        points = [run.id for run in store.runs(sweep=sweeps[0])[::-1]]
        raise NotFoundError(f"`{sweeps[0]}` is a sweep, and this is for one run", f"which one: {', '.join(points[:6])}")
    if sweeps:
        raise NotFoundError(f"`{name}` begins several sweeps' names", f"which one: {', '.join(sweeps[:6])}")
    from difflib import get_close_matches

    near = get_close_matches(name, [*store.ids(""), *store.sweeps("")], n=1)
    hint = f"did you mean `{near[0]}`?" if near else "`jupyterctl runs` lists them"
    raise NotFoundError(f"there is no run `{name}`", hint)


def cancel(store: Store, run: Run, grace: float | None = None, *, wait: bool = True) -> Run:
    """End a live run, its notebook saved; by force after `grace` seconds, None: when it has had the time for it.

    Without `wait` it is only asked to.
    """
    run = refresh(store, run)
    if run.state.ended:
        return run
    if grace is None:
        grace = float(run.task.get("grace", 0.0)) + SAVE_SECONDS
    if run.handle:
        target_of(run).cancel(run.handle, grace if wait else None)
        if not wait:
            return _cancelled_early(store, run)
        run, gone = advance(store, run)
        if not run.state.ended and not gone:
            raise TargetError(f"`{run.id}` does not end", "try again, or look at it with `jupyterctl runs attach`")
    if not run.state.ended:
        early = "it could save" if run.started else "it began"
        run = end(store, run, RunState.CANCELLED, "Cancelled", f"cancelled before {early}")
    return settle(store, run)


def _cancelled_early(store: Store, run: Run) -> Run:
    """A run that was asked to end: where it had not begun, and nothing of it is left, that is its end."""
    with suppress(UnreachableError):
        run, gone = advance(store, run)
        if gone and not run.started and not run.state.ended:
            return end(store, run, RunState.CANCELLED, "Cancelled", "cancelled before it began")
    return run


def fetch(store: Store, run: Run, destination: Path | None) -> Path:
    """Bring the notebook home, as far as it is saved; returns where it is."""
    run = refresh(store, run)
    if run.handle and not run.collected:
        results.collect(run, target_of(run))
    where = results.put(run, destination)
    if run.state.ended:
        store.change(run.id, lambda kept: structs.replace(kept, collected=True, undelivered=None))
    return where


def remove(store: Store, run: Run) -> None:
    """Forget an ended run: its record, its directory at the target, its line in the store."""
    run = refresh(store, run)
    if not run.state.ended:
        raise UsageError(f"`{run.id}` is {run.state}", f"cancel it first: jupyterctl runs cancel {run.id}")
    if run.handle:
        never_there = run.error is not None and run.error.name == NOT_SUBMITTED
        with suppress(TargetError) if never_there else nullcontext():
            target_of(run).discard(run.handle)
    records.remove(run.id)
    store.remove(run.id)


def log(run: Run) -> str:
    """The runner's log, fetched anew while the run goes on."""
    file = records.directory(run.id) / records.LOG
    if run.handle and not run.collected:
        with suppress(FileNotFoundError, JupyterctlError):
            target_of(run).collect(run.handle, records.LOG, file)
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
