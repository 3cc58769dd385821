"""What an environment is to be made of: what was asked for, an `environment.yml`, or the default."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from ..errors import UsageError
from ..model import Json

DEFAULT = ("python", "ipython", "jupyterlab", "ipykernel", "papermill", "nodejs")
"""Conda packages of an environment that nothing was said about."""

DEFAULT_VIRTUAL = ("ipykernel", "jupyterlab", "papermill")
"""The same for a virtual environment, which has its Python already."""

ALWAYS = ("python", "pip", "ipykernel")
"""Conda packages without which no notebook runs, or nothing could be added later."""

CHANNEL = "conda-forge"
_ALIASES = {"nodefaults": (), "defaults": ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")}
_NAME = re.compile(r"(?:[^\s\[]+::)?([A-Za-z0-9_.-]+)")


class Recipe(Struct, frozen=True, kw_only=True):
    """The ingredients of one environment."""

    packages: tuple[str, ...]
    """Specs as conda or pip write them: `numpy`, `python=3.12`, `pandas>=2`."""
    channels: tuple[str, ...] = (CHANNEL,)
    """Conda channels, first wins: names, URLs or folders."""
    pip: tuple[str, ...] = ()
    """What pip installs on top of conda's packages."""
    variables: dict[str, str] = {}
    """Variables that activating the environment sets."""


class EnvironmentFile(Struct, frozen=True, kw_only=True):
    """An `environment.yml`."""

    name: str = ""
    channels: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    variables: dict[str, str] = {}


def conda_recipe(packages: Sequence[str], channels: Sequence[str], file: EnvironmentFile | None) -> Recipe:
    """Conda's: the packages given and the file's, or the default ones; a Python with a kernel in any case.

    Channels given go before the file's.
    """
    file = file or EnvironmentFile()
    asked = (*file.packages, *packages) or DEFAULT
    names = {package_name(spec) for spec in asked}
    return Recipe(
        packages=(*(name for name in ALWAYS if name not in names), *asked),
        channels=_channels((*channels, *file.channels)) or (CHANNEL,),
        pip=file.pip,
        variables=file.variables,
    )


def virtual_recipe(packages: Sequence[str], channels: Sequence[str], file: Path | None) -> Recipe:
    """A virtual environment's: the packages given and those of a requirements file, or the default ones."""
    if channels:
        raise UsageError("a virtual environment has no channels", "leave out --channel, or --venv")
    if file is not None and (file.suffix in {".yml", ".yaml"} or not file.is_file()):
        raise UsageError(f"`{file}` is no requirements file", "an environment.yml makes conda environments: no --venv")
    asked = (*packages, *(("-r", str(file.absolute())) if file else ())) or DEFAULT_VIRTUAL
    kernel = () if "ipykernel" in map(package_name, asked) else ("ipykernel",)
    return Recipe(packages=(*kernel, *asked), channels=())


def package_name(spec: str) -> str:
    """The package that a spec is about.

    >>> package_name("conda-forge::Python>=3.11"), package_name("numpy =2.1"), package_name("pillow[extras]")
    ('python', 'numpy', 'pillow')
    """
    match = _NAME.match(spec.strip())
    return match[1].lower() if match else ""


def read_file(path: Path) -> EnvironmentFile:
    """An `environment.yml`; UsageError names what cannot be read or used."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}", "give the path of an environment.yml") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            f"`{path}` is no YAML: {str(error).splitlines()[0]}", "an example: dependencies: [numpy]"
        ) from error
    content = content if isinstance(content, dict) else {}
    dependencies = content.get("dependencies")
    if not isinstance(dependencies, list):
        raise UsageError(f"`{path}` has no list `dependencies`", "an example: dependencies: [python=3.12, numpy]")
    return EnvironmentFile(
        name=str(content.get("name") or ""),
        channels=tuple(_relative(str(channel), path) for channel in content.get("channels") or ()),
        packages=tuple(item for item in dependencies if isinstance(item, str)),
        pip=tuple(_pip(dependencies, path)),
        variables={str(name): str(value) for name, value in (content.get("variables") or {}).items()},
    )


def _pip(dependencies: list[Json], path: Path) -> list[str]:
    """The requirements of the `- pip: […]` entries; what else stands there has no meaning."""
    found: list[str] = []
    for item in dependencies:
        if isinstance(item, dict) and list(item) == ["pip"] and isinstance(item["pip"], list):
            found += map(str, item["pip"])
        elif not isinstance(item, str):
            raise UsageError(
                f"`{path}`: `{item}` in `dependencies` is no package", "write `- numpy` or `- pip: [numpy]`"
            )
    return found


def _channels(channels: Sequence[str]) -> tuple[str, ...]:
    """As the solver knows them; a folder by its address, each once."""
    named = [name for channel in channels for name in _ALIASES.get(channel, (channel,))]
    return tuple(dict.fromkeys(_relative(name, Path.cwd() / "here") for name in named))


def _relative(channel: str, file: Path) -> str:
    """A channel that is a folder beside the file, as a URL; any other as it is."""
    if "://" in channel or "/" not in channel:
        return channel
    folder = file.parent / Path(channel).expanduser()
    return folder.resolve().as_uri() if folder.is_dir() else channel
