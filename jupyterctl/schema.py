"""What a settings struct says about itself: its keys, what each may hold, and the JSON schema for editors.

A kind declares its settings once, as a struct; `profile new`'s flags and questions, the remedies in error messages
and the schema are all read from it here. Keys are dotted: the key `timeout` of the `[run]` table is `run.timeout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, inspect

from .model import Json, Settings


class Field(Struct, frozen=True, kw_only=True):
    """One setting: where it stands, what it holds and what it is for."""

    key: str
    """Dotted, as `run.timeout`."""
    type: inspect.Type
    """What it may hold, None (a setting left out) set aside."""
    annotation: object
    """The same as the struct declares it, for msgspec."""
    help: str = ""
    required: bool = False
    default: object = None
    examples: tuple[object, ...] = ()

    @property
    def table(self) -> str:
        """The table it stands in, empty for the top level."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The key within its table."""
        return self.key.rpartition(".")[2]

    @property
    def flag(self) -> str:
        """The option of `profile new` that sets it."""
        return "--" + self.key.replace(".", "-").replace("_", "-")


def fields(settings: type[Settings]) -> list[Field]:
    """Every setting of a kind: the top level first, then table by table, as TOML wants them written."""
    return sorted(_fields(settings, ""), key=lambda field: field.key.count("."))


def parse(field: Field, given: str | Sequence[str]) -> object:
    """The value that text from a flag or an answer stands for; ValueError says what it must be.

    A list takes one text for each item, a table texts of the form `NAME=VALUE`.
    """
    value: object = given
    if isinstance(field.type, inspect.DictType):
        pairs = [text.partition("=") for text in given]
        if not all(name and equals for name, equals, _ in pairs):
            raise ValueError("it must be NAME=VALUE")
        value = {name: text for name, _, text in pairs}
    try:
        return msgspec.to_builtins(msgspec.convert(value, field.annotation, strict=False))
    except msgspec.ValidationError as error:
        raise ValueError(f"it must be {expects(field.type, field.examples)}") from error


def expects(of: inspect.Type, examples: Sequence[object] = ()) -> str:
    """What a value must be, in words: `a whole number, 0 or more`.

    >>> expects(inspect.type_info(bool))
    'true or false'
    """
    kind, extra = unwrap(of)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(expects(member) for member in kind.types)
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        return f"a list, each item {expects(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"a table, each value {expects(kind.value_type)}"
    return _atom(kind, examples or extra.get("examples", ()))


def choices(of: inspect.Type) -> list[object]:
    """The values that alone are allowed; empty where any will do."""
    kind, _ = unwrap(of)
    if isinstance(kind, inspect.LiteralType):
        return list(kind.values)
    if isinstance(kind, inspect.EnumType):
        return [member.value for member in kind.cls]
    return []


def many(field: Field) -> bool:
    """Whether a field holds several values, given one by one."""
    return isinstance(field.type, inspect.ListType | inspect.VarTupleType | inspect.DictType)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Tables out of dotted keys.

    >>> nested({"a": 1, "run.timeout": "8h"})
    {'a': 1, 'run': {'timeout': '8h'}}
    """
    tables: dict[str, Any] = {}
    for key, value in flat.items():
        *path, name = key.split(".")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[name] = value
    return tables


def at(settings: Mapping[str, object], key: str) -> object:
    """The value at a dotted key of nested tables, None where there is none."""
    value: object = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def culprit(field: Field, value: object) -> tuple[str, object, inspect.Type]:
    """The item of a list or table that makes it wrong: its place as `.NAME` or `[INDEX]`, the item, what it may be.

    Where the value itself is wrong, or no item is, the value with an empty place.
    """
    items: list[tuple[str, object, object]]
    if isinstance(field.type, inspect.DictType) and isinstance(value, dict):
        items = [(f".{name}", item, {name: item}) for name, item in value.items()]
        of = field.type.value_type
    elif isinstance(field.type, inspect.ListType | inspect.VarTupleType) and isinstance(value, list):
        items = [(f"[{index}]", item, [item]) for index, item in enumerate(value)]
        of = field.type.item_type
    else:
        return "", value, field.type
    wrong = ((place, item, of) for place, item, alone in items if not _fits(alone, field.annotation))
    return next(wrong, ("", value, field.type))


def inline(value: object) -> str:
    """A value as TOML writes it, on one line.

    >>> inline({"a": [1, "b"]})
    '{ a = [1, "b"] }'
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(inline(item) for item in value)}]"
    if isinstance(value, Mapping):
        items = [f"{_key(key)} = {inline(item)}" for key, item in value.items()]
        return f"{{ {', '.join(items)} }}" if items else "{}"
    import tomli_w

    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def quoted(value: object) -> str:
    """A value as TOML writes it, shortened where it is long."""
    text = inline(value)
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004 - a line's width


