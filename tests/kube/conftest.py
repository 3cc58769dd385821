"""A namespace, and somebody who runs notebooks in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterctl.core.session import Session
from jupyterctl.model import Run, RunOptions
from tests.cluster import ADMIN, Space
from tests.conftest import notebook


@pytest.fixture
def space(home: Path, tmp_path: Path) -> Iterator[Space]:
    """A namespace of its own."""
    made = Space(tmp_path / "cluster").open()
    try:
        yield made
    finally:
        made.close()


class Runs:
    """Starts notebooks; each profile is made by the settings it is given."""

    def __init__(self, space: Space, home: Path, folder: Path) -> None:
        self.space, self.folder = space, folder
        self.session = Session(folder)
        self._profiles = home / "config/profiles"
        self._profiles.mkdir(parents=True)

    def profile(self, name: str = "there", of: str = ADMIN, **settings: Any) -> str:
        """Write a profile."""
        (self._profiles / f"{name}.toml").write_text(self.space.profile(of, **settings), encoding="utf-8")
        return name

    def start(self, target: str, *cells: str, name: str = "nb.ipynb", **options: Any) -> Run:
        """Submit a notebook of these cells."""
        path = notebook(self.folder / target / name, *cells)
        prepared = self.session.prepare(path, target, given={}, secrets={}, options=RunOptions(**options))
        return self.session.submit(self.session.create_run(prepared))

    def finish(self, run: Run) -> tuple[Run, list[dict[str, Any]]]:
        """Follow a run to its end."""
        events = [event for _, event in self.session.follow(run) if event is not None]
        return self.session.find_run(run.id), events


@pytest.fixture
def runs(space: Space, home: Path, tmp_path: Path) -> Runs:
    """Somebody who runs notebooks in the namespace."""
    return Runs(space, home, tmp_path / "work")
