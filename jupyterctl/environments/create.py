"""Make and remove environments: conda's with py-rattler, virtual ones with uv or the standard library.

While one is made a lock lies beside it, which the kernel lets go of with the process. So whatever happens, a half-made
environment is never taken for a whole one: it is removed at once, or by the next attempt.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from .. import model, paths
from ..errors import TargetError, UsageError
from ..paths import tilde
from . import make_conda, make_virtual
from .child import Report
from .environment import MARK, Environment, is_conda, read
from .find import conda_registry, environments, half_made
from .recipe import conda_recipe, read_file, virtual_recipe

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def create(
    name: str = "",
    *,
    packages: Sequence[str] = (),
    channels: Sequence[str] = (),
    file: Path | None = None,
    prefix: Path | None = None,
    virtual: bool = False,
    report: Report = lambda _: None,
) -> Environment:
    """Make an environment of that name, or at that prefix, and return it.

    UsageError for a name that is taken or no name, and for packages there are not; UnreachableError where a channel or
    index does not answer. Nothing is left of one that could not be made.
    """
    if virtual:
        recipe, make = virtual_recipe(packages, channels, file), make_virtual.make
    else:
        content = read_file(file) if file else None
        recipe, make = conda_recipe(packages, channels, content), make_conda.make
        name = name or (content.name if content and not prefix else "")
    prefix = _place(name, prefix)
    with _making(prefix):
        make(prefix, recipe, report)
        paths.write(prefix / MARK, msgspec.json.encode({"made": model.now(), "recipe": recipe}))
        environment = read(prefix)
        if environment is None:
            raise TargetError(f"`{tilde(prefix)}` was made without a Python", "add the package `python`")
    if is_conda(prefix):
        _register(prefix)
    return environment


def check_removable(environment: Environment) -> None:
    """UsageError for an environment that jupyterctl did not make, and for the one it runs in."""
    where = tilde(environment.prefix)
    if not environment.made_here:
        raise UsageError(f"`{where}` was not made by jupyterctl", "remove it with the program that made it")
    if environment.prefix == Path(sys.prefix).resolve():
        raise UsageError(f"`{where}` is what jupyterctl itself runs in", "run it from another environment to remove it")


def remove(environment: Environment) -> None:
    """Delete an environment that jupyterctl made; UsageError as `check_removable` says."""
    check_removable(environment)
    half_made(environment.prefix).touch()
    try:
        shutil.rmtree(environment.prefix)
    except OSError as error:
        raise TargetError(
            f"cannot remove `{tilde(environment.prefix)}`: {error.strerror}", "remove what is left by hand"
        ) from error
    half_made(environment.prefix).unlink()
    _unregister(environment.prefix)


def _place(name: str, prefix: Path | None) -> Path:
    """The folder to make it in; UsageError where nothing says it, or the name is taken."""
    if prefix is not None:
        if name:
            raise UsageError("an environment has a name or a prefix, not both", "leave out NAME or --prefix")
        return prefix.expanduser().absolute()
    if not name:
        raise UsageError("the environment needs a name", "`jupyterctl env create NAME`, or --prefix FOLDER")
    if not _NAME.fullmatch(name) or name == "auto":
        raise UsageError(f"`{name}` cannot be an environment's name", "use letters, digits, `-`, `_` and `.`")
    taken = next((one for one in environments(Path.cwd()) if one.name == name and one.kind != "system"), None)
    if taken:
        raise UsageError(f"there is an environment `{name}` already: `{tilde(taken.prefix)}`", "choose another name")
    return paths.environments() / name


@contextlib.contextmanager
def _making(prefix: Path) -> Iterator[None]:
    """Hold the lock beside the folder; on any failure, an interrupt too, the folder is removed again."""
    lock = half_made(prefix)
    left_over = lock.exists()
    with _opened(lock) as file:
        os.set_inheritable(file.fileno(), True)  # the programs that fill the environment hold it too
        _take(file.fileno(), prefix)
        if prefix.exists() and not (left_over and lock.exists()):
            lock.unlink(missing_ok=True)
            raise UsageError(f"`{tilde(prefix)}` exists already", "choose another name or prefix")
        _clear(prefix)
        try:
            yield
        except BaseException:
            _clear(prefix)
            raise
        finally:
            lock.unlink(missing_ok=True)


def _opened(lock: Path) -> BinaryIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("ab")
    except OSError as error:
        reason = f"cannot make an environment in `{tilde(lock.parent)}`: {error.strerror}"
        raise UsageError(reason, "choose another folder with --prefix") from error


def _take(lock: int, prefix: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"`{tilde(prefix)}` is being made right now", "wait for that to end") from error


def _clear(prefix: Path) -> None:
    if prefix.exists():
        shutil.rmtree(prefix, ignore_errors=True)


def _register(prefix: Path) -> None:
    """Note a conda environment where conda's own programs look for it; that it cannot be noted is no failure."""
    registry = conda_registry()
    with contextlib.suppress(OSError):
        registry.parent.mkdir(exist_ok=True)
        with registry.open("a+", encoding="utf-8") as file:
            file.seek(0)
            if str(prefix) not in file.read().splitlines():
                file.write(f"{prefix}\n")


def _unregister(prefix: Path) -> None:
    registry = conda_registry()
    with contextlib.suppress(OSError):
        lines = registry.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.strip() != str(prefix)]
        if kept != lines:
            paths.write(registry, "".join(kept).encode())
