"""The first process of a run's container: it executes the runner, and brings out what no other place keeps.

The journal is copied to standard output byte for byte, so that the container's log is the journal. Once the run is
over its files follow there, where they are small; larger ones wait in the container until they have been fetched, or
for as long as they are kept. `params.json` says what is wanted in `contained`:

await       (bytes, SHA-256) of an archive that is still to come: its sender writes ARRIVING and renames it to ARCHIVE
await_for   seconds that this may take
fetch       where fsspec finds that archive, instead of a sender
install     install papermill and ipykernel where they are missing
lack        modules the notebook imports: a run that lacks one ends before its first cell
print       the most bytes of files, as printed, that follow the journal; left out, none are, nor after a long journal
keep        seconds that files wait which were not printed
store       address below which fsspec is to put them instead
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from .journal import Journal
from .processes import oom_kills
from .task import Task

ARRIVING, ARCHIVE = ".arriving.tar.gz", ".archive.tar.gz"
COLLECTED = ".collected"
"""Made in the run's directory by whoever has fetched what waits there."""
SECRETS = "secrets.json"
FILES = ("out.ipynb", "runner.log")
"""What is brought out beside the journal."""
EVERY = 0.03
"""Seconds between looks at the journal."""
LINE = 12_000
"""Characters of a printed file in one line: whole lines of up to 16 KiB pass every container's log."""
LONG = 5 << 20
"""Bytes of a journal after which nothing is printed: where nodes cut logs, it is to be had in the container alone."""
LIKELY_RATIO = 12
"""How much smaller a notebook may get by packing; larger ones are not tried."""
TARGET_FAILED, LOST = 3, 3


class FailedError(Exception):
    """The run cannot begin: a name, and the reason in words."""


def supervise(directory: Path, run: Callable[[], int]) -> int:
    """Execute `run` in a process of its own and see to all that surrounds it; returns the exit code."""
    return Supervisor(directory).supervise(run)


