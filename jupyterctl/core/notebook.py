"""Notebooks as they stand on disk: cells, tags, kernel and language, read without nbformat.

Formats 2 to 4 are read. Outputs are skipped while decoding, so a notebook of hundreds of megabytes of pictures costs
little more than reading the file. What is wrong with a file that is no notebook is told by `unreadable`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ..errors import NotebookError
from ..model import Json
from . import unreadable

OLDEST, NEWEST = 2, 4
"""Formats that can be read; papermill upgrades the old ones when it runs them."""

CellKind = Literal["code", "markdown", "raw"]


class Cell(Struct, frozen=True, kw_only=True):
    """One cell; `index` counts from 0 over all cells of the notebook, whatever their kind."""

    kind: CellKind
    source: str
    tags: tuple[str, ...] = ()
    index: int


class Notebook(Struct, frozen=True, kw_only=True):
    """What one file says."""

    path: Path
    """Absolute."""
    cells: tuple[Cell, ...]
    language: str = "python"
    """Lower case."""
    kernel: str | None = None
    """Name of the kernelspec it was last saved with, on whatever machine that was."""
    nbformat: int = 4
    metadata: dict[str, Json] = {}

    @property
    def folder(self) -> Path:
        """Where the notebook's relative paths start."""
        return self.path.parent

    @property
    def code(self) -> tuple[Cell, ...]:
        """The code cells."""
        return tuple(cell for cell in self.cells if cell.kind == "code")

    def tagged(self, tag: str) -> tuple[Cell, ...]:
        """The code cells with that tag."""
        return tuple(cell for cell in self.code if tag in cell.tags)


class _CellMetadata(Struct):
    tags: Json = ()


class _Cell(Struct):
    cell_type: str
    source: str | list[str] | None = None
    input: str | list[str] | None = None  # format 3 and older: the source of a code cell
    language: str | None = None  # likewise
    metadata: _CellMetadata | None = None


class _Worksheet(Struct):
    cells: list[_Cell] = []


class _Document(Struct):
    nbformat: int
    cells: list[_Cell] | None = None
    worksheets: list[_Worksheet] = []
    metadata: dict[str, Json] = {}


def read(path: Path) -> Notebook:
    """The notebook in that file; NotebookError says what the file is instead, and what to do."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable.missing(path, error) from None
    document = _decode(path, data)
    if not OLDEST <= document.nbformat <= NEWEST:
        raise NotebookError(
            f"`{unreadable.told(path)}` has notebook format {document.nbformat}, not {OLDEST} to {NEWEST}",
            "open it in JupyterLab and save it again",
        )
    return _notebook(path, document)


def _decode(path: Path, data: bytes) -> _Document:
    try:
        return msgspec.json.decode(data, type=_Document)
    except msgspec.ValidationError as error:
        raise unreadable.foreign(path, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(path, data)


def _lenient(path: Path, data: bytes) -> _Document:
    """Python's own decoder takes what Jupyter takes and strict JSON refuses: NaN and lone surrogates in outputs."""
    try:
        return msgspec.convert(json.loads(data.decode()), _Document)
    except msgspec.ValidationError as error:
        raise unreadable.foreign(path, error) from None
    except (ValueError, RecursionError) as error:
        raise unreadable.broken(path, data, error) from None


def _notebook(path: Path, document: _Document) -> Notebook:
    metadata = document.metadata
    kernelspec = _table(metadata, "kernelspec")
    kernel = kernelspec.get("name")
    return Notebook(
        path=path.absolute(),
        cells=tuple(_cell(index, cell) for index, cell in enumerate(_cells(document))),
        language=_language(document, kernelspec),
        kernel=kernel if isinstance(kernel, str) and kernel else None,
        nbformat=document.nbformat,
        metadata=metadata,
    )


def _cells(document: _Document) -> Iterator[_Cell]:
    if document.cells is not None:
        yield from document.cells
        return
    for sheet in document.worksheets:
        yield from sheet.cells


def _cell(index: int, cell: _Cell) -> Cell:
    kind: CellKind = "code" if cell.cell_type == "code" else "raw" if cell.cell_type == "raw" else "markdown"
    source = (cell.source if cell.source is not None else cell.input) or ""
    tags = cell.metadata.tags if cell.metadata else ()
    return Cell(
        kind=kind,
        source=source if isinstance(source, str) else "".join(source),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        index=index,
    )


def _language(document: _Document, kernelspec: dict[str, Json]) -> str:
    """As papermill decides it: the kernelspec's word, then language_info's, then (format 3) the cells'."""
    named = kernelspec.get("language") or _table(document.metadata, "language_info").get("name")
    cells = (cell.language for cell in _cells(document) if cell.language)
    language = str(named or next(cells, "python")).lower()
    return "python" if language == "ipython" else language


def _table(metadata: dict[str, Json], key: str) -> dict[str, Json]:
    value = metadata.get(key)
    return value if isinstance(value, dict) else {}
