"""The environment for a notebook, where none is named: the first that can run it, in the order of preference of `find`.

It needs a kernel of the notebook's language and every module the notebook imports; where no environment has them all,
the first with a kernel is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import NoLabError, NotFoundError
from .environment import Environment
from .find import found
from .kernelspecs import kernelspecs
from .packages import missing


class _Tried(NamedTuple):
    environment: Environment
    role: str
    lacking: list[str]


def choose(near: Path, language: str, imports: Sequence[str]) -> tuple[Environment, str]:
    """The environment for a notebook at or in `near`, and a short sentence that says why this one.

    NotFoundError where no environment has a kernel of the language.
    """
    kernel = "ipykernel" if language == "python" else f"{language} kernel"
    tried: list[_Tried] = []
    for environment, role in found(near):
        lacking = _lacking(environment, language, imports) if speaks(environment, language) else [kernel]
        tried.append(_Tried(environment, role, lacking))
        if not lacking:
            return environment, _because(tried)
    best = next((one for one in tried if one.lacking != [kernel]), None)
    if best is None:
        wanted = kernel if language == "python" else f"a {kernel}"
        raise NotFoundError(f"no environment on this machine has {wanted}", "`jupyterctl env create NAME` makes one")
    return best.environment, f"{best.role}: none has everything that is imported"


def lab(near: Path) -> tuple[Environment, str]:
    """The environment to start JupyterLab from in a folder, and why this one; NoLabError where none has JupyterLab."""
    first = ""
    for environment, role in found(near):
        if "jupyterlab" in environment.packages:
            return environment, f"{first} has no JupyterLab" if first else role
        first = first or role
    raise NoLabError("no environment on this machine has JupyterLab", "make one: jupyterctl env create lab")


def speaks(environment: Environment, language: str) -> bool:
    """Whether a kernel of the language is there; the user's own kernels and the system's count everywhere."""
    if language == "python":
        return "ipykernel" in environment.packages
    return language.casefold() in {spec.language.casefold() for spec in kernelspecs([environment.prefix])}


def _lacking(environment: Environment, language: str, imports: Sequence[str]) -> list[str]:
    return missing(environment, imports) if language == "python" else []


def _because(tried: Sequence[_Tried]) -> str:
    """Why the last one: for what it is, and for what the most preferred one has not."""
    if len(tried) == 1:
        return tried[0].role
    modules = ", ".join(f"`{name}`" for name in tried[0].lacking)
    return f"{tried[-1].role}: {tried[0].role} has no {modules}"
