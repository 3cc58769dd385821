"""Files to and from a lab in a container, by commands of its own Python: an image need not have more than that."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ...errors import TargetError, UnreachableError
from ...model import Listing

if TYPE_CHECKING:
    from ...environments.solve import Step

BLOCK = 1 << 20
PIECE = 1 << 18
"""Bytes that are sent at once."""
Progress = Callable[[int, int], object]


class Command(Protocol):
    """One that executes in a container."""

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of its input; UnreachableError where the way is lost."""

    def answered(self) -> bool:
        """Whether it has written something, or ended, before its input has."""

    def output(self) -> Iterator[bytes]:
        """What it writes, as it comes; UnreachableError where the way is lost before it has ended."""

    def result(self) -> bytes:
        """All its output, once it has ended; TargetError with its own words where it fails."""


def feed(command: Command, blocks: Iterator[bytes], sent: Callable[[int], object]) -> bytes:
    """The output of a command that is given these bytes, and knows itself when it has them all.

    One that writes something before wants no more of them.
    """
    done = 0
    for block in blocks:
        for start in range(0, len(block), PIECE):
            if command.answered():
                return command.result()
            part = memoryview(block)[start : start + PIECE]
            command.write(part)
            done += len(part)
            sent(done)
    return command.result()


LOOK = """
import json, os, sys
path = os.path.normpath(os.path.join(sys.argv[1], os.path.expanduser(sys.argv[2])))
kind = "folder" if os.path.isdir(path) else "file" if os.path.exists(path) else ""
files = []
for root, _, names in os.walk(path):
    for name in names:
        whole = os.path.join(root, name)
        if os.path.isfile(whole):
            status = os.stat(whole)
            files.append([os.path.relpath(whole, path), status.st_size, status.st_mtime])
print(json.dumps({"path": path, "kind": kind, "files": files}))
"""
ARRANGE = """
import json, os, sys
wanted = json.loads(sys.stdin.buffer.read(int(sys.argv[1])))
for folder in wanted["folders"]:
    os.makedirs(folder, exist_ok=True)
for path, time in wanted["times"].items():
    os.utime(path, (time, time))
for path in wanted["remove"]:
    if os.path.lexists(path):
        os.unlink(path)
"""
PUT = """
import hashlib, os, select, sys
path, left, digest, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
part, seen = path + "." + digest[:16] + ".part", hashlib.sha256()
try:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(part, "wb") as file:
        os.chmod(part, mode)
        while left:
            block = sys.stdin.buffer.read1(min(left, 1 << 20))
            if not block:
                sys.exit("it did not come whole")
            file.write(block)
            seen.update(block)
            left -= len(block)
    if seen.hexdigest() != digest:
        sys.exit("it came damaged")
    os.replace(part, path)
except OSError as error:
    os.write(1, b"!")
    # what is on its way is read nonetheless: the way would break under the reason
    while select.select([0], [], [], 1)[0] and os.read(0, 1 << 20):
        pass
    sys.exit("%s: %s" % (path, error.strerror))
finally:
    if os.path.exists(part):
        os.unlink(part)
"""
GET = """
import hashlib, json, os, sys
try:
    file = open(sys.argv[1], "rb")
except OSError as error:
    sys.exit("%s: %s" % (sys.argv[1], error.strerror))
out, seen, size = sys.stdout.buffer, hashlib.sha256(), os.fstat(file.fileno()).st_size
out.write(b"%16d" % size)
left = size
while left:
    block = file.read(min(left, 1 << 20))
    if not block:
        sys.exit("it has become shorter meanwhile")
    seen.update(block)
    out.write(block)
    left -= len(block)
out.write(seen.hexdigest().encode())
"""
_HEAD, _DIGEST = 16, 64


class Filing(ABC):
    """A target whose labs are in containers: what of the Distant protocol is about files."""

    settings: Any
    files_by = "exec"

    @property
    @abstractmethod
    def files(self) -> Files:
        """Those of the container that runs; TargetError where none does."""

    def look(self, path: str) -> Listing:
        """What a path in the container leads to."""
        return self.files.look(path)

    def arrange(self, folders: Sequence[str], times: Mapping[str, float], remove: Sequence[str]) -> None:
        """Make folders, set times, remove files."""
        self.files.arrange(folders, times, remove)

    def put(self, source: Path, destination: str, progress: Progress) -> None:
        """Copy a file there, checked."""
        self.files.put(source, destination, progress)

    def get(self, source: str, destination: Path, progress: Progress) -> None:
        """Copy a file here, checked."""
        self.files.get(source, destination, progress)

    def shell_stream(self) -> list[str]:
        """None that rsync could speak through: images rarely have it, and files go one by one then."""
        return []

    def make_environment(self, name: str, report: Callable[[Step], object]) -> None:  # noqa: ARG002 - nothing is made
        """An image has JupyterLab, or has it not."""
        raise TargetError(f"`{self.settings.image}` has no JupyterLab", "take an image that has it")


class Files:
    """The files of one container. `begin` executes a command there, with an input or without."""

    def __init__(self, begin: Callable[[Sequence[str], bool], Command], python: str, folder: str) -> None:
        self._begin, self._python, self._folder = begin, python, folder

    def look(self, path: str) -> Listing:
        """What a path leads to; a relative one starts at the lab's folder."""
        told = self._begin([self._python, "-c", LOOK, self._folder, path], False).result()
        return msgspec.json.decode(told, type=Listing)

    def arrange(self, folders: Sequence[str], times: Mapping[str, float], remove: Sequence[str]) -> None:
        """Make folders, set times, remove files."""
        asked = json.dumps({"folders": list(folders), "times": dict(times), "remove": list(remove)}).encode()
        command = [self._python, "-c", ARRANGE, str(len(asked))]
        feed(self._begin(command, True), iter([asked]), lambda _: None)

    def put(self, source: Path, destination: str, progress: Progress) -> None:
        """Copy a file and its mode there, in place at once."""
        status = source.stat()
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        command = [self._python, "-c", PUT, destination, str(status.st_size), digest, str(status.st_mode & 0o777)]
        try:
            feed(self._begin(command, True), _blocks(source), lambda done: progress(done, status.st_size))
        except UnreachableError as error:
            raise UnreachableError(f"`{source.name}` did not arrive: {error.message}", error.hint) from error
        except TargetError as error:
            hint = error.hint or "free space or choose another place"
            raise TargetError(f"`{source.name}` did not arrive: {error.message}", hint) from error

    def get(self, source: str, destination: Path, progress: Progress) -> None:
        """Copy a file here, in place at once, checked against the digest that is made there."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial = destination.with_name(f".{destination.name}.part")
        try:
            with partial.open("wb") as file:
                self._fetch(source, file, progress)
            partial.replace(destination)
        finally:
            partial.unlink(missing_ok=True)

    def _fetch(self, source: str, file: Any, progress: Progress) -> None:
        running = self._begin([self._python, "-c", GET, source], False)
        seen, rest, size, done = hashlib.sha256(), b"", -1, 0
        for data in running.output():
            rest += data
            if size < 0 and len(rest) >= _HEAD:
                size, rest = int(rest[:_HEAD]), rest[_HEAD:]
            if size >= 0:
                part, rest = rest[: size - done], rest[size - done :]
                file.write(part)
                seen.update(part)
                done += len(part)
                progress(done, size)
        running.result()
        if rest[:_DIGEST].decode("ascii", "replace") != seen.hexdigest():
            raise TargetError(f"`{source}` came back damaged", "try again; it may have changed meanwhile")


def _blocks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