def unwrap(of: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """The type without its annotations and without None, and the annotations."""
    extra: dict[str, Any] = {}
    while True:
        if isinstance(of, inspect.Metadata):
            extra = {**(of.extra_json_schema or {}), **extra}
            of = of.type
        elif isinstance(of, inspect.UnionType) and len(_members(of)) == 1:
            of = _members(of)[0]
        else:
            return of, extra


def document(kinds: Mapping[str, type[Settings]]) -> dict[str, Json]:
    """The JSON schema of a profile: one alternative for each kind, and one for a file laid over another's.

    The latter names no kind, so which keys it may have is known only once the files are merged.
    """
    references, definitions = msgspec.json.schema_components(kinds.values(), ref_template="#/$defs/{name}")
    names = [reference["$ref"].rpartition("/")[2] for reference in references]
    alternatives = [_alternative(kind, definitions.pop(name)) for kind, name in zip(kinds, names, strict=True)]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "jupyterctl profile",
        "description": "Where Jupyter runs, and how.",
        "oneOf": [*alternatives, _OVERLAY],
        "$defs": _without_null(definitions),
    }


_OVERLAY = {
    "title": "overlay",
    "description": "Settings laid over a profile of the same name farther away, whose kind it keeps.",
    "type": "object",
    "not": {"required": ["kind"]},
}


def _alternative(kind: str, definition: dict[str, Json]) -> dict[str, Json]:
    named = {"const": kind, "type": "string", "description": "The way Jupyter is run."}
    return {
        **_without_null(definition),
        "title": kind,
        "properties": {"kind": named, **_without_null(definition["properties"])},
        "required": ["kind", *definition.get("required", [])],
    }


def _without_null(node: Json) -> Json:
    """The schema without nulls, which TOML cannot write: a setting is left out instead."""
    if isinstance(node, list):
        return [_without_null(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:  # a table: its default is that of its fields
        return {"$ref": node["$ref"]}
    kept = {key: _without_null(value) for key, value in node.items() if (key, value) != ("default", None)}
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept


def _fields(struct: type[Struct], table: str) -> Iterator[Field]:
    for field in msgspec.structs.fields(struct):
        kind, extra = unwrap(inspect.type_info(field.type))
        key = f"{table}{field.encode_name}"
        if isinstance(kind, inspect.StructType):
            yield from _fields(kind.cls, f"{key}.")
        else:
            yield Field(
                key=key,
                type=kind,
                annotation=field.type,
                help=extra.get("description", ""),
                required=field.required,
                default=_default(field),
                examples=tuple(extra.get("examples", ())),
            )


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default)


def _fits(value: object, annotation: object) -> bool:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return False
    return True


def _key(name: str) -> str:
    import tomli_w

    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def _members(union: inspect.UnionType) -> list[inspect.Type]:
    return [member for member in union.types if not isinstance(member, inspect.NoneType)]


def _atom(kind: inspect.Type, examples: Sequence[object]) -> str:
    """What a single value must be."""
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _number(kind)
    if isinstance(kind, inspect.StrType):
        return _text(kind, examples)
    return f"one of {', '.join(quoted(choice) for choice in choices(kind))}"


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    noun = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
    if kind.ge is not None and kind.le is not None:
        return f"{noun} from {kind.ge} to {kind.le}"
    bounds = {"{} or more": kind.ge, "more than {}": kind.gt, "{} or less": kind.le, "less than {}": kind.lt}
    return ", ".join([noun, *(words.format(bound) for words, bound in bounds.items() if bound is not None)])


def _text(kind: inspect.StrType, examples: Sequence[object]) -> str:
    if examples:
        return f"a text such as {', '.join(quoted(example) for example in examples)}"
    if kind.pattern:
        return f"a text that matches {kind.pattern}"
    return "a text that is not empty" if kind.min_length else "a text"
