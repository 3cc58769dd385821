"""What of a cell's outputs goes into the journal, and how they are kept in the notebook."""

from __future__ import annotations

import itertools
import json
from typing import Any

TEXT_LIMIT = 4096
"""Characters of one output that the journal carries; the notebook has them all."""


def cut(text: str) -> dict[str, Any]:
    """The end of a text, from the beginning of a line on, with the number of characters left out before it.

    Of a last line that is too long by itself, its end.
    """
    begin = len(text) - TEXT_LIMIT
    if begin <= 0:
        return {"text": text}
    if text[begin - 1] != "\n":
        whole = text.find("\n", begin) + 1
        begin = whole if 0 < whole < len(text) else begin
    return {"text": text[begin:], "cut": begin}


def pieces(text: str, *, line_open: bool) -> list[dict[str, Any]]:
    r"""What the journal has of text that follows other text of its stream; a line that is open is finished first.

    >>> [sorted(piece.items()) for piece in pieces("ne 1\n" + "line 2\n" * 1000, line_open=True)][0]
    [('text', 'ne 1\n')]
    """
    end = text.find("\n") + 1 if line_open else 0
    if len(text) <= TEXT_LIMIT or not 0 < end <= TEXT_LIMIT:
        return [cut(text)]
    return [{"text": text[:end]}, cut(text[end:])]


def summary(output: Any) -> dict[str, Any]:
    """The journal's fields for an output that is no stream; `mime` gives the size of each form it came in."""
    if output.output_type == "error":
        return {"kind": "error", "name": output.ename, **cut(f"{output.ename}: {output.evalue}")}
    data = output.get("data", {})
    kind = "result" if output.output_type == "execute_result" else "display"
    sizes = {mime: size(mime, value) for mime, value in data.items()}
    return {"kind": kind, "mime": sizes, **cut(data.get("text/plain", ""))}


def size(mime: str, value: Any) -> int:
    r"""How large one form of an output is; a picture is what it is, not the base64 in which a notebook has it.

    >>> size("text/html", "<b>"), size("image/svg+xml", "<svg/>"), size("image/png", "iVBORw0KGgo=\n")
    (3, 6, 8)
    """
    text = value if isinstance(value, str) else json.dumps(value)
    if mime == "application/pdf" or (mime.startswith("image/") and mime != "image/svg+xml"):
        return (len(text) - text.count("\n") - text.count("=")) * 3 // 4
    return len(text)


def join_streams(cell: Any) -> None:
    """Join neighbouring stream outputs of one name, as a notebook saved by hand has them."""
    joined = []
    for (kind, _), group in itertools.groupby(cell.get("outputs", ()), lambda o: (o.output_type, o.get("name"))):
        outputs = list(group)
        if kind == "stream":
            outputs[0].text = "".join(output.text for output in outputs)
            outputs = outputs[:1]
        joined += outputs
    cell.outputs = joined
