"""One Python environment, read from the files in its folder; its Python is not started.

Versions come from `conda-meta`, `pyvenv.cfg` and the names of `*.dist-info` folders, which is what the programs that
write them go by too.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ..paths import tilde
from .searchpath import base, listing, search_path, settings

Kind = Literal["conda", "venv", "uv", "pixi", "pyenv", "running", "system"]
"""What made the environment; `running` is a Python that runs jupyterctl and is none of the others."""

NOTED = ("ipykernel", "jupyterlab", "papermill")
"""The packages that say what an environment is good for here."""

MARK = "jupyterctl.json"
"""File in the prefix of environments that jupyterctl made: the request they were made by."""

_DISTRIBUTION = re.compile(rf"({'|'.join(NOTED)})-([^-]+)(?:-.*)?\.(?:dist|egg)-info")
_CONDA_PYTHON = re.compile(r"python-(\d[^-]*)-[^-]+\.json")
_EXECUTABLE = re.compile(r"python(\d+\.\d+)")
_GENERIC = {".venv", "venv", "env", ".env"}


class Environment(Struct, frozen=True, kw_only=True):
    """A Python that notebooks could run in."""

    name: str
    kind: Kind
    prefix: Path
    python: Path
    """The interpreter, not resolved: a virtual environment is known by the link's place."""
    version: str
    """Python's own version, as exactly as the files tell: `3.12.1`, or `3.12`."""
    packages: dict[str, str]
    """Name to version: `python`, and those of ipykernel, jupyterlab and papermill that are there."""

    @property
    def minor(self) -> str:
        """Python's version as folders are named by it: `3.12`."""
        return ".".join(self.version.split(".")[:2])

    @property
    def made_here(self) -> bool:
        """Whether jupyterctl made it, and may remove it."""
        return (self.prefix / MARK).is_file()


def read(prefix: Path, python: Path | None = None) -> Environment | None:
    """The environment in a folder, with this Python of it or its usual one; None where none could be started."""
    python = python or interpreter(prefix)
    version = python and _version(prefix, python)
    if python is None or not version:
        return None
    kind = _kind(prefix)
    minor = ".".join(version.split(".")[:2])
    packages = {"python": version} | _noted(search_path(prefix, minor).folders)
    return Environment(
        name=_name(prefix, kind), kind=kind, prefix=prefix, python=python, version=version, packages=packages
    )


def label(environment: Environment) -> str:
    """The environment in a few words: `python 3.12 in ~/lab/.venv`."""
    return f"python {environment.minor} in {tilde(environment.prefix)}"


def spec_of(environment: Environment) -> str:
    """How a profile names the environment."""
    if environment.kind == "conda" and (environment.made_here or environment.prefix.parent.name == "envs"):
        return f"conda:{environment.name}"
    form = {"conda": "conda", "pixi": "conda", "venv": "venv", "uv": "venv"}.get(environment.kind)
    return f"{form}:{environment.prefix}" if form else f"python:{environment.python}"


def interpreter(prefix: Path) -> Path | None:
    """The folder's Python; None where it has none, or where its link leads nowhere any more."""
    candidates = (prefix / "bin" / name for name in ("python", "python3"))
    return next((python for python in candidates if python.exists()), None)


def pyenv_root() -> Path:
    """Where pyenv keeps its versions."""
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def is_conda(prefix: Path) -> bool:
    """Whether a folder is an environment in conda's format."""
    return (prefix / "conda-meta").is_dir()


def _kind(prefix: Path) -> Kind:
    if is_conda(prefix):
        return "pixi" if prefix.parent.parent.name == ".pixi" else "conda"
    cfg = settings(prefix)
    if cfg:
        return "uv" if "uv" in cfg else "venv"
    if prefix.parent == pyenv_root() / "versions":
        return "pyenv"
    return "running" if prefix == Path(sys.prefix).resolve() else "system"


def _name(prefix: Path, kind: Kind) -> str:
    """What people call it: a project's `.venv` goes by the project, a root of conda's by `base`."""
    if kind == "pixi":
        project = prefix.parent.parent.parent.name
        return project if prefix.name == "default" else f"{project}:{prefix.name}"
    if kind == "conda":
        return "base" if (prefix / "condabin").is_dir() and prefix.parent.name != "envs" else prefix.name
    if kind in {"running", "system"}:
        return kind
    return prefix.parent.name if prefix.name in _GENERIC else prefix.name


def _version(prefix: Path, python: Path) -> str:
    if prefix == Path(sys.prefix).resolve():
        return ".".join(map(str, sys.version_info[:3]))
    if is_conda(prefix):
        return next((match[1] for match in map(_CONDA_PYTHON.fullmatch, listing(prefix / "conda-meta")) if match), "")
    cfg = settings(prefix)
    written = cfg.get("version_info") or cfg.get("version")
    return ".".join(written.split(".")[:3]) if written else _installed_version(base(prefix), python)


def _installed_version(prefix: Path, python: Path) -> str:
    """Of an installation: from its C header where there is one, else as its executable is named."""
    named = _EXECUTABLE.match(python.resolve().name)
    if named is None:
        return ""
    for header in (prefix / "include").glob(f"python{named[1]}*/patchlevel.h"):
        exact = re.search(r'PY_VERSION\s+"([^"+]+)', header.read_text("utf-8", "replace"))
        return exact[1] if exact else named[1]
    return named[1]


def _noted(folders: list[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in folders:
        for match in filter(None, map(_DISTRIBUTION.fullmatch, listing(folder))):
            found.setdefault(match[1], match[2])
    return {name: found[name] for name in NOTED if name in found}
