"""Sweeps: one notebook, many sets of parameters, so many at a time.

A sweep is its runs. A target that can takes all of them at once, and needs nobody here; elsewhere those still queued
are started as others end, by whichever process holds the sweep's lock. When that process dies the kernel lets the lock
go, and the next one that looks at the sweep goes on; a detached sweep is driven by
`python -m jupyterctl.core.sweep NAME`.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from .. import paths, target
from ..errors import JupyterctlError, UsageError
from ..model import Event, Run, RunState
from ..store import Store
from . import prepare, runs
from .given import given as given_of
from .given import grid
from .prepare import Prepared
from .watch import POLL_SECONDS, Follower

LOOK_SECONDS = 0.5
"""Between looks at what others do with the runs that wait."""


def create(store: Store, prepared: Prepared, sweeps: Sequence[str], jobs: int) -> str:
    """Keep one queued run for each point of the grid `NAME=A,B,C` …; returns the sweep's name."""
    made = points(prepared, sweeps)
    for run in made:
        runs.create(store, run, prepared.notebook.path)
    name = str(made[0].sweep)
    paths.write(_lock_file(name), f"{jobs}\n".encode())
    return name


def points(prepared: Prepared, sweeps: Sequence[str]) -> list[Run]:
    """The runs that a grid makes; UsageError where they cannot be together."""
    name = prepare.new_id(prepared.notebook.path.stem) + "-sweep"
    given = dict(prepared.request.given)
    each = [{**given, **given_of(typed=list(point.items()))} for point in grid(sweeps)]
    made: dict[str, Run] = {}
    for point in each:
        while (run := prepare.run_of(prepared, point, sweep=name)).id in made:
            pass  # of so many, two may well be called the same
        made[run.id] = run
    distinct(list(made.values()))
    return list(made.values())


def distinct(made: Sequence[Run]) -> None:
    """UsageError where two runs would put their results in one place."""
    outputs = [run.output for run in made if run.output is not None]
    if len(set(outputs)) < len(outputs):
        names = "-".join(f"{{{name}}}" for name in made[0].parameters)
        raise UsageError(
            f"every run of the sweep would write `{outputs[0]}`", f"name them apart: -o 'out-{names}.ipynb'"
        )


def follow(store: Store, name: str) -> Iterator[tuple[Run, Event | None]]:
    """Go on with a sweep and give each run's events as they come, until all have ended."""
    driver = Driver(store, name)
    try:
        yield from driver.events()
    finally:
        driver.close()


def cancel(store: Store, name: str) -> None:
    """Ask every run that has not ended to end; those still queued never start."""
    live = [run for run in store.runs(sweep=name) if not run.state.ended]
    begun = [run for run in live if run.handle]
    if begun and isinstance(there := runs.target_of(begun[0]), target.Gathering):
        there.withhold([run.handle for run in begun])
    for run in live:
        runs.cancel(store, run, wait=False)


def waiting(run: Run) -> bool:
    """Whether nobody has begun to start the run, nor ended it."""
    return run.state is RunState.QUEUED and not run.handle


class Driver:
    """Goes on with a sweep: starts what is queued if nobody else does, and gives everything that happens."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.jobs = _jobs(name)
        self.followers = {run.id: Follower(store, run) for run in reversed(store.runs(sweep=name))}
        self._lock = os.open(_lock_file(name), os.O_RDWR | os.O_CREAT, 0o600)
        self._driving = False
        self._offered = False
        self._looked = 0.0

    def close(self) -> None:
        """Let the lock and the runs go."""
        for follower in self.followers.values():
            follower.close()
        os.close(self._lock)

    def events(self) -> Iterator[tuple[Run, Event | None]]:
        """Each run's events as they come, until all have ended; None where nothing is new for a moment."""
        while True:
            queue, begun = self._waiting(), self._begun()
            if not (queue or begun):
                return
            if self._driving or self._take_over():
                with suppress(JupyterctlError):  # it is every run's end, with its reason
                    self._hand_over()
                queue, begun = self._waiting(), self._begun()
                live = sum(1 for follower in begun if not follower.run.state.ended)
                for follower in queue[: max(0, self.jobs - live)]:
                    self._start(follower)
            news = [(follower, event) for follower in begun for event in follower.poll()]
            for follower, event in news:
                yield follower.run, event
            if not news:
                yield (begun or queue)[0].run, None
                time.sleep(POLL_SECONDS)
                self._look()

    def _waiting(self) -> list[Follower]:
        return [follower for follower in self.followers.values() if waiting(follower.run)]

    def _begun(self) -> list[Follower]:
        return [follower for follower in self.followers.values() if not (follower.finished or waiting(follower.run))]

    def _look(self) -> None:
        """See what others did with the runs that wait: started them, or cancelled them."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            for run in self.store.runs(sweep=self.name):
                if waiting(self.followers[run.id].run):
                    self.followers[run.id].run = run

    def hand_over(self) -> bool:
        """Whether the target has taken the whole sweep, and nobody need drive it.

        What it refuses is raised, and is every run's end.
        """
        return (self._driving or self._take_over()) and self._hand_over()

    def _hand_over(self) -> bool:
        """Where nothing of it has begun, let a target that can have all of it at once."""
        fresh = not self._offered and len(self.followers) > 1 and len(self._waiting()) == len(self.followers)
        self._offered = True
        if not fresh:
            return False
        try:
            return bool(runs.submit_together(self.store, [each.run for each in self.followers.values()], self.jobs))
        finally:
            for follower in self.followers.values():
                follower.run = self.store.run(follower.run.id)

    def _start(self, follower: Follower) -> None:
        run = self.store.run(follower.run.id)
        if waiting(run):
            try:
                run = runs.submit(self.store, run)
            except JupyterctlError:
                run = self.store.run(run.id)
        follower.run = run

    def _take_over(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._driving = True
        self._looked = 0.0
        self._look()
        return True


def detach(store: Store, name: str) -> None:
    """Let the target have the sweep, or a process of its own drive it."""
    from ..transport import process

    driver = Driver(store, name)
    try:
        if driver.hand_over() or not any(map(waiting, store.runs(sweep=name))):
            return
    finally:
        driver.close()
    process.spawn([sys.executable, "-m", "jupyterctl.core.sweep", name], Path.cwd())


def _lock_file(name: str) -> Path:
    return paths.private(paths.state() / "sweeps") / name


def _jobs(name: str) -> int:
    try:
        return max(1, int(_lock_file(name).read_text(encoding="ascii")))
    except (OSError, ValueError):
        return 1


def main() -> None:
    """Drive the sweep named on the command line to its end."""
    for _ in follow(Store(), sys.argv[1]):
        pass


if __name__ == "__main__":
    main()
