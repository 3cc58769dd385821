"""Where the Python of a folder imports from, read as `site` reads it but without starting that Python.

Rules and their order are those of the standard library's `site`; the Debian folders are those of its patched one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_HARMLESS = {"distutils-precedence.pth", "_virtualenv.pth"}
"""Code that setuptools and virtualenv leave in nearly every environment; it makes nothing importable."""


class SearchPath(NamedTuple):
    """Folders that modules come from, first wins."""

    folders: list[Path]
    hooked: bool
    """Code that runs at start-up (an editable install, a zip) can make more importable than the folders show."""


def settings(prefix: Path) -> dict[str, str]:
    """The keys of `pyvenv.cfg`; empty where the folder is no virtual environment."""
    try:
        text = (prefix / "pyvenv.cfg").read_text("utf-8", "replace")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, sign, value in pairs if sign}


def base(prefix: Path) -> Path:
    """The installation that a virtual environment borrows its standard library from; else the folder itself."""
    home = settings(prefix).get("home")
    return Path(home).parent if home else prefix


def search_path(prefix: Path, minor: str) -> SearchPath:
    """Everything but the standard library; `minor` is the Python's version as `3.11`."""
    folders: list[Path] = []
    hooked = False
    for site in [folder for folder in _sites(prefix, minor) if folder.is_dir()]:
        folders.append(site)
        for path, code in _pth(site):
            hooked = hooked or code or path.is_file()
            folders.append(path)
    return SearchPath(folders, hooked or any((site / "sitecustomize.py").exists() for site in folders))


def listing(folder: Path) -> list[str]:
    """Names in a folder; none where it cannot be read."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are what is asked for, thousands of them
    except OSError:
        return []


def _sites(prefix: Path, minor: str) -> Iterator[Path]:
    yield from (Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)
    cfg = settings(prefix)
    shared = not cfg or cfg.get("include-system-site-packages") == "true"
    if shared and "PYTHONNOUSERSITE" not in os.environ:
        yield _user_site(minor)
    yield from _own_sites(prefix, minor)
    if cfg and shared:
        yield from _own_sites(base(prefix), minor)


def _own_sites(prefix: Path, minor: str) -> Iterator[Path]:
    yield prefix / f"lib/python{minor}/site-packages"
    if not (prefix / "lib64").is_symlink():
        yield prefix / f"lib64/python{minor}/site-packages"
    if prefix == Path("/usr"):
        yield Path(f"/usr/local/lib/python{minor}/dist-packages")
        yield Path("/usr/lib/python3/dist-packages")


def _user_site(minor: str) -> Path:
    given = os.environ.get("PYTHONUSERBASE")
    if sys.platform == "darwin" and not given:
        return Path.home() / f"Library/Python/{minor}/lib/python/site-packages"
    return Path(given or Path.home() / ".local") / f"lib/python{minor}/site-packages"


def _pth(site: Path) -> Iterator[tuple[Path, bool]]:
    """Every path that the `.pth` files of a folder add, and whether the line is code instead."""
    for name in sorted(listing(site)):
        if name.endswith(".pth") and name not in _HARMLESS:
            yield from ((site / line, line.startswith(("import ", "import\t"))) for line in _lines(site / name))


def _lines(file: Path) -> Iterable[str]:
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return ()
    return (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
