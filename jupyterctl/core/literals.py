"""Files that a notebook names in its text: what it opens from beside itself, as far as reading can tell.

Paths are put together where all their parts are written out: `"data/x.csv"`, `Path("conf") / "a.yml"`,
`os.path.join(ROOT, "x.csv")` with `ROOT = "data"` before, f-strings, and `glob("data/*.csv")`. A path that is only
written to (`df.to_csv("out.csv")`) is no input.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator

from . import magics
from .imports import dotted

LONGEST = 1024
"""Characters of a text that can still be a path."""

_WRITES = re.compile(r"(to_|save|write|dump|imsave|imwrite)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_PATHS = {"Path", "PurePath", "PosixPath", "PurePosixPath"}
_GLOBS = {"glob", "iglob", "rglob"}


def paths(sources: Iterable[str]) -> tuple[list[str], list[str]]:
    """(paths, glob patterns) that the cells name, in order, each once; nothing of a cell that cannot be parsed."""
    reader = _Reader()
    for source in sources:
        try:
            reader.visit(magics.parse(source))
        except (SyntaxError, RecursionError):
            continue
    return list(dict.fromkeys(filter(_likely, reader.paths))), list(dict.fromkeys(filter(_likely, reader.patterns)))


def _likely(text: str) -> bool:
    return 0 < len(text) <= LONGEST and not _CONTROL.search(text) and "://" not in text


class _Reader(ast.NodeVisitor):
    """Collects the texts of a notebook, cell by cell, so that a name set in one is known in the next."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.patterns: list[str] = []
        self._names: dict[str, str] = {}

    def visit_Assign(self, node: ast.Assign) -> None:
        """Remember what a name stands for."""
        text = self._fold(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name) and text is not None:
                self._names[target.id] = text
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The same, with a type; the type itself names no file."""
        text = self._fold(node.value) if node.value else None
        if isinstance(node.target, ast.Name) and text is not None:
            self._names[node.target.id] = text
        if node.value:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        """A call may write, list a pattern, or build a path."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)
        if _WRITES.match(name) or (name == "open" and _writes(node)):
            return
        if name in _GLOBS and node.args:
            self._pattern(node, recursive=name == "rglob")
        elif (text := self._fold(node)) is not None:
            self.paths.append(text)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """A path put together with `/` or `+`."""
        text = self._fold(node)
        if text is not None:
            self.paths.append(text)
        else:
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """An f-string, where all it holds is known."""
        text = self._fold(node)
        if text is not None:
            self.paths.append(text)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A text as it stands."""
        if isinstance(node.value, str):
            self.paths.append(node.value)

    def _pattern(self, call: ast.Call, *, recursive: bool) -> None:
        pattern = self._fold(call.args[0])
        base = self._fold(call.func.value) if isinstance(call.func, ast.Attribute) else None
        if pattern is not None:
            self.patterns.append(posixpath.join(base or "", "**" if recursive else "", pattern))

    def _fold(self, node: ast.expr) -> str | None:
        """The text that an expression makes, None where that is known only when it runs."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        parts, by = _pieces(node)
        texts = [text for part in parts if (text := self._fold(part)) is not None]
        if not texts or len(texts) != len(parts):
            return None
        return posixpath.join(*texts) if by else "".join(texts)


def _pieces(node: ast.expr) -> tuple[list[ast.expr], str]:
    """(parts, what joins them) of an expression that puts a text or path together; no parts for any other."""
    match node:
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return [left, right], "/"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [left, right], ""
        case ast.JoinedStr(values=values):
            return values, ""
        case ast.FormattedValue(value=value, format_spec=None):
            return [value], ""
        case ast.Call(func=func, args=parts) if _builds(func):
            return parts, "/"
    return [], ""


def _builds(func: ast.expr) -> bool:
    name = dotted(func)
    return name.endswith("path.join") or name.rpartition(".")[2] in _PATHS


def _writes(call: ast.Call) -> bool:
    """Whether an `open` is for writing alone."""
    modes: Iterator[ast.expr] = (key.value for key in call.keywords if key.arg == "mode")
    mode = next(modes, call.args[1] if len(call.args) > 1 else None)
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and mode.value[:1] in {"w", "a", "x"}
