"""Why a file cannot be read as a notebook, in words that say what it is instead and what to do about it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..errors import NotebookError

_NAMES_SHOWN = 3
"""How many of a folder's notebooks a hint names."""

_TEXT_NOTEBOOKS = {".py", ".md", ".qmd", ".rmd", ".jl", ".r"}
"""Suffixes of notebooks kept as text, which jupytext turns into .ipynb."""


def missing(path: Path, error: OSError) -> NotebookError:
    """The error for a file that could not be opened."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        if not path.parent.is_dir():
            return NotebookError(f"there is no folder `{told(path.parent)}`", f"you are in `{Path.cwd()}`")
        return NotebookError(f"there is no notebook `{told(path)}`", _nearest(path))
    if isinstance(error, IsADirectoryError):
        return NotebookError(f"`{told(path)}` is a folder, not a notebook", _some(path))
    if isinstance(error, PermissionError):
        return NotebookError(
            f"`{told(path)}` may not be read by you", f"look at its owner and mode: ls -l '{told(path)}'"
        )
    return NotebookError(f"`{told(path)}` cannot be read: {error.strerror or error}", "look whether the disk is well")


def foreign(path: Path, error: Exception) -> NotebookError:
    """The error for JSON that is no notebook; `error` is msgspec's, with the path of the offending key."""
    reason = str(error)
    if "required field `nbformat`" in reason or reason.startswith("Expected `object`, got"):
        return NotebookError(
            f"`{told(path)}` is JSON, but not a notebook", "a notebook has the keys `nbformat` and `cells`"
        )
    return NotebookError(
        f"`{told(path)}` is not a well-formed notebook: {reason[:1].lower()}{reason[1:]}",
        "open it in JupyterLab and save it again, or restore an earlier version",
    )


def broken(path: Path, data: bytes, error: Exception) -> NotebookError:
    """The error for a file that is not JSON at all."""
    if not data.strip(b" \t\r\n\0"):
        return NotebookError(f"`{told(path)}` is empty", _restore(path))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return NotebookError(f"`{told(path)}` is not UTF-8 text", "a notebook is a JSON file in UTF-8; save it as such")
    if text.startswith("\N{ZERO WIDTH NO-BREAK SPACE}"):
        return NotebookError(
            f"`{told(path)}` starts with a byte order mark, which Jupyter does not read", "save it as UTF-8 without one"
        )
    return _conflict(path, text) or _other(path, text) or _syntax(path, text, error)


def _conflict(path: Path, text: str) -> NotebookError | None:
    marker = re.search(r"^<{7} ", text, re.MULTILINE)
    if marker is None:
        return None
    line = text.count("\n", 0, marker.start()) + 1
    return NotebookError(
        f"`{told(path)}` holds a merge conflict, the first at line {line}",
        "resolve it: `nbdime mergetool`, or `git checkout --ours` (or `--theirs`) and the file",
    )


def _other(path: Path, text: str) -> NotebookError | None:
    """Texts that take a notebook's place."""
    start = text.lstrip()[:400].lower()
    if start.startswith("version https://git-lfs"):
        return NotebookError(f"`{told(path)}` is a Git LFS pointer, its content is not here", "fetch it: git lfs pull")
    if start.startswith(("<!doctype", "<html")):
        return NotebookError(f"`{told(path)}` is a web page, not a notebook", "download the raw file instead")
    if path.suffix.lower() in _TEXT_NOTEBOOKS or re.match(r"(# )?---\s+(# *)?jupyter:|# %%", start):
        return NotebookError(
            f"`{told(path)}` is a text file, not a notebook", f"convert it: jupytext --to ipynb '{path.name}'"
        )
    return None


def _syntax(path: Path, text: str, error: Exception) -> NotebookError:
    if not isinstance(error, json.JSONDecodeError):
        return NotebookError(f"`{told(path)}` is not a notebook: {error}", "a notebook is a JSON file")
    if text.lstrip()[:1] != "{":
        return NotebookError(
            f"`{told(path)}` is not a notebook: it is not JSON", "a notebook is a JSON file, ending in .ipynb"
        )
    end = len(text.rstrip())
    if error.pos >= end or error.msg.startswith("Unterminated string"):
        last = text.count("\n", 0, end) + 1
        return NotebookError(f"`{told(path)}` ends in the middle, at line {last}", _restore(path))
    where = f"line {error.lineno}, column {error.colno}"
    reason = error.msg[:1].lower() + error.msg[1:]
    return NotebookError(f"`{told(path)}` is damaged at {where}: {reason}", _restore(path))


def _restore(path: Path) -> str:
    checkpoint = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint{path.suffix}"
    if checkpoint.is_file() and checkpoint.stat().st_size:
        return f"Jupyter's last checkpoint of it is `{told(checkpoint)}`"
    return "restore an earlier version of it"


def _nearest(path: Path) -> str:
    from difflib import get_close_matches

    stems = {Path(name).stem: name for name in _notebooks(path.parent)}
    wanted = path.name.removesuffix(".ipynb")
    near = [stems[stem] for stem in get_close_matches(wanted, stems, n=_NAMES_SHOWN)]
    return f"did you mean {_listed(near)}?" if near else _some(path.parent)


def _some(folder: Path) -> str:
    names = _notebooks(folder)
    if not names:
        return f"there are no notebooks in `{told(folder)}`"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"the notebooks in `{told(folder)}` are {_listed(names[:_NAMES_SHOWN])}{more}"


def _notebooks(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".ipynb")
    except OSError:
        return []


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def told(path: Path) -> str:
    """A path as a person here would write it: relative where it lies under the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
