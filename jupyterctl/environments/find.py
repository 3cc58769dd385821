"""Every Python environment on this machine, best first: in the order in which one would be preferred for a notebook.

The active one, the project's own from the notebook's folder upwards, the Python that runs jupyterctl, then all others.
Only folders are looked at. Registries have stale lines and folders have leftovers, so a candidate counts once its
Python is there; two paths to one folder count once.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import paths
from ..paths import tilde
from .environment import Environment, is_conda, pyenv_root, read
from .searchpath import listing, settings

Candidate = tuple[Path, str]
"""A folder that may be an environment, and what it is to the notebook, to go into a sentence."""

_USUAL = (".venv", "venv", "env")
_ROOTS = ("miniforge3", "miniconda3", "mambaforge", "anaconda3", "micromamba", ".mamba", ".local/share/mamba", ".conda")
_PROJECT = (".git", "pyproject.toml", "pixi.toml", ".jupyterctl", "requirements.txt", "environment.yml", "setup.py")


def environments(near: Path) -> list[Environment]:
    """All environments, best first for a notebook in the folder `near` (or at it)."""
    return [environment for environment, _ in found(near)]


def found(near: Path) -> Iterator[tuple[Environment, str]]:
    """Each environment with what it is to the notebook; one at a time, for callers that stop at the first good one."""
    seen: set[str] = set()
    folder = near.absolute()
    for candidate, role in _candidates(folder.parent if folder.is_file() else folder):
        real = os.path.realpath(candidate)
        if real not in seen:
            seen.add(real)
            environment = read(Path(real))
            if environment and not _unfinished(environment.prefix):
                yield environment, role


def half_made(prefix: Path) -> Path:
    """The lock that lies beside an environment while it is being made; what it leaves behind is half an environment."""
    return prefix.parent / f".{prefix.name}.making"


def conda_registry() -> Path:
    """The file in which conda and its relatives note every environment they make."""
    return Path.home() / ".conda" / "environments.txt"


def conda_roots() -> Iterator[Path]:
    """Where conda, mamba or micromamba may be installed."""
    named = (os.environ.get(name) for name in ("CONDA_ROOT", "MAMBA_ROOT_PREFIX", "_CONDA_ROOT"))
    yield from (Path(root) for root in named if root)
    if "CONDA_EXE" in os.environ:
        yield Path(os.environ["CONDA_EXE"]).parent.parent
    yield from (Path.home() / name for name in _ROOTS)
    yield from (Path(root) for root in ("/opt/conda", "/opt/miniforge3", "/opt/miniconda3"))


def _candidates(near: Path) -> Iterator[Candidate]:
    yield from _active()
    yield from _project(near)
    yield from _auto_activated()
    yield Path(sys.prefix), "the Python that runs jupyterctl"
    yield from _plain(_children(paths.environments()))
    yield from _plain(_conda())
    yield from _plain(_elsewhere(near))
    yield from _plain(_children(Path.home() / ".virtualenvs"))
    yield from _plain(_children(Path.home() / ".cache/pypoetry/virtualenvs"))
    yield from _plain(_children(pyenv_root() / "versions"))
    yield from _plain(_on_path())


def _plain(prefixes: Iterable[Path]) -> Iterator[Candidate]:
    return ((prefix, f"`{tilde(prefix)}`") for prefix in prefixes)


def _active() -> Iterator[Candidate]:
    active = [os.environ.get("VIRTUAL_ENV"), None if _base_is_active() else os.environ.get("CONDA_PREFIX")]
    yield from ((Path(prefix), "the active environment") for prefix in active if prefix)


def _auto_activated() -> Iterator[Candidate]:
    """The root of conda, active in every shell of its users: no choice of theirs, so a project's own goes before it."""
    if _base_is_active():
        yield Path(os.environ["CONDA_PREFIX"]), "the active `base` environment"


def _base_is_active() -> bool:
    return "CONDA_PREFIX" in os.environ and os.environ.get("CONDA_DEFAULT_ENV") == "base"


def _project(near: Path) -> Iterator[Candidate]:
    """Environments of the folder and of those above it: any name within the project, the usual names further up."""
    above = [near, *near.parents]
    inside = above[: _depth(above) + 1]
    for folder in inside:
        for prefix in (*_given(folder), *_usual(folder), *_virtual(folder), *_pixi(folder)):
            yield prefix, f"the project's own `{os.path.relpath(prefix, folder)}`"
    for folder in above[len(inside) :]:
        yield from _plain((*_usual(folder), *_pixi(folder)))


def _depth(above: list[Path]) -> int:
    """How many folders up the project's root is; 0 where nothing says so before the user's home."""
    for depth, folder in enumerate(above):
        if folder == Path.home():
            break
        if any((folder / name).exists() for name in _PROJECT):
            return depth
    return 0


def _given(folder: Path) -> Iterator[Path]:
    """Where uv was told to keep the project's environment; relative to the project."""
    given = os.environ.get("UV_PROJECT_ENVIRONMENT")
    if given and (folder / "pyproject.toml").exists():
        yield folder / given


def _usual(folder: Path) -> Iterator[Path]:
    return (folder / name for name in _USUAL if (folder / name / "pyvenv.cfg").is_file())


def _virtual(folder: Path) -> Iterator[Path]:
    """Virtual environments of any name that lie in the folder."""
    return (child for child in _children(folder) if (child / "pyvenv.cfg").is_file())


def _pixi(folder: Path) -> list[Path]:
    """Environments of a pixi project; its default one first."""
    return sorted(_children(folder / ".pixi" / "envs"), key=lambda prefix: (prefix.name != "default", prefix.name))


def _conda() -> Iterator[Path]:
    """Everything in conda's format: what its registry notes, its roots, and the folders of named environments."""
    roots = list(conda_roots())
    folders = [root / "envs" for root in roots]
    for name in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"):
        folders += [Path(entry).expanduser() for entry in os.environ.get(name, "").split(os.pathsep) if entry]
    found = [*roots, *_registered(), *(prefix for folder in folders for prefix in _children(folder))]
    return filter(is_conda, found)


def _registered() -> list[Path]:
    try:
        lines = conda_registry().read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [Path(line.strip()) for line in lines if line.strip()]


def _elsewhere(near: Path) -> Iterator[Path]:
    """Virtual environments of any name beside the folders above, up to the user's home."""
    for folder in near.parents:
        if folder == folder.parent:
            return
        yield from _virtual(folder)
        if folder == Path.home():
            return


def _on_path() -> Iterator[Path]:
    """The installation of the `python3` that a shell would start; a shim of pyenv leads to none."""
    python = shutil.which("python3")
    if python:
        prefix = Path(python).parent.parent
        yield prefix if settings(prefix) or is_conda(prefix) else Path(python).resolve().parent.parent
    yield Path("/usr")


def _children(folder: Path) -> Iterator[Path]:
    return (folder / name for name in sorted(listing(folder)))


def _unfinished(prefix: Path) -> bool:
    return half_made(prefix).exists()
