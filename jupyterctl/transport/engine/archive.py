"""Files into a container and out of it, as tar archives; they work whether it runs or not."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import TargetError

if TYPE_CHECKING:
    from docker.models.containers import Container

Owner = tuple[int, int]
"""User and group, by number."""
NOBODY_ELSES = 0o600
"""Mode of what only its owner may read."""


def pack(files: Mapping[str, bytes], folders: Iterable[str] = (), owner: Owner = (0, 0)) -> bytes:
    """An archive of files and folders, by paths from the root, that belong to one user and to nobody else."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in folders:
            tar.addfile(_entry(name, owner, tarfile.DIRTYPE, 0o700))
        for name, data in files.items():
            entry = _entry(name, owner, tarfile.REGTYPE, NOBODY_ELSES)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _entry(name: str, owner: Owner, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.uid, entry.gid = owner
    entry.type, entry.mode = kind, mode
    return entry


def read(container: Container, path: str) -> dict[str, bytes]:
    """A file, or all of a folder, by names relative to it; FileNotFoundError where there is nothing."""
    from docker.errors import NotFound

    try:
        chunks, _ = container.get_archive(path)
    except NotFound:
        raise FileNotFoundError(path) from None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return {
            entry.name.partition("/")[2] or entry.name: found.read()
            for entry in tar
            if entry.isfile() and (found := tar.extractfile(entry)) is not None
        }


def copy(container: Container, path: str, destination: Path) -> str:
    """Copy a file of any size, in place at once; returns its SHA-256. FileNotFoundError where there is none.

    TargetError where this machine does not take it.
    """
    from docker.errors import NotFound

    try:
        chunks, _ = container.get_archive(path)
    except NotFound:
        raise FileNotFoundError(path) from None
    temporary = destination.with_name(f".{destination.name[:40]}.{os.getpid()}.tmp")
    digest = hashlib.sha256()
    try:
        with tarfile.open(fileobj=_Stream(chunks), mode="r|") as tar, temporary.open("wb") as out:
            entry = tar.next()
            found = tar.extractfile(entry) if entry else None
            if entry is None or found is None:
                raise FileNotFoundError(path)
            while block := found.read(1 << 20):
                digest.update(block)
                out.write(block)
        temporary.chmod(NOBODY_ELSES)
        temporary.replace(destination)
    except tarfile.TarError as error:
        raise TargetError(f"`{path}` came only in part: {error}", "try again") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise TargetError(
            f"cannot write `{destination}`: {error.strerror or error}", "free space or choose another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest()


class _Stream(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        """It is read alone."""
        return True

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer at the end."""
        parts, length = [self._rest], len(self._rest)
        while length < size or size < 0:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            length += len(chunk)
        data = b"".join(parts)
        size = len(data) if size < 0 else size
        self._rest = data[size:]
        return data[:size]


def owner(container: Container) -> Owner:
    """The user that a container's process is, by number; a name is looked up in the container's own files."""
    wanted, _, group = (container.attrs["Config"].get("User") or "0").partition(":")
    try:
        uid, gid = (int(wanted), 0) if wanted.isdecimal() else _number(container, "/etc/passwd", wanted)
        if not group:
            return uid, _primary(container, uid) if wanted.isdecimal() else gid
        return uid, int(group) if group.isdecimal() else _number(container, "/etc/group", group)[0]
    except (LookupError, ValueError):
        return 0, 0


def _number(container: Container, file: str, name: str) -> Owner:
    for fields in _table(container, file):
        if fields[0] == name:
            return int(fields[2]), int(fields[3] or 0) if len(fields) > 4 else 0  # noqa: PLR2004 - passwd has seven
    raise LookupError(name)


def _primary(container: Container, uid: int) -> int:
    return next((int(fields[3]) for fields in _table(container, "/etc/passwd") if fields[2] == str(uid)), 0)


def _table(container: Container, file: str) -> list[list[str]]:
    try:
        (data,) = read(container, file).values()
    except FileNotFoundError:
        return []
    return [line.split(":") for line in data.decode("utf-8", "replace").splitlines() if line.count(":") > 2]  # noqa: PLR2004 - a line of it
