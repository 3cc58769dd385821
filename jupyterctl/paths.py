"""Where things live: profiles, state, cache and sockets.

`JUPYTERCTL_HOME=DIR` puts everything under one folder; else the platform's own folders are used. On Linux these are
XDG's, found without importing anything: the command line asks for them at every start.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _base(kind: str, xdg: str, default: str) -> Path:
    home = os.environ.get("JUPYTERCTL_HOME")
    if home:
        return Path(home).expanduser().absolute() / kind
    if sys.platform != "linux":
        import platformdirs

        return Path(getattr(platformdirs, f"user_{kind}_dir")("jupyterctl"))
    return Path(os.environ.get(xdg) or Path.home() / default) / "jupyterctl"


def config() -> Path:
    """The user's configuration; profiles are `config()/profiles/NAME.toml`."""
    return _base("config", "XDG_CONFIG_HOME", ".config")


PROJECT = ".jupyterctl"
"""Folder of a project's own profiles."""


def profiles() -> Path:
    """The user's own profiles."""
    return config() / "profiles"


def state() -> Path:
    """What must survive: the store and the runs' records."""
    return _base("state", "XDG_STATE_HOME", ".local/state")


def cache() -> Path:
    """What can be made again."""
    return _base("cache", "XDG_CACHE_HOME", ".cache")


def store() -> Path:
    """The SQLite file of the store."""
    return state() / "jupyterctl.db"


def runs() -> Path:
    """One directory a run: its record and what was fetched."""
    return state() / "runs"


def environments() -> Path:
    """Environments made by `jupyterctl env create`."""
    return _base("data", "XDG_DATA_HOME", ".local/share") / "environments"


def base(file: Path | None) -> Path:
    """Where a relative path in a profile's file starts: at the project, else at the home folder."""
    return file.parent.parent if file and file.parent.name == PROJECT else Path.home()


def run() -> Path:
    """Sockets and locks of what runs now."""
    return _base("run", "XDG_RUNTIME_DIR", ".local/state/jupyterctl/run")


def tilde(path: Path) -> str:
    """The path as people write it: with `~` for their home.

    >>> tilde(Path.home() / "lab"), tilde(Path("/opt/lab"))
    ('~/lab', '/opt/lab')
    """
    return f"~/{path.relative_to(Path.home())}" if Path.home() in path.parents else str(path)


def private(directory: Path) -> Path:
    """The directory itself, made with its parents where missing, readable by its owner alone."""
    for folder in [*reversed(directory.parents), directory]:
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    return directory


def write(path: Path, data: bytes) -> None:
    """Replace a file atomically, mode 0600: temporary file beside it, fsync, rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
