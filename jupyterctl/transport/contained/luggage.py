"""What a run's container gets: a head, small and with its secrets, and a body, which may be of any size.

Both are tar archives whose paths start at the run's directory in the container.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from ...model import Bundle, Json, Plan, Run
from ...remote import RUNNER

ROOT = "/jupyterctl"
"""Everything of ours in a container lies below it."""
RUN = f"{ROOT}/run"
"""The directory of its run."""
ARRIVING, ARCHIVE, COLLECTED = ".arriving.tar.gz", ".archive.tar.gz", ".collected"
"""As the first process there knows them."""
LAST = "runner.log"
"""The file that is fetched last."""
HEAD = ("params.json", "secrets.json", "events.jsonl", RUNNER)
"""What must be there for the first process to begin."""


def head(run: Run, bundle: Bundle, plan: Plan, contained: Mapping[str, Json], workdir: str | None) -> dict[str, bytes]:
    """The files of the head, by name; `contained` is what the first process is told."""
    task = {
        **bundle.task,
        "kernel": plan.launch.get("kernel", "auto"),
        "workdir": workdir,
        "output": None,  # it is brought home, and put there where it was asked for
        "contained": dict(contained),
    }
    files = {"params.json": msgspec.json.encode(task)}
    secrets = {**bundle.secrets, "JUPYTERCTL_RUN": run.id}
    files["secrets.json"] = msgspec.json.encode(secrets)
    files.update({name: source.read_bytes() for name, source in bundle.files.items() if name in HEAD})
    return files


def body(bundle: Bundle) -> dict[str, Path]:
    """The other files, by name."""
    return {name: source for name, source in bundle.files.items() if name not in HEAD}


def tar(files: Mapping[str, bytes | Path], into: IO[bytes], *, owner: int = 0, packed: bool = False) -> None:
    """Write an archive of these files, readable by their owner alone; folders on the way are made."""
    with (
        tarfile.open(fileobj=into, mode="w:gz" if packed else "w", compresslevel=5)
        if packed
        else tarfile.open(fileobj=into, mode="w") as archive
    ):
        for folder in sorted(_folders(files)):
            archive.addfile(_entry(folder, owner, folder=True))
        for name, content in files.items():
            _add(archive, name, content, owner)


def _folders(names: Iterable[str]) -> set[str]:
    return {str(parent) for name in names for parent in Path(name).parents if str(parent) not in {".", "/"}}


def _entry(name: str, owner: int, *, folder: bool = False) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.uid = entry.gid = owner
    entry.mode = 0o700 if folder else 0o600
    if folder:
        entry.type = tarfile.DIRTYPE
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes | Path, owner: int) -> None:
    entry = _entry(name, owner)
    if isinstance(content, bytes):
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        return
    with content.open("rb") as file:
        status = content.stat()
        entry.size, entry.mtime = status.st_size, int(status.st_mtime)
        entry.mode |= status.st_mode & 0o100
        archive.addfile(entry, file)
