"""Given values against declared parameters: names, types and what JSON can hold.

A declared type lets the text after `-p` be read without doubt: `-p date 2021` is the text "2021" where `date: str`, and
`-p verbose yes` is true where `verbose: bool`. Where nothing is declared papermill's own typing stands. Types that are
not Python's own (a class, a `TypeVar`) accept anything.
"""

from __future__ import annotations

import keyword
import math
import shlex
from collections.abc import Mapping
from difflib import get_close_matches

from ..errors import ParameterError
from ..model import Json
from .annotations import Mismatch, fit
from .given import Given, resolve
from .parameters import Declared, Parameter


def check(declared: Declared, given: Mapping[str, Given], *, lenient: bool = False) -> dict[str, Json]:
    """The values to send, made of what JSON knows; ParameterError for the first that cannot be right.

    `lenient` lets through names that are not declared, and values for a notebook that has no parameters cell.
    """
    known = {parameter.name: parameter for parameter in declared.parameters}
    if declared.checked:
        _missing(declared, given)
    if given and not lenient:
        _placed(declared, given)
        _known(declared, known, given)
    return {name: _value(name, known.get(name), one, declared) for name, one in given.items()}


def _missing(declared: Declared, given: Mapping[str, Given]) -> None:
    for parameter in declared.parameters:
        if parameter.required and parameter.name not in given:
            kind = f" (`{parameter.type}`)" if parameter.type else ""
            about = f": {parameter.help}" if parameter.help else ""
            raise ParameterError(
                f"the notebook needs a value for `{parameter.name}`{kind}{about}",
                f"give it one: -p {parameter.name} VALUE",
            )


def _placed(declared: Declared, given: Mapping[str, Given]) -> None:
    """A value is set right after the first parameters cell; what is assigned later would win over it."""
    if declared.cell is None:
        raise ParameterError(
            f"the notebook has no cell tagged `parameters` to set `{next(iter(given))}` in",
            "add the tag `parameters` to the cell with the defaults, or pass --lenient to set it before the first cell",
        )
    for parameter in declared.parameters:
        if parameter.name in given and parameter.cell != declared.cell:
            raise ParameterError(
                f"`{parameter.name}` is set in cell {parameter.cell + 1}, which would overwrite the value given",
                f"move it to the first parameters cell, cell {declared.cell + 1}",
            )


def _known(declared: Declared, known: Mapping[str, Parameter], given: Mapping[str, Given]) -> None:
    for name in given if declared.checked else ():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            names = ", ".join(f"`{one}`" for one in known) or "none"
            hint = f"did you mean `{near[0]}`?" if near else f"its parameters: {names}"
            raise ParameterError(
                f"the notebook has no parameter `{name}`", f"{hint} (--lenient passes it all the same)"
            )


def _value(name: str, parameter: Parameter | None, given: Given, declared: Declared) -> Json:
    if declared.checked and (not name.isidentifier() or keyword.iskeyword(name)):
        raise ParameterError(f"`{name}` cannot be the name of a parameter", "a name is letters, digits and underscores")
    value = given.value
    if parameter is not None and parameter.type is not None and not _free(parameter, given):
        value = _typed(parameter, parameter.type, given)
    try:
        return _plain(value)
    except (Mismatch, RecursionError) as error:
        reason = str(error) if isinstance(error, Mismatch) else "it is nested too deep"
        raise ParameterError(f"parameter `{name}` cannot be passed: {reason}", _PLAIN_HINT) from None


_PLAIN_HINT = "a parameter is text, a number, true, false, null, or a list or mapping of these"


def _free(parameter: Parameter, given: Given) -> bool:
    """Where nobody wrote a type, None is taken; and where None is the default, it is part of the type."""
    return given.value is None and (parameter.inferred or parameter.default == "None")


def _typed(parameter: Parameter, kind: str, given: Given) -> Json:
    # a default of 1 is no promise that 0.5 will not do
    wanted = "int | float" if parameter.inferred and kind == "int" else kind
    try:
        return fit(wanted, given)
    except Mismatch as error:
        because = f", as its default `{_short(parameter.default)}`" if parameter.inferred else ""
        reason = f" ({error})" if str(error) else ""
        raise ParameterError(
            f"parameter `{parameter.name}` takes `{kind}`{because}, not {_shown(given)}{reason}",
            _remedy(parameter, kind, given),
        ) from None


def _shown(given: Given) -> str:
    if given.text is not None:
        return f"`{_short(given.text)}`"
    kind = "text" if isinstance(given.value, str) else type(given.value).__name__
    return f"the {kind} `{_short(str(given.value))}`"


def _short(text: str | None) -> str:
    text = " ".join((text or "").split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


_SHOWN = 60
"""Characters of a value that an error shows."""


def _remedy(parameter: Parameter, kind: str, given: Given) -> str:
    """What to type instead."""
    name = parameter.name
    base = kind.partition("[")[0].rpartition(".")[2]
    if base == "Literal":
        return f"the choices are {kind.partition('[')[2].rstrip(']')}"
    if isinstance(given.value, str) and given.source == "-r":
        return f"`-r` passes text as it is; use -p {name} {_retyped(kind, given.value) or _EXAMPLES.get(base, 'VALUE')}"
    if base == "str":
        return f"pass it as text: -r {name} '{_short(str(given.value))}'"
    if base in _EXAMPLES:
        return f"write it like -p {name} {_EXAMPLES[base]}"
    return f"give a value of the type `{kind}`, or change the annotation in the notebook"


def _retyped(kind: str, text: str) -> str:
    """The same text for `-p`, quoted for a shell, where it would do there."""
    try:
        fit(kind, Given(value=resolve(text), text=text, source="-p"))
    except Mismatch:
        return ""
    return shlex.quote(text)


_EXAMPLES = {
    "int": "5",
    "float": "0.5",
    "bool": "true",
    "list": "'[1, 2]'",
    "tuple": "'[1, 2]'",
    "dict": """'{"key": 1}'""",
}


def _plain(value: Json) -> Json:
    """The value made of JSON's types alone; Mismatch says what JSON has no word for."""
    if isinstance(value, str):
        _encodable(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        # papermill would write it into the notebook as a bare NaN, and no browser opens that file
        if not math.isfinite(value):
            raise Mismatch(f"JSON, and so a notebook, cannot hold `{value}`")
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {_key(key): _plain(one) for key, one in value.items()}
    raise Mismatch(f"JSON, and so a notebook, cannot hold a value of the type {type(value).__name__}")


def _key(key: object) -> str:
    """As papermill writes keys: all of them text."""
    if not isinstance(key, str | int | float | bool | None):
        raise Mismatch(f"the key `{key}` is not text")
    return _encodable(str(key))


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Mismatch("it holds bytes that are not UTF-8 text") from None
    return text
