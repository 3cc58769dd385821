"""Type annotations read as text, and values fitted to them; nothing of the notebook is imported or run.

`fit("list[int] | None", …)` returns the value in that type or raises Mismatch. A type that is not known here accepts
whatever comes: to refuse a value that the notebook would take is worse than to let a wrong one through.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable

import msgspec

from ..model import Json
from .given import Given

_EXACT = 2.0**53
"""Beyond this a float no longer says which whole number was meant."""


class Mismatch(Exception):  # noqa: N818 - no error a person meets: the caller turns it into one
    """The value cannot be of that type; the text says why, where that is not plain."""


def fit(kind: str, given: Given) -> Json:
    """The value in that type."""
    try:
        return _fit(ast.parse(kind, mode="eval").body, given)
    except (SyntaxError, ValueError, RecursionError):
        return given.value


def _fit(kind: ast.expr, given: Given) -> Json:
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _union(_alternatives(kind), given)
    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        return fit(kind.value, given)
    if isinstance(kind, ast.Subscript):
        return _generic(kind, given)
    return _SIMPLE.get(_name(kind), _anything)(given)


def _generic(kind: ast.Subscript, given: Given) -> Json:
    """`list[int]`, `Optional[str]`, `Literal["a", 1]` …; the arguments of an unknown type say nothing."""
    name = _name(kind.value)
    arguments = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
    if name in {"Optional", "Union"}:
        return _union([*arguments, *([ast.Constant(None)] if name == "Optional" else [])], given)
    if name == "Literal":
        return _literal(arguments, given)
    if name in {"Annotated", "Final", "ClassVar"} and arguments:
        return _fit(arguments[0], given)
    return _parts(name, arguments, _SIMPLE.get(name, _anything)(given))


def _parts(name: str, arguments: list[ast.expr], value: Json) -> Json:
    """A container whose items have types of their own."""
    if name in _LISTS and isinstance(value, list):
        return [_item(arguments[0], one) for one in value]
    if name in _DICTS and isinstance(value, dict) and len(arguments) > 1:
        return {key: _item(arguments[1], one) for key, one in value.items()}
    if name in _TUPLES and isinstance(value, list):
        return _tuple(arguments, value)
    return value


def _tuple(arguments: list[ast.expr], value: list[Json]) -> list[Json]:
    last = arguments[-1] if arguments else None
    if isinstance(last, ast.Constant) and last.value is ...:
        return [_item(arguments[0], one) for one in value]
    if len(value) != len(arguments):
        raise Mismatch(f"it has {len(value)} items, not {len(arguments)}")
    return [_item(kind, one) for kind, one in zip(arguments, value, strict=True)]


def _item(kind: ast.expr, value: Json) -> Json:
    """A part of a list or mapping: its type is already written in it."""
    try:
        return _fit(kind, Given(value=value, source="item"))
    except Mismatch as error:
        raise Mismatch(str(error) or f"`{value}` in it is not `{ast.unparse(kind)}`") from None


def _alternatives(kind: ast.expr) -> list[ast.expr]:
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _alternatives(kind.left) + _alternatives(kind.right)
    return [kind]


def _union(kinds: list[ast.expr], given: Given) -> Json:
    """None by its word; then the value as papermill typed it; then the text, read for each type in turn."""
    names = [_name(kind) for kind in kinds]
    if "None" in names and given.text in {"None", "null"}:
        return None
    ranked = sorted(kinds, key=lambda kind: _RANK.get(_name(kind), 1))
    for one in (Given(value=given.value, source=given.source), given):
        for kind in ranked:
            try:
                return _fit(kind, one)
            except Mismatch:
                continue
    raise Mismatch


_RANK = {"bool": 0, "int": 0, "None": 0, "float": 2, "str": 3}
"""In which order a union's members are tried: 5 is an int before it is a float, and text is the last resort."""


def _literal(choices: list[ast.expr], given: Given) -> Json:
    values = [_constant(choice) for choice in choices]
    if any(value is _UNKNOWN for value in values):
        return given.value
    for value in values:
        if type(value) is type(given.value) and value == given.value:
            return value
    for value in values:
        if given.text is not None and _words(value, given.text):
            return value
    raise Mismatch


_UNKNOWN = object()
"""A choice that is no literal: an enum's member, a name."""


def _constant(choice: ast.expr) -> Json:
    try:
        return ast.literal_eval(choice)
    except (ValueError, TypeError):
        return _UNKNOWN


def _words(value: Json, text: str) -> bool:
    """Whether that text says that value: strings by themselves, True and None also in small letters."""
    if isinstance(value, bool):
        return _BOOLS.get(text.strip().lower()) is value
    return value == text or (value is None and text in {"None", "null"})


def _name(kind: ast.expr) -> str:
    """The last part of a dotted name; None's own name for the constant; nothing for anything else."""
    if isinstance(kind, ast.Constant):
        return "None" if kind.value is None else ""
    if isinstance(kind, ast.Subscript):
        return _name(kind.value)
    return kind.attr if isinstance(kind, ast.Attribute) else kind.id if isinstance(kind, ast.Name) else ""


def _anything(given: Given) -> Json:
    return given.value


def _none(given: Given) -> None:
    if given.value is not None and given.text != "null":
        raise Mismatch


def _bool(given: Given) -> bool:
    if isinstance(given.value, bool):
        return given.value
    word = _BOOLS.get((given.text or "").strip().lower())
    if word is None:
        raise Mismatch
    return word


_BOOLS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _int(given: Given) -> int:
    value = given.value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Mismatch
    return value


def _float(given: Given) -> float:
    """YAML 1.1 takes `1e-3` for text, so text from there is read too."""
    value = given.value
    if isinstance(value, bool) or (isinstance(value, str) and given.source == "-r"):
        raise Mismatch
    if not isinstance(value, str | int | float):
        raise Mismatch
    try:
        return float(value)
    except ValueError:
        raise Mismatch from None
    except OverflowError:
        return math.inf


def _str(given: Given) -> str:
    if given.text is not None:
        return given.text
    if not isinstance(given.value, str):
        raise Mismatch
    return given.value


def _list(given: Given) -> list[Json]:
    value = _container(given)
    if not isinstance(value, list | tuple | set | frozenset):
        raise Mismatch
    return list(value)


def _dict(given: Given) -> dict[Json, Json]:
    value = _container(given)
    if not isinstance(value, dict):
        raise Mismatch
    return value


def _container(given: Given) -> Json:
    """The value, or what its text says as JSON or as a Python literal."""
    if given.text is None:
        return given.value
    try:
        return msgspec.json.decode(given.text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return ast.literal_eval(given.text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise Mismatch from None


_LISTS = {"list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "set", "Set", "frozenset"}
_TUPLES = {"tuple", "Tuple"}
_DICTS = {"dict", "Dict", "Mapping", "MutableMapping"}

_SIMPLE: dict[str, Callable[[Given], Json]] = {
    "None": _none,
    "NoneType": _none,
    "bool": _bool,
    "int": _int,
    "float": _float,
    **dict.fromkeys(("str", "Path", "PathLike"), _str),
    **dict.fromkeys(_LISTS | _TUPLES, _list),
    **dict.fromkeys(_DICTS, _dict),
}
"""What each known type makes of a value; `Path` is text here, since a notebook's cell can only be given that."""
