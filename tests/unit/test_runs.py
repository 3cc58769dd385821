"""Runs whose making was cut short."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from jupyterctl.core import runs
from jupyterctl.core.session import Session
from jupyterctl.errors import TargetError
from jupyterctl.model import Run, RunOptions, RunState
from tests.conftest import notebook


@pytest.fixture
def made(home: Path, tmp_path: Path) -> tuple[Session, Run]:
    """A run that was made and not submitted."""
    session = Session(tmp_path)
    path = notebook(tmp_path / "nb.ipynb", "1")
    return session, session.create_run(session.prepare(path, given={}, secrets={}, options=RunOptions()))


class Nothing:
    """A place that has nothing of the run, and takes nothing."""

    def handle(self, run: Run) -> dict[str, str]:
        return {"at": run.id}

    def journal(self, handle: dict[str, str], offset: int) -> tuple[bytes, bool]:
        del handle, offset
        return b"", True

    def _refuse(self, *_: object) -> None:
        raise TargetError("you may not")

    submit = collect = cancel = discard = _refuse


def test_a_run_that_nobody_began_to_start_is_lost_in_the_end(made: tuple[Session, Run]) -> None:
    session, run = made
    assert session.run(run.id).state is RunState.QUEUED
    session.store.change(run.id, lambda kept: structs.replace(kept, created="2026-01-01T00:00:00.000Z"))
    assert session.run(run.id).state is RunState.LOST


def test_a_run_that_waits_in_a_sweep_may_wait_for_ever(made: tuple[Session, Run]) -> None:
    session, run = made
    session.store.change(
        run.id, lambda kept: structs.replace(kept, created="2026-01-01T00:00:00.000Z", sweep="nb-sweep")
    )
    assert session.run(run.id).state is RunState.QUEUED


def test_a_run_whose_submission_fails_has_failed(made: tuple[Session, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run: Run) -> None:
        raise TargetError("the place is closed")

    session, run = made
    monkeypatch.setattr(runs, "target_of", refuse)
    with pytest.raises(TargetError, match="closed"):
        session.submit(run)
    failed = session.find_run(run.id)
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    assert failed.error.value == "the place is closed"
    assert failed.exit_code == 3


def test_whoever_looks_while_a_run_is_submitted_does_not_call_it_lost(made: tuple[Session, Run]) -> None:
    """The very first one: there is no folder for runs yet, and then no process."""
    session, run = made
    handle = runs.target_of(run).handle(run)
    session.store.change(run.id, lambda kept: structs.replace(kept, handle=handle, handed_over=runs.now()))
    folder = Path(handle["directory"])
    assert not folder.parent.exists()
    assert session.run(run.id).state is RunState.QUEUED
    folder.mkdir(parents=True)
    assert session.run(run.id).state is RunState.QUEUED


def test_what_was_seen_before_it_was_started_says_nothing(
    made: tuple[Session, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is submitted while a place is looked at that has nothing of it yet; no real one can be held up there."""
    session, run = made

    class Place(Nothing):
        def journal(self, handle: dict[str, str], offset: int) -> tuple[bytes, bool]:
            session.store.change(run.id, lambda kept: structs.replace(kept, state=RunState.SUBMITTED))
            return super().journal(handle, offset)

    session.store.change(run.id, lambda kept: structs.replace(kept, handle={"at": "it"}, handed_over=runs.now()))
    monkeypatch.setattr(runs, "target_of", lambda _: Place())
    assert session.run(run.id).state is RunState.SUBMITTED
    assert session.run(run.id).state is RunState.LOST


def test_a_run_that_its_place_refused_is_removed_though_that_is_refused_too(
    made: tuple[Session, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, run = made
    monkeypatch.setattr(runs, "target_of", lambda _: Nothing())
    with pytest.raises(TargetError, match="may not"):
        session.submit(run)
    session.remove(session.find_run(run.id))
    assert session.runs() == []
