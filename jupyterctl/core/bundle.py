"""What a run takes along: the files a notebook imports and names from beside it, and what `--include` adds.

Only files under the notebook's folder go, under the same relative paths. Whatever looks like a secret stays here, and
more than the limit is refused with the largest files named; but what is included by its exact name goes in any case.
"""

from __future__ import annotations

import glob
import os.path
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from msgspec import Struct

from ..errors import UsageError
from . import imports, literals
from .notebook import Notebook

LIMIT = 100_000_000
"""Bytes that go without being asked for."""

_LARGEST_SHOWN = 3
_HEAD = 64 * 1024
"""Bytes at a file's start that are searched for keys."""

_SECRET_NAMES = (
    ".env", ".env.*", "*.env", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.p12", "*.pfx",
    "*.kdbx", "credentials*", "*credentials*.json", "*secret*.json", "*secret*.y*ml", "client_secret*", "kubeconfig*",
    ".netrc", "_netrc", ".pgpass", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd", "service-account*.json",
)  # fmt: skip
_HARMLESS_NAMES = (".env.example", ".env.sample", ".env.template", "*.pub")
_KEYS = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")


class Skipped(Struct, frozen=True, kw_only=True):
    """A file that the notebook names and that does not go."""

    path: str
    reason: str


class Gathered(Struct, frozen=True, kw_only=True):
    """The files to take, and those that stay."""

    files: dict[str, Path] = {}
    """Path relative to the notebook's folder, with `/`, to the file here."""
    bytes: int = 0
    skipped: tuple[Skipped, ...] = ()
    suspicious: tuple[str, ...] = ()
    """Relative paths that look like secrets; they are left out."""


def gather(notebook: Notebook, include: Sequence[str] = (), *, limit: int | None = LIMIT) -> Gathered:
    """All files the notebook needs; UsageError for a pattern that matches nothing, or more bytes than `limit`."""
    found, skipped = beside(notebook)
    for pattern in include:
        found.update(dict.fromkeys(_matches(notebook, pattern)))
    found.pop(notebook.path.name, None)
    exact = {os.path.normpath(pattern) for pattern in include}
    suspicious = [name for name in found if name not in exact and _secret(notebook.folder / name)]
    names = sorted(set(found).difference(suspicious))
    sizes = {name: size for name in names if (size := _size(notebook.folder / name)) is not None}
    if limit is not None:
        _guard({name: size for name, size in sizes.items() if name not in exact}, limit)
    lost = [Skipped(path=name, reason="cannot be read") for name in names if name not in sizes]
    return Gathered(
        files={name: notebook.folder / name for name in sizes},
        bytes=sum(sizes.values()),
        skipped=(*(one for one in skipped if not _covered(one.path, sizes)), *lost),
        suspicious=tuple(sorted(suspicious)),
    )


def _covered(path: str, taken: Iterable[str]) -> bool:
    """Whether it is a folder of which something goes."""
    return any(name.startswith(f"{path}/") for name in taken)


def beside(notebook: Notebook) -> tuple[dict[str, None], list[Skipped]]:
    """(relative paths, in order; what stays) of the files that the notebook imports and names."""
    found: dict[str, None] = {}
    skipped: list[Skipped] = []
    modules = imports.find(notebook)
    for path in (*modules.local, *imports.requirements(notebook)):
        _sort(notebook.folder, str(path), found, skipped)
    skipped += [Skipped(path=str(path), reason=_OUTSIDE) for path in modules.outside]
    if notebook.language == "python":
        texts = [cell.source for cell in notebook.code] + [_text(path) for path in modules.local]
        named, patterns = literals.paths(texts)
        for name in named:
            _named(notebook.folder, name, found, skipped)
        for pattern in patterns:
            found.update(dict.fromkeys(_glob(notebook.folder, pattern) if _under(pattern) else ()))
    return found, skipped


_OUTSIDE = "it is outside the notebook's folder"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig") if path.suffix == ".py" else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _sort(folder: Path, path: str, found: dict[str, None], skipped: list[Skipped]) -> None:
    relative = os.path.relpath(path, folder)
    if _under(relative):
        found[PurePosixPath(relative).as_posix()] = None
    else:
        skipped.append(Skipped(path=path, reason=_OUTSIDE))


