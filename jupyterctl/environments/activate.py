"""Shell lines that make an environment the active one, as its own tools would, for a script that goes on with `exec`.

`conda run` is not used: it holds output back and swallows signals. A conda environment is activated by the `conda
activate` of its installation, found by absolute path; where there is no installation, or it fails, by what that comes
to: the variables, PATH, and the packages' scripts in `etc/conda/activate.d`.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from .environment import Environment
from .find import conda_roots
from .searchpath import listing

_HOOK = "etc/profile.d/conda.sh"


def shell() -> str:
    """The shell to run `script` with: bash, which packages write their activation scripts for, else the system's sh."""
    return shutil.which("bash", path=os.environ.get("PATH", os.defpath) + os.pathsep + os.defpath) or "/bin/sh"


def script(environment: Environment) -> str:
    """The lines, each value quoted. They turn off `set -e` and `-u`, which activation scripts were not written for."""
    if environment.kind in {"conda", "pixi"}:
        lines = _conda(environment)
    elif environment.kind in {"venv", "uv"}:
        lines = iter([f"export VIRTUAL_ENV={_quoted(environment.prefix)}", _path(environment)])
    else:
        lines = iter(["unset VIRTUAL_ENV", _path(environment)])
    return "\n".join(["set +eu", "unset PYTHONHOME", *lines, ""])


def _conda(environment: Environment) -> Iterator[str]:
    yield "unset VIRTUAL_ENV"
    root = _root(environment)
    if root is None:
        yield from _by_hand(environment)
        return
    yield f"if ! {{ . {_quoted(root / _HOOK)} && conda activate {_quoted(environment.prefix)}; }}; then"
    yield from _by_hand(environment)
    yield "fi"


def _root(environment: Environment) -> Path | None:
    """The conda installation that the environment belongs to, or any other on this machine."""
    if environment.kind == "pixi":
        return None
    prefix = environment.prefix
    nearest = [prefix, prefix.parent.parent] if prefix.parent.name == "envs" else [prefix]
    return next((root for root in (*nearest, *conda_roots()) if (root / _HOOK).is_file()), None)


def _by_hand(environment: Environment) -> Iterator[str]:
    """What `conda activate` comes to."""
    yield f"export CONDA_PREFIX={_quoted(environment.prefix)}"
    yield f"export CONDA_DEFAULT_ENV={shlex.quote(environment.name)} CONDA_SHLVL=1"
    yield _path(environment)
    for name, value in _variables(environment.prefix).items():
        yield f"export {name}={shlex.quote(value)}"
    scripts = environment.prefix / "etc/conda/activate.d"
    yield from (f". {_quoted(scripts / name)}" for name in sorted(listing(scripts)) if name.endswith(".sh"))


def _variables(prefix: Path) -> dict[str, str]:
    """Variables that packages bring (`env_vars.d`) and those set by the user (`conda env config vars set`)."""
    packages = prefix / "etc/conda/env_vars.d"
    found: dict[str, str] = {}
    for file in sorted(packages / name for name in listing(packages) if name.endswith(".json")):
        found |= _strings(file)
    found |= _strings(prefix / "conda-meta/state", "env_vars")
    return {name: value for name, value in found.items() if name.isidentifier() and name.isascii()}


def _strings(file: Path, key: str = "") -> dict[str, str]:
    """The text values of a JSON file's object, or of one of its keys; none where it cannot be read."""
    try:
        content = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    values = content.get(key, {}) if key and isinstance(content, dict) else content
    return {name: value for name, value in values.items() if isinstance(value, str)} if isinstance(values, dict) else {}


def _path(environment: Environment) -> str:
    return f'export PATH={_quoted(environment.prefix / "bin")}:"$PATH"'


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
