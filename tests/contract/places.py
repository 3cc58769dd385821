"""The places that the contract is held against: one class a kind, each with the real thing behind it.

A kind joins the suite by a class here and a line in `conftest.PLACES`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil

from jupyterctl import paths


class Place(Protocol):
    """What the suite has to know of a place beside its profile."""

    prefix: Path
    """Of the environment that kernels must run in."""

    def profile(self) -> str:
        """A profile of this place, as TOML."""

    def cut(self) -> object:
        """While the context manager is open, the place does not answer; what runs there goes on."""

    def processes(self, run_id: str) -> list[psutil.Process]:
        """Every process of a run at the place."""

    def files(self, run_id: str) -> list[Path]:
        """Every file that the place keeps of a run."""


class Local:
    """This machine, with an environment of a certain make."""

    def __init__(self, spec: str, prefix: Path) -> None:
        self.spec = spec
        self.prefix = prefix

    def profile(self) -> str:
        return f'kind = "local"\nenvironment = "{self.spec}"\n'

    @contextmanager
    def cut(self) -> Iterator[None]:
        """The disk that runs execute on is not there; runs hold their files open and go on."""
        here, away = paths.state() / "local", paths.state() / "elsewhere"
        here.rename(away)
        try:
            yield
        finally:
            away.rename(here)

    def processes(self, run_id: str) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("JUPYTERCTL_RUN") == run_id and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def files(self, run_id: str) -> list[Path]:
        return [path for path in (paths.state() / "local").rglob("*") if run_id in str(path)]


def venv() -> Local:
    """The virtual environment that the tests themselves run in."""
    return Local(f"venv:{sys.prefix}", Path(sys.prefix))


def conda(prefix: Path) -> Local:
    """A genuine conda-format environment."""
    return Local(f"conda:{prefix}", prefix)
