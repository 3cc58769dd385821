"""What the cells of a run put out, read from its result as far as it has come home; no nbformat needed."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct

from ..model import Run
from . import records

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_ORDER = (*PICTURES, "image/svg+xml", "text/markdown", "text/html", "text/latex", "text/plain")
"""The richest first: of what one output offers the first one of these is shown."""


class Output(Struct, frozen=True, kw_only=True):
    """One output: its type, its text, and the bytes where it is a picture."""

    mime: str
    """`text/plain` for what was printed, `error` for a traceback."""
    text: str = ""
    plain: str = ""
    """The same as plain text, where there is any."""
    data: bytes = b""


class ResultCell(Struct, frozen=True, kw_only=True):
    """A cell of the result: its whole source and its outputs in order."""

    source: str
    outputs: tuple[Output, ...] = ()


class _Cell(Struct):
    source: str | list[str] = ""
    outputs: list[dict[str, Any]] = []


class _Document(Struct):
    cells: list[_Cell] = []


def cells(run: Run) -> list[ResultCell]:
    """The cells of the result, or of the notebook as it was sent while there is none, by their index."""
    folder = records.directory(run.id)
    for name in (records.OUTPUT, records.INPUT):
        try:
            document = msgspec.json.decode((folder / name).read_bytes(), type=_Document)
        except (OSError, msgspec.MsgspecError):
            continue
        return [_cell(cell) for cell in document.cells]
    return []


def _cell(cell: _Cell) -> ResultCell:
    return ResultCell(source=_joined(cell.source), outputs=tuple(map(_output, cell.outputs)))


def _output(output: dict[str, Any]) -> Output:
    kind = output.get("output_type")
    if kind == "stream":
        return Output(mime="text/plain", text=_joined(output.get("text")))
    if kind == "error":
        return Output(mime="error", text="\n".join(map(str, output.get("traceback") or [])))
    data = output.get("data") or {}
    mime = next((mime for mime in _ORDER if mime in data), next(iter(data), "text/plain"))
    plain = _joined(data.get("text/plain"))
    if mime in PICTURES:
        return Output(mime=mime, plain=plain, data=_bytes(_joined(data[mime])))
    return Output(mime=mime, text=_joined(data.get(mime)), plain=plain)


def _joined(text: Any) -> str:
    if isinstance(text, list):
        return "".join(map(str, text))
    return text if isinstance(text, str) else ""


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""
