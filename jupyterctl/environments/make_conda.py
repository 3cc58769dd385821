"""Make a conda environment with no conda on the machine: py-rattler solves, downloads and links, as a child process."""

from __future__ import annotations

import importlib.util
import sys
from collections import deque
from pathlib import Path

import msgspec

from .. import paths
from ..errors import MissingLibraryError, TargetError
from . import child
from .child import Report
from .explain import explain
from .recipe import Recipe
from .solve import Request, Step


def make(prefix: Path, recipe: Recipe, report: Report) -> None:
    """Everything of the recipe, at the prefix; raises the reason in words where it fails."""
    if importlib.util.find_spec("rattler") is None:
        raise MissingLibraryError("making conda environments", "conda", "add --venv for one without conda")
    _install(prefix, recipe, report)
    (prefix / "conda-meta/history").touch()
    if recipe.variables:
        state = {"version": 1, "env_vars": recipe.variables}
        (prefix / "conda-meta/state").write_bytes(msgspec.json.encode(state))
    if recipe.pip:
        _pip(prefix, recipe, report)


def _install(prefix: Path, recipe: Recipe, report: Report) -> None:
    cache = paths.cache() / "conda-packages"
    request = Request(prefix=str(prefix), packages=recipe.packages, channels=recipe.channels, cache=str(cache))
    other: deque[str] = deque(maxlen=50)
    last = Step(step="")

    def heard(line: str) -> None:
        nonlocal last
        try:
            last = msgspec.json.decode(line, type=Step)
        except msgspec.DecodeError:
            other.append(line)
        else:
            if last.step in {"solve", "install"}:
                report(last)

    command = [sys.executable, "-P", "-m", "jupyterctl.environments.solve"]
    child.run(command, heard, msgspec.json.encode(request) + b"\n")
    if last.step == "error":
        raise explain(last.text, ", ".join(recipe.channels), prefix)
    if last.step != "done":
        raise TargetError("the program that installs conda packages died", " ".join(other)[-200:] or "try again")


def _pip(prefix: Path, recipe: Recipe, report: Report) -> None:
    child.install(prefix, [str(prefix / "bin/python"), "-m", "pip", "install", *recipe.pip], report)
