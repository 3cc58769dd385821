"""Files to and fro: `NAME:PATH` is a path at a target, anything else one here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Self

from msgspec import Struct

from ..errors import NotFoundError, TargetError, UsageError
from . import links
from .plain import named

if TYPE_CHECKING:
    from ..model import Listing
    from ..target import Distant
    from .servers import Place

CLOCK_SECONDS = 2.0
"""By how much the times of one file may differ on two file systems."""
IGNORED = (".git/", ".ipynb_checkpoints/", "__pycache__/")
"""What is never mirrored, beside what `.gitignore` says."""

Progress = Callable[[str, int, int], object]
"""Hears of a file how many bytes of how many are over."""


class Mirroring(Struct, frozen=True, kw_only=True):
    """What a mirroring did, or would do; paths from the folder on."""

    copied: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    by: str
    """What files go by: `rsync`, or as the target says."""
    into: str
    """The folder that is made as the other: an absolute path here, or `NAME:PATH` at the target."""


def parse(text: str) -> tuple[str, str]:
    """(target, path) of what a person writes; the target is empty for a path here.

    >>> parse("lab:data/x.csv"), parse("./a:b"), parse("x.csv")
    (('lab', 'data/x.csv'), ('', './a:b'), ('', 'x.csv'))
    """
    name, colon, path = text.partition(":")
    return (name, path or ".") if colon and name and "/" not in name else ("", text)


class Ends(NamedTuple):
    """From where to where: a path here, and one at a target."""

    target: str
    here: str
    there: str
    up: bool
    """From here to there."""

    @classmethod
    def of(cls, source: str, destination: str) -> Self:
        """As a person writes them; UsageError where not just one of the two is at a target."""
        (name, path), (other, goal) = parse(source), parse(destination)
        if bool(name) == bool(other):
            raise UsageError("one of the two must be at a target", "write it as NAME:PATH")
        return cls(other, path, goal, True) if other else cls(name, goal, path, False)


def copy(where: Place, cwd: Path, ends: Ends, progress: Progress, *, recursive: bool) -> str:
    """Copy to a target or back; where it is now."""
    at = distant(where)
    here = cwd / Path(ends.here).expanduser()
    if ends.up:
        return f"{ends.target}:{upload(at, here, ends.there, progress, recursive=recursive)}"
    into = ends.here.endswith("/")
    return str(download(at, ends.there, here, progress, recursive=recursive, into=into))


def distant(where: Place) -> Distant:
    """The target as one that files can go to; UsageError for this machine."""
    at = links.distant(where.target)
    if at is None:
        raise UsageError(f"`{where.name}` is on this machine", "copy with cp")
    return at


def upload(at: Distant, source: Path, path: str, progress: Progress, *, recursive: bool) -> str:
    """Copy a file or folder there, into a folder where there is one of that path; where it is now.

    A file goes into a folder that is not there yet where the path ends in a slash.
    """
    if not source.exists():
        raise NotFoundError(f"there is no `{source}`", "a path at a target is written NAME:PATH")
    there = at.look(path)
    goal = PurePosixPath(there.path)
    if there.kind == "folder" or (path.endswith("/") and not there.kind and source.is_file()):
        goal /= source.resolve().name
    if source.is_dir():
        _wanted(recursive=recursive, name=str(source))
        files = {file.relative_to(source).as_posix(): file for file in sorted(source.rglob("*")) if file.is_file()}
        _send(at, files, goal, progress)
    else:
        if not there.kind:
            at.arrange([str(goal.parent)], {}, [])
        at.put(source, str(goal), lambda done, size: progress(source.name, done, size))
    return str(goal)


def download(at: Distant, path: str, destination: Path, progress: Progress, *, recursive: bool, into: bool) -> Path:
    """Copy a file or folder here, into a folder where there is one of that path; where it is now.

    `into` makes the folder for a file.
    """
    there = at.look(path)
    if not there.kind:
        hint = (
            f"a path that begins with no slash is below the profile's folder; look: jupyterctl shell {at.profile.name}"
        )
        raise NotFoundError(f"there is no `{there.path}` at `{at.profile.name}`", hint)
    if into and there.kind != "folder":
        destination.mkdir(parents=True, exist_ok=True)
    goal = destination / PurePosixPath(there.path).name if destination.is_dir() else destination
    if there.kind == "folder":
        _wanted(recursive=recursive, name=there.path)
        _receive(at, there.path, {name: time for name, _, time in there.files}, goal, progress)
    else:
        at.get(there.path, goal, lambda done, size: progress(goal.name, done, size))
    return goal


def _wanted(*, recursive: bool, name: str) -> None:
    if not recursive:
        raise UsageError(f"`{name}` is a folder", "add --recursive")


def mirror(where: Place, folder: Path, progress: Progress, *, back: bool, delete: bool, dry_run: bool) -> Mirroring:
    """Make the target's folder as the one here, or with `back` this one as the target's; excludes as `.gitignore`.

    With rsync where both have it and it is no trial, else one by one, by sizes and times.
    """
    at = distant(where)
    there = at.look(".")
    if delete and there.home:
        raise UsageError(
            f"nothing is removed in `{there.path}` at `{where.name}`: it holds everything else of the account",
            f"give the profile a folder of its own, `workdir`: jupyterctl profile edit {where.name}",
        )
    kept = _kept(folder)
    yonder = {name: state for name, state in _states(there).items() if kept(name)}
    mine = {name: state for name, state in _states_here(folder).items() if kept(name)}
    wanted, old = (yonder, mine) if back else (mine, yonder)
    copied = tuple(sorted(name for name, state in wanted.items() if not _same(state, old.get(name))))
    removed = tuple(sorted(set(old) - set(wanted))) if delete else ()
    into = str(folder) if back else f"{where.name}:{there.path}"
    if dry_run or not (copied or removed):
        return Mirroring(copied=copied, removed=removed, by=at.files_by, into=into)
    by = at.files_by
    if copied and (ended := _rsync(where, at, folder, there.path, copied, back=back)).spoke:
        by = "rsync"
        if ended.failed:
            now = _states_here(folder) if back else _states(at.look(there.path))
            _refuse([name for name in copied if not _same(wanted[name], now.get(name))], len(copied), into, ended.said)
    elif back:
        _receive(at, there.path, {name: yonder[name][1] for name in copied}, folder, progress)
    else:
        _send(at, {name: folder / name for name in copied}, PurePosixPath(there.path), progress)
    if back:
        for name in removed:
            (folder / name).unlink(missing_ok=True)
    elif removed:
        at.arrange([], {}, [f"{there.path}/{name}" for name in removed])
    return Mirroring(copied=copied, removed=removed, by=by, into=into)


def _send(at: Distant, files: Mapping[str, Path], goal: PurePosixPath, progress: Progress) -> None:
    folders = sorted({str((goal / name).parent) for name in files} | {str(goal)})
    at.arrange(folders, {}, [])
    for name, file in files.items():
        at.put(file, str(goal / name), lambda done, size, name=name: progress(name, done, size))  # type: ignore[misc]
    at.arrange([], {str(goal / name): file.stat().st_mtime for name, file in files.items()}, [])


def _receive(at: Distant, root: str, times: Mapping[str, float], goal: Path, progress: Progress) -> None:
    goal.mkdir(parents=True, exist_ok=True)
    for name, time in times.items():
        inside = goal / name
        if ".." in PurePosixPath(name).parts:
            raise TargetError(f"the machine names a file outside its folder: `{name}`")
        at.get(f"{root}/{name}", inside, lambda done, size, name=name: progress(name, done, size))  # type: ignore[misc]
        os.utime(inside, (time, time))


class _Ended(NamedTuple):
    """How an rsync ended."""

    spoke: bool
    """Whether there is one at both ends."""
    failed: bool = False
    said: str = ""
    """Why it failed."""


def _rsync(where: Place, at: Distant, folder: Path, root: str, names: tuple[str, ...], *, back: bool) -> _Ended:
    """Have rsync copy them, where both ends have one that can be spoken with."""
    import shlex

    from ..transport.rsh import MISSING

    shell = at.shell_stream()
    if not (shell and shutil.which("rsync")):
        return _Ended(spoke=False)
    local, remote = f"{folder}/", f"{where.name}:{root}/"
    ends = [remote, local] if back else [local, remote]
    command = ["rsync", "-a", "--partial", "--from0", "--files-from=-", "-e", shlex.join(shell), *ends]
    environment = {**os.environ, "JUPYTERCTL_PROFILE": links.document(where.profile).decode()}
    listing = "\0".join(names).encode()
    done = subprocess.run(command, input=listing, capture_output=True, env=environment, check=False)
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode in _STRANGE or MISSING in said or (done.returncode == _CUT and "not found" in said):
        return _Ended(spoke=False)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # its very last line only numbers the failure
    reason = next((line for line in reversed(lines) if not line.startswith("rsync error:")), lines[-1] if lines else "")
    return _Ended(spoke=True, failed=done.returncode != 0, said=reason or f"it ended with {done.returncode}")


_STRANGE = (2, 4, 5)
"""rsync's exit codes where the other one is too old for it, or cannot be heard: start-up files print something."""
_CUT = 12
"""That of a conversation which ended in the middle; not every shell tells by its status that there is no rsync."""


