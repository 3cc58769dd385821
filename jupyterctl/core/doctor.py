"""What the doctor looks at: this installation, the profiles, and one target step by step."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from .. import paths
from ..errors import ConfigError
from ..model import Check, CheckState
from . import profiles

_LIBRARIES = ("papermill", "ipykernel")
_SCARCE = 1024**3
_NONE_LEFT = 64 * 1024**2


class Finding(Struct, frozen=True, kw_only=True):
    """One check, and the target it is about; None for this installation."""

    target: str | None
    name: str
    state: CheckState
    detail: str
    fix: str


def examine(cwd: Path, name: str | None = None) -> Iterator[Finding]:
    """Look at one target, or at this installation and every profile; each finding as it comes.

    NotFoundError where the name stands for nothing; a broken profile is a finding.
    """
    if name is None:
        yield from (_finding(None, check) for check in installation())
        yield from (_validity(entry) for entry in profiles.entries(cwd))
        return
    try:
        profile = profiles.resolve(name, cwd)
    except ConfigError as error:
        yield _broken(name, error)
        return
    for check in profiles.check(profile):
        yield _finding(profile.name, check)


def installation() -> Iterator[Check]:
    """What jupyterctl itself needs on this machine."""
    yield Check(
        name="python", state=CheckState.OK, detail=f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}"
    )
    for library in _LIBRARIES:
        yield _library(library)
    yield _tmux()
    yield _state(paths.state())
    yield _disk(paths.state())


def _finding(target: str | None, check: Check) -> Finding:
    return Finding(target=target, name=check.name, state=check.state, detail=check.detail, fix=check.fix)


def _validity(entry: profiles.Entry) -> Finding:
    if entry.error is not None:
        return _broken(entry.name, entry.error)
    return Finding(target=entry.name, name="profile", state=CheckState.OK, detail=str(entry.file), fix="")


def _broken(name: str, error: ConfigError) -> Finding:
    return Finding(target=name, name="profile", state=CheckState.FAIL, detail=error.message, fix=error.hint)


def _library(name: str) -> Check:
    """The version of a library, read from its metadata: importing it would take longer than all other checks."""
    from importlib import metadata

    try:
        return Check(name=name, state=CheckState.OK, detail=metadata.version(name))
    except metadata.PackageNotFoundError:
        fix = f"install it beside jupyterctl: {sys.executable} -m pip install {name}"
        return Check(name=name, state=CheckState.FAIL, detail="not installed", fix=fix)


def _tmux() -> Check:
    program = shutil.which("tmux")
    if program is None and (screen := shutil.which("screen")):
        return Check(name="tmux", state=CheckState.OK, detail=f"not on the PATH; {screen} takes its place")
    if program is None:
        fix = "install tmux or screen; without one runs and servers live in sessions that nobody can look at"
        return Check(name="tmux", state=CheckState.WARN, detail="not on the PATH", fix=fix)
    try:
        said = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Check(
            name="tmux", state=CheckState.WARN, detail=f"{program} does not work: {error}", fix="reinstall tmux"
        )
    return Check(name="tmux", state=CheckState.OK, detail=f"{said.strip().removeprefix('tmux ')} at {program}")


def _state(folder: Path) -> Check:
    """Whether what must survive can be written, tried out with a file."""
    probe = folder / f".doctor.{os.getpid()}"
    try:
        paths.private(folder)
        paths.write(probe, b"")
        probe.unlink()
    except OSError as error:
        fix = f"make {folder} a folder you can write to, or set JUPYTERCTL_HOME to one"
        detail = f"{folder} cannot be written: {(error.strerror or str(error)).lower()}"
        return Check(name="state", state=CheckState.FAIL, detail=detail, fix=fix)
    return Check(name="state", state=CheckState.OK, detail=str(folder))


def _disk(folder: Path) -> Check:
    """How much room the results of runs have."""
    there = next(above for above in (folder, *folder.parents) if above.is_dir())
    free = shutil.disk_usage(there).free
    detail = f"{free / 1024**3:.1f} GiB free at {there}"
    if free >= _SCARCE:
        return Check(name="disk", state=CheckState.OK, detail=detail)
    state = CheckState.WARN if free >= _NONE_LEFT else CheckState.FAIL
    return Check(name="disk", state=state, detail=detail, fix="make room: `jupyterctl runs remove` drops old results")
