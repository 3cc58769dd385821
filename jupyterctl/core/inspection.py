"""What a notebook is and asks for, told by reading it: the answer of `jupyterctl inspect`."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from . import bundle, imports, parameters
from .bundle import Skipped
from .notebook import Notebook, read
from .parameters import Parameter


class CellCounts(Struct, frozen=True, kw_only=True):
    """How many cells of each kind; raw ones are in neither."""

    code: int
    markdown: int


class Inspection(Struct, frozen=True, kw_only=True):
    """All that reading tells; the keys of `inspect --json`."""

    notebook: str
    """Absolute path."""
    kernel: str | None
    """The kernel it was last saved with; None where it names none."""
    language: str
    cells: CellCounts
    parameters: tuple[Parameter, ...]
    tagged: bool
    """Whether there is a cell tagged `parameters`."""
    checked: bool
    """Whether the language is one whose parameters can be read."""
    imports: tuple[str, ...]
    """Top-level modules the environment must have, the standard library's among them."""
    files: tuple[str, ...]
    """What a run takes along, relative to the notebook's folder."""
    bytes: int
    """Size of `files` together."""
    skipped: tuple[Skipped, ...]
    """What the notebook names and a run does not take, with the reason."""


def inspect(path: Path) -> Inspection:
    """Read the notebook and all it names; nothing is run. NotebookError where it cannot be read."""
    notebook = read(path)
    declared = parameters.declared(notebook)
    gathered = bundle.gather(notebook, limit=None)
    return Inspection(
        notebook=str(notebook.path),
        kernel=notebook.kernel,
        language=notebook.language,
        cells=_counts(notebook),
        parameters=declared.parameters,
        tagged=declared.cell is not None,
        checked=declared.checked,
        imports=imports.modules(notebook),
        files=tuple(gathered.files),
        bytes=gathered.bytes,
        skipped=(*gathered.skipped, *map(_secret, gathered.suspicious)),
    )


def _counts(notebook: Notebook) -> CellCounts:
    kinds = [cell.kind for cell in notebook.cells]
    return CellCounts(code=kinds.count("code"), markdown=kinds.count("markdown"))


def _secret(path: str) -> Skipped:
    return Skipped(path=path, reason=f"it looks like a secret; --include '{path}' takes it all the same")