def _refuse(left: Sequence[str], among: int, into: str, said: str) -> None:
    """Fail where files are not there as they should be; attributes alone that could not be set are no failure."""
    if left:
        raise TargetError(f"{len(left)} of {among} files did not get to `{into}`: {named(left)}", f"rsync said: {said}")


def _states(there: Listing) -> dict[str, tuple[int, float]]:
    return {name: (size, time) for name, size, time in there.files}


def _states_here(folder: Path) -> dict[str, tuple[int, float]]:
    return {name: ((status := file.stat()).st_size, status.st_mtime) for name, file in _files(folder)}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if f"{name}/" not in IGNORED]
        for name in names:
            file = Path(root) / name
            if file.is_file():
                yield file.relative_to(folder).as_posix(), file


def _kept(folder: Path) -> Callable[[str], bool]:
    """Whether a path is to be mirrored, by the `.gitignore` files of the folder and of those below it."""
    from pathspec import GitIgnoreSpec

    specs = [("", GitIgnoreSpec.from_lines(IGNORED))]
    for name, file in _files(folder):
        if PurePosixPath(name).name == ".gitignore":
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            specs.append((name.removesuffix(".gitignore"), GitIgnoreSpec.from_lines(lines)))

    def kept(name: str) -> bool:
        inside = ((at, spec) for at, spec in specs if name.startswith(at))
        return not any(spec.match_file(name.removeprefix(at)) for at, spec in inside)

    return kept


def _same(state: tuple[int, float], other: tuple[int, float] | None) -> bool:
    return other is not None and state[0] == other[0] and abs(state[1] - other[1]) <= CLOCK_SECONDS
