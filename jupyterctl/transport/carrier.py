"""An open way to a machine with our program at its end: requests, files, and what carries a link."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..errors import TargetError, UnreachableError
from .ssh.way import ClosedError
from .there import IncompleteError, There

if TYPE_CHECKING:
    from paramiko import SFTPClient, SFTPFile

    from .ssh.way import Way

BLOCK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
Progress = Callable[[int, int], object]
"""Hears how many bytes of how many are over."""


class Carrier:
    """One open way. The program there is started when it is first asked; its methods may be called from any thread."""

    def __init__(self, way: Way, pythons: Sequence[str] = ()) -> None:
        self.way = way
        self.uneasy = threading.Event()
        self._pythons = pythons
        self._there: There | None = None
        self._starting = threading.Lock()

    def there(self) -> There:
        """The program at the machine."""
        with self._starting:
            if self._there is None or self._there.over:
                self._there = There(self.way, self._pythons)
            return self._there

    def call(self, method: str, name: str, settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[Any]:
        """Ask the program there; see `There.call`. One whose files have been removed is sent again and asked again."""
        program = self.there()
        try:
            yield from program.call(method, name, settings, arguments)
        except IncompleteError:
            self._renew(program)
            yield from self.there().call(method, name, settings, arguments)

    def _renew(self, program: There) -> None:
        with self._starting:
            if self._there is program:
                self._there = None
        program.leave()

    def put(self, source: Path, destination: str, progress: Progress = lambda *_: None) -> None:
        """Copy a file and its mode there, in place at once; what an earlier attempt has brought over is not sent again.

        Folders that are missing are made, for the account alone. A relative destination starts at the person's home.
        TargetError says what could not be written, and why.
        """
        digest = _sha256(source)
        partial = f"{destination}.{digest[:16]}.part"
        size = source.stat().st_size
        with self._files(destination) as files, source.open("rb") as file:
            try:
                done = min(_size(files, partial) or 0, size)
                progress(done, size)
                file.seek(done)
                with _writable(files, partial, "ab" if done else "wb") as remote:
                    remote.set_pipelined(True)
                    while block := file.read(BLOCK):
                        remote.write(block)
                        done += len(block)
                        progress(done, size)
                if _size(files, partial) != size:
                    _drop(files, partial)
                    raise TargetError(f"`{destination}` did not arrive whole", "is the disk there full?")
                files.chmod(partial, source.stat().st_mode & 0o777)
                files.posix_rename(partial, destination)
            except OSError as error:
                if self._gone(error):
                    raise
                failed = self._failed(destination, error, writing=True)
                _drop(files, partial)
                raise failed from error

    def get(self, source: str, destination: Path, digest: str, progress: Progress = lambda *_: None) -> None:
        """Copy a file here, in place at once; what an earlier attempt of the same contents has brought is kept.

        FileNotFoundError where there is no such file; TargetError where it did not arrive as its digest says.
        """
        partial = destination.with_name(f".{destination.name}.{digest[:16] or 'x'}.part")
        destination.parent.mkdir(parents=True, exist_ok=True)
        with self._files(source) as files:
            try:
                size = files.stat(source).st_size or 0
                done = partial.stat().st_size if digest and partial.exists() else 0
                progress(done, size)
                with files.open(source, "rb") as remote, partial.open("ab" if done else "wb") as file:
                    remote.seek(done)
                    remote.prefetch(size)
                    while block := remote.read(BLOCK):
                        file.write(block)
                        done += len(block)
                        progress(done, size)
            except FileNotFoundError:
                raise
            except OSError as error:
                if error.errno in FULL:
                    partial.unlink(missing_ok=True)
                if self._gone(error):
                    raise
                raise self._failed(source, error, writing=False) from error
        if digest and _sha256(partial) != digest:
            partial.unlink()
            raise TargetError(f"`{source}` came back damaged", "try again; it may have changed meanwhile")
        partial.replace(destination)

    @contextmanager
    def _files(self, path: str) -> Iterator[SFTPClient]:
        """Files of the machine, for the copying of one; UnreachableError where the way is lost meanwhile."""
        try:
            with self.way.files() as files:
                yield files
        except (OSError, EOFError, ClosedError, _ssh_exception()) as error:
            if not self._gone(error):
                raise
            message = f"the connection closed while `{path}` was copied"
            raise UnreachableError(message, "do it again: it goes on where it was broken off") from error

    def _gone(self, error: Exception) -> bool:
        """Whether it is the connection that failed; a channel may know before the way does."""
        told = isinstance(error, ConnectionError) or str(error).lower() == "socket is closed"
        return self.way.closed.is_set() or told or not isinstance(error, OSError)

    def _failed(self, path: str, error: OSError, *, writing: bool) -> TargetError:
        reason = (error.strerror or str(error)).lower()
        ours = error.filename is not None or error.errno in FULL  # paramiko's own errors have neither
        full = error.errno in FULL or "space" in reason or "quota" in reason
        if reason in {"", "failure"}:
            found = self._refusal(path) if writing else {}
            reason, full = found.get("reason") or "the machine does not say why", bool(found.get("full"))
        side = "here" if ours else "there"
        act = "free some space" if full else "look at its folder"
        return TargetError(f"cannot copy `{path}`: {reason}", f"{act} {side}")

    def _refusal(self, path: str) -> dict[str, Any]:
        """Why a file cannot be written, as far as the program there finds out: sftp has no word for most reasons."""
        with suppress(TargetError):
            *_, (_, found) = self.call("refusal", "", {}, {"path": path})
            return dict(found)
        return {}

    def close(self) -> None:
        """Let go of everything; what was started there lives on."""
        self.way.close()


def _size(files: SFTPClient, path: str) -> int | None:
    try:
        return files.stat(path).st_size
    except FileNotFoundError:
        return None


def _drop(files: SFTPClient, path: str) -> None:
    """Remove what the machine would not take whole."""
    with suppress(OSError, EOFError, _ssh_exception()):
        files.remove(path)


def _ssh_exception() -> type[Exception]:
    """What paramiko raises for a connection that is gone, beside others; a way that is open has it imported."""
    from paramiko import SSHException

    return SSHException


def _writable(files: SFTPClient, path: str, mode: str) -> SFTPFile:
    """A file there, open; its folders are made where they are missing."""
    try:
        return files.open(path, mode)
    except FileNotFoundError:
        _make(files, PurePosixPath(path).parent)
        return files.open(path, mode)


def _make(files: SFTPClient, folder: PurePosixPath) -> None:
    if _size(files, str(folder)) is None:
        _make(files, folder.parent)
        with suppress(OSError):  # another one has just made it; else writing into it says what is wrong
            files.mkdir(str(folder), 0o700)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
