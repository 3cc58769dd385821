"""What a notebook's parameters cell declares: names, types, defaults and help, read from its syntax tree.

    steps: int = 5        # how many        type `int`, default `5`, help "how many"
    # where to look                         a comment above serves as well
    root = "data"                           type `str`, taken from the default
    day: str                                no value: required

Only Python can be read so. A notebook in another language is not checked: its values go as they were typed.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator

from msgspec import Struct

from ..errors import NotebookError
from . import magics
from .notebook import Cell, Notebook

TAG = "parameters"
"""The cell tag that papermill looks for: values are set in a new cell right after the first that has it."""


class Parameter(Struct, frozen=True, kw_only=True):
    """One declared parameter."""

    name: str
    type: str | None = None
    """The annotation as written, or the type of the default; None where neither says."""
    default: str | None = None
    """The default as Python text; None where there is none."""
    help: str = ""
    required: bool = False
    """Annotated without a value: the notebook cannot run unless it is given."""
    inferred: bool = False
    """`type` was taken from the default, nobody wrote it."""
    cell: int
    line: int
    """In the cell, from 1."""


class Declared(Struct, frozen=True, kw_only=True):
    """All that a notebook says about its parameters."""

    parameters: tuple[Parameter, ...] = ()
    cell: int | None = None
    """Index of the first parameters cell; None where no cell has the tag."""
    checked: bool = True
    """False where the language is not Python, so that nothing is known of names and types."""


def declared(notebook: Notebook) -> Declared:
    """What the cells tagged `parameters` declare, in order; NotebookError where one of them cannot be parsed."""
    cells = notebook.tagged(TAG)
    first = cells[0].index if cells else None
    if notebook.language != "python":
        return Declared(cell=first, checked=False)
    found: dict[str, Parameter] = {}
    for cell in cells:
        for parameter in _parameters(notebook, cell):
            found[parameter.name] = _merged(found.get(parameter.name), parameter)
    return Declared(parameters=tuple(found.values()), cell=first)


def _parameters(notebook: Notebook, cell: Cell) -> Iterator[Parameter]:
    where = f"the parameters cell of `{notebook.path.name}` (cell {cell.index + 1})"
    try:
        tree = magics.parse(cell.source)
        comments = _Comments(magics.plain(cell.source))
        for statement in _statements(tree.body):
            yield from _declarations(statement, cell.index, comments)
    except SyntaxError as error:
        line = error.lineno or 1
        raise NotebookError(
            f"{where} has a syntax error at line {line}: {error.msg}", _quoted(cell.source, line)
        ) from None
    except RecursionError:
        raise NotebookError(f"{where} has an expression nested too deep", "write it in several lines") from None


def _quoted(source: str, line: int) -> str:
    lines = source.splitlines()
    return f"correct this line: {lines[line - 1].strip()}" if 0 < line <= len(lines) else "correct the cell"


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run in the notebook's own scope, those under `if`, `try` and `with` among them."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for block in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(statement, block, ()):
                    yield from _statements(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _declarations(statement: ast.stmt, cell: int, comments: _Comments) -> Iterator[Parameter]:
    if isinstance(statement, ast.AnnAssign):
        pairs: list[tuple[ast.expr, ast.expr | None]] = [(statement.target, statement.value)]
        annotation: ast.expr | None = _unwrapped(statement.annotation)
    elif isinstance(statement, ast.Assign):
        pairs = [pair for target in statement.targets for pair in _unpacked(target, statement.value)]
        annotation = None
    else:
        return
    comment_type, text = comments.about(statement)
    for target, value in pairs:
        if isinstance(target, ast.Name):
            written = ast.unparse(annotation) if annotation else comment_type
            yield _parameter(target.id, value, written, text, (cell, statement.lineno))


def _parameter(name: str, value: ast.expr | None, written: str | None, text: str, at: tuple[int, int]) -> Parameter:
    return Parameter(
        name=name,
        type=written or (_inferred(value) if value else None),
        default=ast.unparse(value) if value else None,
        help=text,
        required=value is None,
        inferred=written is None,
        cell=at[0],
        line=at[1],
    )


def _merged(earlier: Parameter | None, later: Parameter) -> Parameter:
    """`x: int` and then `x = 5`: what the later line leaves open, the earlier one says."""
    if earlier is None:
        return later
    annotated = later if not later.inferred or earlier.inferred else earlier
    unsure = annotated.inferred and earlier.type != later.type
    return Parameter(
        name=later.name,
        type=None if unsure else annotated.type,
        default=later.default or earlier.default,
        help=later.help or earlier.help,
        required=later.required and earlier.required,
        inferred=annotated.inferred,
        cell=later.cell,
        line=later.line,
    )


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Pairs of name and value: `a, b = 1, 2` gives two, `a, b = f()` pairs both with the call."""
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value
        return
    values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
    starred = any(isinstance(one, ast.Starred) for one in [*target.elts, *values])
    if starred or len(values) != len(target.elts):
        values = [value] * len(target.elts)
        if not _computed(value):
            return
    for inner, one in zip(target.elts, values, strict=True):
        yield from _unpacked(inner, one)


def _computed(value: ast.expr) -> bool:
    """Whether the value is known only when it runs."""
    return not isinstance(value, ast.Tuple | ast.List | ast.Constant)


def _unwrapped(annotation: ast.expr) -> ast.expr | None:
    """Without quotes, `Final[…]` and `Annotated[…]`; a bare `Final` says nothing."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return _unwrapped(ast.parse(annotation.value.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError):
            return None
    name = ast.unparse(annotation.value if isinstance(annotation, ast.Subscript) else annotation).rpartition(".")[2]
    if name not in {"Final", "ClassVar", "Annotated"}:
        return annotation
    if not isinstance(annotation, ast.Subscript):
        return None
    inner = annotation.slice
    return _unwrapped(inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner)


def _inferred(value: ast.expr) -> str | None:
    """The type of a literal default; None for None itself, an expression, or what JSON has no word for."""
    try:
        kind = type(ast.literal_eval(value)).__name__
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return kind if kind in {"bool", "int", "float", "str", "list", "tuple", "dict"} else None


class _Comments:
    """The comments of one cell, found by the statement they speak of."""

    def __init__(self, source: str) -> None:
        self._beside: dict[int, str] = {}
        self._alone: dict[int, str] = {}
        for token in _tokens(source):
            if token.type == tokenize.COMMENT:
                alone = not token.line[: token.start[1]].strip()
                text = token.string.lstrip("#!: \t-=*").rstrip(" \t-=*#")
                (self._alone if alone else self._beside)[token.start[0]] = text

    def about(self, statement: ast.stmt) -> tuple[str | None, str]:
        """(type of a `# type:` comment, help): the comment at its last or first line, else those right above it."""
        beside = self._beside.get(statement.end_lineno or 0) or self._beside.get(statement.lineno) or ""
        kind = None
        if beside.startswith("type:"):
            kind, _, beside = beside.removeprefix("type:").strip().partition(" ")
        beside = "" if beside.startswith("noqa") else beside.strip().removeprefix("#").strip()
        return (kind if kind != "ignore" else None) or None, beside or self._above(statement.lineno)

    def _above(self, line: int) -> str:
        lines: list[str] = []
        while (text := self._alone.get(line - 1)) is not None:
            lines.insert(0, text)
            line -= 1
        if lines and lines[0].rstrip(":").lower() == TAG:
            del lines[0]  # the cell's title, not this parameter's help
        return " ".join(text for text in lines if text)


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    """As many as can be told apart: the compiler takes a few things that this module refuses."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(source).readline)
    except (tokenize.TokenError, SyntaxError):
        return
