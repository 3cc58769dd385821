"""The suite's ground: each test runs once for every place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterctl.core.session import Session
from jupyterctl.model import Run, RunOptions
from tests.conda_channel import conda_environment  # noqa: F401 - a fixture
from tests.conftest import notebook

from . import places, server_ground

PLACES = ["local-venv", "local-conda", *places.TRANSPORTS, "docker", "pods"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is the same at a place and its variant."""
    same = [item for item in items if isinstance(item, pytest.Function) and _same(item)]
    config.hook.pytest_deselected(items=same)
    items[:] = [item for item in items if item not in same]


def _same(item: pytest.Function) -> bool:
    where = item.callspec.params.get("place") if hasattr(item, "callspec") else None
    return where in server_ground.VARIANTS and item.originalname not in server_ground.MAY_DIFFER


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[places.Place]:
    """One place, with a profile named `there` for it."""
    if request.param == "local-conda":
        made: places.Place = places.conda(request.getfixturevalue("conda_environment"))
    elif request.param in places.TRANSPORTS:
        made = places.Ssh(places.TRANSPORTS[request.param])
    elif request.param == "docker":
        made = places.ContainerRuns()
    elif request.param == "pods":
        made = places.Pods()
    else:
        made = places.venv()
    made.open(monkeypatch, tmp_path)
    profiles = home / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "there.toml").write_text(made.profile(), encoding="utf-8")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def session(place: places.Place, tmp_path: Path) -> Session:
    """A session whose profile `there` is the place."""
    return Session(tmp_path)


class Runs:
    """Starts notebooks at the place."""

    def __init__(self, session: Session, folder: Path) -> None:
        self.session = session
        self.folder = folder

    def start(self, *cells: str, name: str = "nb.ipynb", parameters=None, secrets=None, **options) -> Run:
        """Submit a notebook of these cells; it runs by itself."""
        path = notebook(self.folder / name, *cells)
        prepared = self.session.prepare(
            path,
            "there",
            given=self.session.given(list((parameters or {}).items()), [], [], []),
            secrets=secrets or {},
            options=RunOptions(**options),
        )
        return self.session.submit(self.session.create_run(prepared))

    def finish(self, run: Run) -> tuple[Run, list[dict]]:
        """Follow a run to its end: the run, and its events, without why it had to wait where a place was slow."""
        events = []
        for last, event in self.session.follow(run):
            run = last
            if event is not None and event["event"] != "waiting":
                events.append(event)
        return self.session.find_run(run.id), events


@pytest.fixture
def runs(session: Session, tmp_path: Path) -> Runs:
    """Starts notebooks at the place."""
    return Runs(session, tmp_path / "work")
