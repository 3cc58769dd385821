"""Stands in for msgspec: structs made of annotations, and JSON. Values are believed: they were validated when sent."""

from __future__ import annotations

import enum
import json as _json
from pathlib import PurePath
from types import SimpleNamespace

_NONE = object()


class MsgspecError(Exception):
    """Base of what is raised."""


class DecodeError(MsgspecError):
    """No JSON."""


class ValidationError(DecodeError):
    """JSON of another shape."""


class Meta:
    """What an annotation says beside the type; nobody asks for it here."""

    def __init__(self, **_):
        pass


class Struct:
    """Fields from annotations, those of the bases first; a mutable default is copied."""

    def __init_subclass__(cls, **_):
        super().__init_subclass__()
        cls.__struct_fields__ = tuple(
            dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base).get("__annotations__", ()))
        )

    def __init__(self, **given):
        for name in self.__struct_fields__:
            value = given.pop(name, _NONE)
            if value is _NONE:
                value = getattr(type(self), name, _NONE)
                if value is _NONE:
                    raise TypeError(f"missing `{name}`")
                value = value.copy() if isinstance(value, (dict, list)) else value
            self.__dict__[name] = value
        if given:
            raise TypeError(f"unknown: {', '.join(given)}")

    def __setattr__(self, name, value):
        raise AttributeError(f"`{name}` cannot be set")

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash((type(self), *self.__dict__.values()))


def _asdict(struct):
    return dict(struct.__dict__)


def _replace(struct, **changes):
    return type(struct)(**{**struct.__dict__, **changes})


def convert(value, type):  # noqa: A002 - the library's own name
    """A struct from what JSON says; a nested one where the field's default is one."""
    if not isinstance(value, dict):
        raise ValidationError("an object is expected")
    known = {name: item for name, item in value.items() if name in type.__struct_fields__}
    try:
        return type(**{name: _like(item, getattr(type, name, None)) for name, item in known.items()})
    except TypeError as error:
        raise ValidationError(str(error)) from None


def _like(value, default):
    if isinstance(default, Struct) and isinstance(value, dict):
        return convert(value, type(default))
    return tuple(value) if isinstance(default, tuple) and isinstance(value, list) else value


def to_builtins(value):
    """What JSON knows."""
    if isinstance(value, Struct):
        return {name: to_builtins(item) for name, item in value.__dict__.items()}
    if isinstance(value, dict):
        return {str(name): to_builtins(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_builtins(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, PurePath) else value


def _decode(data, type=None):  # noqa: A002 - the library's own name
    try:
        value = _json.loads(data)
    except ValueError as error:
        raise DecodeError(str(error)) from None
    return value if type is None else convert(value, type)


def _encode(value):
    return _json.dumps(to_builtins(value), separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogateescape")


json = SimpleNamespace(decode=_decode, encode=_encode)
structs = SimpleNamespace(replace=_replace, asdict=_asdict)
