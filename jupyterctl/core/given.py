"""Parameter values as a person gives them: `-p`, `-r`, `-y`, `-f` and `--sweep`.

They are typed and ordered as papermill 2.7's command line does it (its `cli.papermill`): files first, then YAML texts,
then `-p`, then `-r`; the later one wins. `-p` keeps its text beside the value, so that a declared type can speak.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from ..errors import ParameterError
from ..model import Json

MOST_POINTS = 10_000
"""The largest grid that is taken for meant."""


class Given(Struct, frozen=True, kw_only=True):
    """One value as it came."""

    value: Json
    """As papermill would take it."""
    source: str
    """The flag: `-p`, `-r`, `-y` or `-f`."""
    text: str | None = None
    """What was typed after `-p`; None where no type is left open."""


def given(
    typed: Sequence[tuple[str, str]] = (),
    raw: Sequence[tuple[str, str]] = (),
    yaml_texts: Sequence[str] = (),
    files: Sequence[Path] = (),
) -> dict[str, Given]:
    """All values by name; ParameterError for YAML or a file that cannot be read."""
    found: dict[str, Given] = {}
    for path in files:
        found.update(_each(_file(path), "-f"))
    for text in yaml_texts:
        found.update(_each(_mapping(_yaml(text, "`-y`"), "`-y`"), "-y"))
    found.update((name, Given(value=resolve(text), text=text, source="-p")) for name, text in typed)
    found.update((name, Given(value=text, source="-r")) for name, text in raw)
    return found


def resolve(text: str) -> str | float | bool | None:
    """The value papermill 2.7 makes of the text after `-p` (`papermill.cli._resolve_type`).

    >>> [resolve(text) for text in ("True", "true", "5", "1e-3", "None", "[1]")]
    [True, 'true', 5, 0.001, None, '[1]']
    """
    if text in _WORDS:
        return _WORDS[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


_WORDS = {"True": True, "False": False, "None": None}


def grid(sweeps: Sequence[str]) -> list[dict[str, str]]:
    """Every combination of `K=a,b,c`, the first name varying slowest; a value with a comma stands in double quotes.

    >>> grid(["lr=0.1,0.2", 'tags="a,b",c'])[:3]
    [{'lr': '0.1', 'tags': 'a,b'}, {'lr': '0.1', 'tags': 'c'}, {'lr': '0.2', 'tags': 'a,b'}]
    """
    axes: dict[str, list[str]] = {}
    for sweep in sweeps:
        name, values = _axis(sweep)
        if name in axes:
            raise ParameterError(f"`{name}` is swept twice", f"write all its values at once: --sweep {name}=a,b,c")
        axes[name] = values
    points = math.prod(len(values) for values in axes.values())
    if points > MOST_POINTS:
        raise ParameterError(f"this sweep makes {points} runs, and {MOST_POINTS} is the most", "sweep fewer values")
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())] if axes else []


def _axis(sweep: str) -> tuple[str, list[str]]:
    name, equals, text = sweep.partition("=")
    shown = " ".join(sweep.split())
    if not equals or not name.strip() or not text.strip():
        raise ParameterError(f"`--sweep {shown}` names no values", "write it like --sweep rate=0.1,0.2,0.5")
    try:
        rows = list(csv.reader([text], strict=True, skipinitialspace=True))
    except csv.Error:
        rows = []
    if len(rows) != 1:
        raise ParameterError(
            f"the quotes in `--sweep {shown}` do not match", """quote a value with a comma: --sweep 'K="a,b",c'"""
        )
    return name.strip(), rows[0]


def _each(values: dict[str, Json], source: str) -> Iterator[tuple[str, Given]]:
    return ((name, Given(value=value, source=source)) for name, value in values.items())


def _file(path: Path) -> dict[str, Json]:
    where = f"`{path}`"
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ParameterError(f"there is no parameters file {where}", f"you are in `{Path.cwd()}`") from None
    except OSError as error:
        raise ParameterError(f"{where} cannot be read: {(error.strerror or '').lower()}", "look at it: ls -l") from None
    except UnicodeDecodeError:
        raise ParameterError(f"{where} is not UTF-8 text", "a parameters file is YAML or JSON") from None
    return _mapping(_json(text, where) if path.suffix.lower() == ".json" else _yaml(text, where), where)


def _json(text: str, where: str) -> Json:
    """JSON by its own rules: in YAML 1.1 the number `1e-3` would be a string."""
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ParameterError(f"{where} is not JSON: {error}", 'write it like {"steps": 5}') from None


def _yaml(text: str, where: str) -> Json:
    import yaml

    class Loader(yaml.SafeLoader):
        """Papermill's: dates stay text."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
            first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
            for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        raise ParameterError(f"{where} is not YAML{line}: {error.problem}", "write it like `steps: 5`") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ParameterError(f"{where} is not YAML: {reason}", "write it like `steps: 5`") from None


def _mapping(value: Json, where: str) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParameterError(f"{where} holds no names with values", "write it like `steps: 5`, one parameter a line")
    return {str(name): one for name, one in value.items()}
