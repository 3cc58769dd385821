"""The ground of tests of one kind of engine: a profile `there`, and someone who uses it by the installed command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import engine
from tests.conftest import Cli, notebook
from tests.outcomes.ground import Outcome, carry_out


class Desk:
    """A person's folder, profile and command."""

    def __init__(self, ground: engine.Ground, home: Path, cli: Cli) -> None:
        self.ground, self.home, self.cli = ground, home, cli
        self.folder = ground.folder / "work"
        self.folder.mkdir(exist_ok=True)

    def describe(self, text: str | None = None, **settings: object) -> None:
        """Write the profile."""
        file = self.home / "config/profiles/there.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.ground.profile(**settings) if text is None else text, encoding="utf-8")

    def notebook(self, *cells: str) -> Path:
        """A notebook of these cells."""
        return notebook(self.folder / "nb.ipynb", *cells)

    def run(self, *cells: str, flags: tuple[str, ...] = ()) -> Outcome:
        """Run a notebook of these cells to its end."""
        return carry_out(self.cli, self.notebook(*cells), "-t", "there", *flags)


@pytest.fixture
def ground(home: Path, tmp_path: Path) -> Iterator[engine.Ground]:
    """Containers of an owner of its own on the engine of this machine."""
    made = engine.Ground(tmp_path).open()
    yield made
    made.close()


@pytest.fixture
def desk(ground: engine.Ground, home: Path, cli: Cli) -> Desk:
    """Somebody who uses it, with a profile of the image."""
    made = Desk(ground, home, cli)
    made.describe()
    return made