def _named(folder: Path, name: str, found: dict[str, None], skipped: list[Skipped]) -> None:
    """Take the file of that name where there is one; say so where it cannot go, or is a whole folder."""
    if os.path.isfile(folder / name):  # noqa: PTH113 - Path.is_file raises for names that are too long
        reason = "its path is absolute" if Path(name).is_absolute() else "" if _under(name) else _OUTSIDE
        if reason:
            skipped.append(Skipped(path=name, reason=reason))
        else:
            found[os.path.normpath(name)] = None
    elif _under(name) and os.path.isdir(folder / name) and os.path.normpath(name) != ".":  # noqa: PTH112 - likewise
        whole = os.path.normpath(name)
        skipped.append(Skipped(path=whole, reason=f"it is a folder; take it whole with --include '{whole}/**'"))


def _under(relative: str) -> bool:
    """Whether a path as written stays under the folder it starts from."""
    return not Path(relative).is_absolute() and os.path.normpath(relative).partition("/")[0] != ".."


def _matches(notebook: Notebook, pattern: str) -> list[str]:
    """The files of one `--include`; a folder's name means all that is in it."""
    if not _under(pattern):
        raise UsageError(
            f"`--include {pattern}` is outside the notebook's folder",
            f"patterns are relative to `{notebook.folder}`",
        )
    if (notebook.folder / pattern).is_file():
        return [os.path.normpath(pattern)]
    whole = (notebook.folder / pattern).is_dir()
    names = list(_glob(notebook.folder, f"{glob.escape(pattern)}/**/*" if whole else pattern))
    if not names:
        raise UsageError(
            f"`--include {pattern}` matches no file", f"patterns are relative to `{notebook.folder}`; `**` goes deep"
        )
    return names


def _glob(folder: Path, pattern: str) -> Iterator[str]:
    """Files that match, sorted; hidden ones only where the pattern names them. Links to folders are not followed."""
    pattern = os.path.normpath(pattern)
    if pattern.endswith("**"):
        pattern += "/*"  # files too, in every version of Python
    try:
        paths = sorted(folder.glob(pattern))
    except (ValueError, NotImplementedError, OSError):
        return
    hidden = [part for part in pattern.split("/") if part.startswith(".")]
    for path in paths:
        relative = path.relative_to(folder)
        if _shown(relative.parts, hidden) and os.path.isfile(path):  # noqa: PTH113 - no error for a broken link
            yield relative.as_posix()


def _shown(parts: Sequence[str], hidden: Iterable[str]) -> bool:
    dots = (part for part in parts if part.startswith("."))
    return "__pycache__" not in parts and all(any(fnmatch(part, one) for one in hidden) for part in dots)


def _secret(path: Path) -> bool:
    """Whether a file looks like one that must not leave this machine, by its name or by what it starts with."""
    name = path.name.lower()
    if any(fnmatch(name, harmless) for harmless in _HARMLESS_NAMES):
        return False
    if any(fnmatch(name, pattern) for pattern in _SECRET_NAMES) and path.suffix != ".py":
        return True
    try:
        with path.open("rb") as file:
            return bool(_KEYS.search(file.read(_HEAD)))
    except OSError:
        return False


def _size(path: Path) -> int | None:
    """Bytes; None for a file that cannot be read."""
    try:
        return path.stat().st_size if os.access(path, os.R_OK) else None
    except OSError:
        return None


def _guard(sizes: dict[str, int], limit: int) -> None:
    """Refuse more bytes than the limit."""
    total = sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:_LARGEST_SHOWN]
    names = ", ".join(f"`{name}` ({megabytes(sizes[name])})" for name in largest)
    raise UsageError(
        f"the notebook would take {megabytes(total)} along, and {megabytes(limit)} is the limit; the largest: {names}",
        f"keep large data where the notebook runs, or name what must go: --include '{largest[0]}'",
    )


def megabytes(size: int) -> str:
    """A size as people read it.

    >>> megabytes(1_234_567), megabytes(890), megabytes(4096)
    ('1.2 MB', '890 B', '4.1 kB')
    """
    number = float(size)
    for unit in ("B", "kB", "MB"):
        if number < 1000:  # noqa: PLR2004 - a unit's step
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
