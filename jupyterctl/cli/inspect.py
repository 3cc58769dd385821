"""`jupyterctl inspect`: a notebook's parameters, kernel, imports and files."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

from ..core.bundle import megabytes
from ..core.inspection import Inspection
from ..core.parameters import Parameter
from ..core.plain import printable
from ..core.session import Session
from . import output

_LABEL = 10
_WIDTH = 100
_WIDEST = 40
"""Characters of a type or default in the table."""


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def inspect(*, notebook: Path, as_json: bool) -> None:
    """Show what NOTEBOOK asks for: its parameters and their types, its kernel, what it imports and opens.

    Nothing is run.
    """
    found = Session().inspect(notebook)
    if as_json:
        output.document(found)
        return
    _head(found)
    output.line()
    _parameters(found)
    output.line()
    _needs(found)


def _head(found: Inspection) -> None:
    cells = f"{found.cells.code} code, {found.cells.markdown} text"
    _say("notebook", Path(found.notebook).name)
    _say("kernel", f"{found.kernel or 'none named'} ({found.language})")
    _say("cells", cells)


def _parameters(found: Inspection) -> None:
    if found.parameters:
        output.table(("parameter", "type", "default", "about"), [_row(one) for one in found.parameters])
    elif not found.tagged:
        _say("parameters", "none: no cell is tagged `parameters`")
    elif not found.checked:
        _say("parameters", f"not known: those of a notebook in {found.language} are passed as they are given")
    else:
        _say("parameters", "none: the cell tagged `parameters` sets nothing")


def _row(parameter: Parameter) -> tuple[str, ...]:
    default = "(required)" if parameter.required else _short(parameter.default or "")
    return parameter.name, _short(parameter.type or "any"), default, parameter.help


def _needs(found: Inspection) -> None:
    foreign = [name for name in found.imports if name not in sys.stdlib_module_names]
    own = len(found.imports) - len(foreign)
    standard = f"{own} of the standard library" if own else ""
    _say("imports", "; ".join(filter(None, (", ".join(foreign), standard))) or "nothing")
    if found.files:
        _say("files", f"{', '.join(found.files)} ({megabytes(found.bytes)})")
    else:
        _say("files", "none beside it")
    for one in found.skipped:
        _say("left out", f"{one.path}: {one.reason}")


def _say(label: str, text: str) -> None:
    """A label and its text, wrapped under itself."""
    lines: Sequence[str] = textwrap.wrap(printable(text), _WIDTH - _LABEL, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        output.line(f"{label if number == 0 else '':<{_LABEL}} {line}")


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