class Supervisor:
    """One run's surroundings."""

    def __init__(self, directory: Path) -> None:
        os.chdir(directory)
        self.directory = directory
        self.wanted: Dict[str, Any] = json.loads(Path("params.json").read_text("utf-8")).get("contained") or {}
        self.out = os.dup(1)
        self.copied = 0
        self.child = 0
        self.ending = False
        self._quiet()
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)

    @staticmethod
    def _quiet() -> None:
        """Standard output is the journal's alone; whatever else is said goes into the log beside it."""
        log = os.open("runner.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        null = os.open(os.devnull, os.O_RDWR)
        for old, new in ((null, 0), (null, 1), (log, 2)):
            os.dup2(old, new)

    def _end(self, number: int, _: object) -> None:
        self.ending = True
        if self.child:
            with suppress(ProcessLookupError):
                os.kill(self.child, number)

    def supervise(self, run: Callable[[], int]) -> int:
        """From what is missing to what is left."""
        self._take_secrets()
        self._own_home()
        try:
            self._unpack()
            self._complete()
        except FailedError as error:
            self._last_word("failed", *error.args)
            code = TARGET_FAILED
        else:
            code = self._execute(run)
        self._copy()
        self._bring_out()
        return code

    # -- before --------------------------------------------------------------------------------------------------

    def _take_secrets(self) -> None:
        """Secrets come in a file that nobody else reads, and that is gone before anything of the notebook's runs."""
        with suppress(FileNotFoundError):
            os.environ.update(json.loads(Path(SECRETS).read_text("utf-8")))
            Path(SECRETS).unlink()

    @staticmethod
    def _own_home() -> None:
        """A home folder that can be written to: a user whom the image does not know has none."""
        home = os.environ.get("HOME", "")
        if not home or home == "/" or not os.access(home, os.W_OK):
            os.environ["HOME"] = str(Path("home").absolute())
        Path(os.environ["HOME"]).mkdir(parents=True, exist_ok=True)

    def _unpack(self) -> None:
        """What was too large to come with the container, once it has arrived."""
        if self.wanted.get("await"):
            self._await(*self.wanted["await"])
        if Path(ARCHIVE).exists():
            with tarfile.open(ARCHIVE) as archive:
                archive.extractall(self.directory)  # noqa: S202 - made by whoever submitted the run
            Path(ARCHIVE).unlink()
        Path("files").mkdir(exist_ok=True)

    def _await(self, size: int, digest: str) -> None:
        if self.wanted.get("fetch"):
            self._fetch(self.wanted["fetch"])
        deadline = time.monotonic() + self.wanted.get("await_for", 600.0)
        while not Path(ARCHIVE).exists():
            if self.ending or time.monotonic() > deadline:
                raise FailedError("NotSubmitted", "the notebook's files did not arrive")
            time.sleep(EVERY)
        with open(ARCHIVE, "rb") as file:  # noqa: PTH123 - file_digest is newer than the oldest Python here
            found = hashlib.sha256()
            for block in iter(lambda: file.read(1 << 20), b""):
                found.update(block)
        if Path(ARCHIVE).stat().st_size != size or found.hexdigest() != digest:
            raise FailedError("NotSubmitted", "the notebook's files arrived damaged")

    @staticmethod
    def _fetch(address: str) -> None:
        try:
            files, path = _storage(address)
            files.get_file(path, ARRIVING)
        except Exception as error:
            raise FailedError("NotSubmitted", f"the storage does not give {address}: {error}") from error
        Path(ARRIVING).replace(ARCHIVE)

    def _complete(self) -> None:
        """Have what a run needs, and what its notebook imports."""
        lacking = [name for name in ("papermill", "ipykernel") if not _there(name)]
        if lacking and not self.wanted.get("install"):
            names = " and no ".join(lacking)
            raise FailedError("NoPapermill", f"the image has no {names}: take another one, or set `install = true`")
        if lacking:
            self._install(lacking)
        missing = [name for name in self.wanted.get("lack") or () if not _there(name)]
        if missing:
            names = ", ".join(f"`{name}`" for name in missing)
            raise FailedError("MissingModules", f"the image does not have {names}, which the notebook needs")

    def _install(self, names: List[str]) -> None:
        place = str(self.directory / "site")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", place, *names]
        done = subprocess.run(command, stdin=0, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["pip says nothing"]
            raise FailedError("NotInstalled", f"{' and '.join(names)} could not be installed: {said[-1]}")
        sys.path.insert(0, place)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH")]))

    # -- meanwhile -----------------------------------------------------------------------------------------------

    def _execute(self, run: Callable[[], int]) -> int:
        killed = oom_kills()
        self.child = os.fork()
        if not self.child:
            code = LOST
            try:
                code = run()
            finally:
                os._exit(code)
        if self.ending:
            os.kill(self.child, signal.SIGTERM)
        status = None
        while status is None:
            time.sleep(EVERY)
            status = self._reap()
            self._copy()
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status)
        if oom_kills() > killed:
            self._last_word("kernel-died", "OutOfMemory", "the container ran into its memory limit")
            return 6
        name = signal.Signals(os.WTERMSIG(status)).name
        self._last_word("lost", "Lost", f"its process was killed ({name}); the notebook is kept as far as it was saved")
        return LOST

    def _reap(self) -> Optional[int]:
        """The runner's status once it has ended; children that others have left to us are let go of meanwhile."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid in (0, self.child):
                    return status if pid else None
        return None

    def _copy(self) -> None:
        """Bring what is new in the journal to the container's log; half a line may be taken back yet."""
        with open("events.jsonl", "rb") as file:  # noqa: PTH123 - as above
            file.seek(self.copied)
            data = file.read()
            data = data[: data.rfind(b"\n") + 1]
        self.copied += len(data)
        self._say(data)

    def _say(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.out, data) :]

    def _last_word(self, status: str, name: str, value: str) -> None:
        """Write the end of a run that cannot."""
        journal = Journal(self.directory, Task(self.directory).mask)
        with open("events.jsonl", "rb+") as file:  # noqa: PTH123 - as above
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)
        digest, size = _digest(Path("out.ipynb"))
        error: Dict[str, Any] = {"name": name, "value": value, "cell": None, "traceback": []}
        journal.release()
        journal.write("ended", status=status, seconds=None, error=error, sha256=digest, bytes=size)

    # -- afterwards ----------------------------------------------------------------------------------------------

    def _bring_out(self) -> None:
        if self.wanted.get("store") and self._put_away(self.wanted["store"]):
            return
        limit = self.wanted.get("print")
        if limit is None:
            return
        there = [Path(name) for name in FILES if Path(name).exists()]
        small = self.copied <= LONG and sum(file.stat().st_size for file in there) <= limit * LIKELY_RATIO
        printed = {file.name: _packed(file) for file in there} if small else {}
        if small and sum(map(len, printed.values())) <= limit:
            for name, text in printed.items():
                self._print(name, text)
            return
        self._say(b"=%d\n" % self.wanted.get("keep", 0))
        self._wait(time.monotonic() + self.wanted.get("keep", 0))

    def _put_away(self, address: str) -> bool:
        """Store the files and the journal; False where that fails, and the log says why."""
        try:
            files, path = _storage(address)
            for name in (*FILES, "events.jsonl"):
                if Path(name).exists():
                    files.put_file(name, f"{path}/{name}")
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the files are still here
            os.write(2, f"could not store the result at {address}: {error}\n".encode())
            return False
        self._say(b"=stored\n")
        return True

    def _print(self, name: str, text: bytes) -> None:
        parts = [text[start : start + LINE] for start in range(0, len(text), LINE)]
        for number, part in enumerate(parts, 1):
            self._say(b"=%s %d %d %s\n" % (name.encode(), number, len(parts), part))

    def _wait(self, until: float) -> None:
        """Be there for who fetches the files."""
        self.child = 0
        self.ending = False
        while not (self.ending or Path(COLLECTED).exists() or time.monotonic() > until):
            time.sleep(EVERY)


def _storage(address: str) -> "tuple[Any, str]":
    """A file system and a path of it; the image has fsspec, and what it needs for this one."""
    import fsspec

    files, path = fsspec.core.url_to_fs(address)
    return files, path


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _packed(file: Path) -> bytes:
    return base64.b64encode(zlib.compress(file.read_bytes(), 6))


def _digest(file: Path) -> "tuple[Optional[str], Optional[int]]":
    if not file.exists():
        return None, None
    data = file.read_bytes()
    return hashlib.sha256(data).hexdigest(), len(data)
