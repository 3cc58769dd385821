"""From what a profile or a person writes to one environment: `conda:NAME`, `venv:/path`, `auto` and the like."""

from __future__ import annotations

import os
import shutil
import subprocess
from difflib import get_close_matches
from pathlib import Path

import msgspec

from ..errors import NotFoundError, UsageError
from ..paths import tilde
from .choose import choose
from .environment import Environment, interpreter, is_conda, read
from .find import environments
from .packages import TIMEOUT
from .searchpath import settings

FORMS = "conda:NAME, conda:/prefix, venv:/path, python:/path or auto"


def resolve(spec: str, near: Path) -> Environment:
    """The environment that a spec stands for; relative paths start at `near`.

    A bare word is the name of one of jupyterctl's own environments, or of any other if only one has it; a bare path is
    a prefix. NotFoundError names the nearest there are, UsageError tells the forms.
    """
    form, colon, rest = spec.partition(":")
    if spec == "auto":
        return choose(near, "python", ())[0]
    if os.sep in form or spec in {".", ".."}:
        return _at(near / Path(spec).expanduser())
    if not colon:
        return _named(spec, environments(near))
    if form not in {"conda", "venv", "python"} or not rest:
        raise UsageError(f"`{spec}` stands for no environment", f"write {FORMS}")
    if form == "python":
        return _of_python(rest, near)
    if form == "conda" and os.sep not in rest:
        return _named(rest, [one for one in environments(near) if is_conda(one.prefix)])
    return _at(near / Path(rest).expanduser(), form)


def absolute(spec: str, folder: Path) -> str:
    """A spec with its path, where it is one, taken from a folder.

    >>> absolute("venv:.venv", Path("/lab")), absolute("conda:base", Path("/lab")), absolute("auto", Path("/lab"))
    ('venv:/lab/.venv', 'conda:base', 'auto')
    """
    form, colon, path = spec.rpartition(":")
    named = os.sep not in path and not path.startswith(".")
    return spec if named else f"{form}{colon}{folder / Path(path).expanduser()}"


def _named(name: str, known: list[Environment]) -> Environment:
    matches = [one for one in known if one.name == name]
    own = [one for one in matches if one.made_here]
    if len(matches) == 1 or len(own) == 1:
        return (own or matches)[0]
    if matches:
        prefixes = " or ".join(tilde(one.prefix) for one in matches)
        raise UsageError(f"{len(matches)} environments are called `{name}`", f"name one by its folder: {prefixes}")
    raise NotFoundError(f"there is no environment `{name}`", _nearest(name, known))


def _nearest(name: str, known: list[Environment]) -> str:
    names = list(dict.fromkeys(one.name for one in known))
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(f'`{one}`' for one in near)}?"
    return f"there are: {', '.join(names)}" if names else "`jupyterctl env create NAME` makes one"


def _at(folder: Path, form: str = "") -> Environment:
    """The environment in a folder; `form` is what it was said to be."""
    prefix = folder.resolve()
    if not prefix.is_dir():
        raise NotFoundError(f"there is no folder `{tilde(prefix)}`", "`jupyterctl env list` shows the environments")
    made = is_conda(prefix) if form == "conda" else bool(settings(prefix)) if form == "venv" else True
    environment = read(prefix) if made else None
    if environment:
        return environment
    if settings(prefix) and interpreter(prefix) is None:
        home = settings(prefix).get("home", "somewhere")
        raise NotFoundError(f"the Python of `{tilde(prefix)}` is gone; it was in `{home}`", "make the environment anew")
    kind = {"conda": "conda environment", "venv": "virtual environment"}.get(form, "Python environment")
    raise NotFoundError(f"`{tilde(prefix)}` is no {kind}", "`jupyterctl env list` shows the environments")


def _of_python(path: str, near: Path) -> Environment:
    """The environment of an interpreter, given by its path or by a name on PATH."""
    found = near / Path(path).expanduser() if os.sep in path else shutil.which(path)
    if found is None or not os.access(found, os.X_OK) or not Path(found).is_file():
        raise NotFoundError(f"there is no Python `{path}`", "give the interpreter's full path: python:/usr/bin/python3")
    python = Path(os.path.abspath(found))  # noqa: PTH100 - a virtual environment's link must not be resolved
    prefix = python.parent.parent
    if not (settings(prefix) or is_conda(prefix)):
        prefix = python.resolve().parent.parent
    return read(prefix, python) or _told_by(python)


def _told_by(python: Path) -> Environment:
    """Of a wrapper, whose place says nothing: ask it."""
    code = "import sys; print('\\n%s\\n%s\\n%d.%d.%d' % (sys.prefix, sys.executable, *sys.version_info[:3]))"
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, check=True, timeout=TIMEOUT, text=True)
        prefix, real, version = answer.stdout.splitlines()[-3:]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise NotFoundError(
            f"`{tilde(python)}` is no Python that starts", "give an interpreter: python:/usr/bin/python3"
        ) from error
    environment = read(Path(prefix).resolve(), Path(real))
    if environment is None:
        raise NotFoundError(f"`{tilde(python)}` runs in `{prefix}`, which is no Python environment")
    return msgspec.structs.replace(environment, python=python, version=version)
