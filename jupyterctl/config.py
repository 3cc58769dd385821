"""Find, read, merge, validate and write profiles; every error names the file, the key and what would be right.

A profile NAME may stand in several files: the user's `profiles/NAME.toml`, and `.jupyterctl/NAME.toml` in the working
directory and in each folder above it. The nearer file wins key by key, tables being merged; one that names another
kind than the files farther away stands alone. `Raw.sources` says which file each value came from.

Kinds are not known here: whoever validates brings the settings struct.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_IWOTH
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from . import paths
from .errors import ConfigError
from .model import Settings

if TYPE_CHECKING:
    from . import schema

PROJECT = paths.PROJECT
"""A project's folder of profiles."""

Table = dict[str, Any]
"""A table of a TOML file, as read."""

_Settings = TypeVar("_Settings", bound=Settings)
_NAME = re.compile(r"\w[\w.-]*")
_TOML_PLACE = r"(.*) \(at line (\d+), column (\d+)\)"
_KEY_PATH = r"^(.*?)(?: - at `\$(.*)`)?$"
_UNKNOWN = r"Object contains unknown field `(.*)`"
_MISSING = r"Object missing required field `(.*)`"


class Raw(Struct, kw_only=True):
    """A profile as its files say it, merged and not yet validated."""

    name: str
    data: Table = {}
    sources: dict[str, Path] = {}
    """Dotted key to the file its value came from."""
    files: tuple[Path, ...] = ()
    """The files that had a say, the nearest first."""

    def where(self, key: str) -> str:
        """The words `in FILE` for a key: the file that set it, or something in it, else the nearest."""
        holders = [file for known, file in self.sources.items() if known == key or known.startswith(f"{key}.")]
        file = next(iter([*holders, *self.files]), None)
        return f" in `{file}`" if file else ""


def check_name(name: str) -> str:
    """The name itself where it can name a profile: it becomes a file's name; ConfigError otherwise."""
    if len(name) > 64 or not _NAME.fullmatch(name):  # noqa: PLR2004 - well below any file system's limit
        raise ConfigError(
            f"`{name}` cannot name a profile",
            "use letters, digits, `-`, `_` and `.`, a letter, digit or `_` first, 64 at most",
        )
    return name


def folders(cwd: Path) -> Iterator[Path]:
    """Where profiles may stand, the nearest first: the project's folders upwards, then the user's."""
    for above in (cwd, *cwd.parents):
        folder = above / PROJECT
        if folder.is_dir() and not strange(folder):
            yield folder
    yield paths.profiles()


def strange(folder: Path) -> bool:
    """Whether somebody else put the folder where anyone can write, as in `/tmp`: what it says is not believed."""
    owner = folder.stat().st_uid
    return owner not in {0, os.geteuid()} and bool(folder.parent.stat().st_mode & S_IWOTH)


def find(cwd: Path) -> dict[str, list[Path]]:
    """Every profile's files, by name; the nearest file first."""
    found: dict[str, list[Path]] = {}
    for folder in folders(cwd):
        for name, file in _files(folder):
            found.setdefault(name, []).append(file)
    return found


def files(name: str, cwd: Path) -> list[Path]:
    """One profile's files, the nearest first; empty where there is none."""
    check_name(name)
    wanted = [folder / f"{name}.toml" for folder in folders(cwd)]
    return [file for file in wanted if file.is_file() or file.is_symlink()]


def read(file: Path) -> Table:
    """The contents of a TOML file; ConfigError names the file and line."""
    try:
        data = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"`{file}` cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{file}` is not UTF-8 text", "save it again in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        _syntax(file, str(error), error)
    except RecursionError as error:
        raise ConfigError(f"`{file}` nests too deep", "a profile is a file of at most a few nested tables") from error
    if not _shallow(data):
        raise ConfigError(f"`{file}` nests too deep", "a profile is a file of at most a few nested tables")
    return data


def merge(name: str, chain: Sequence[Path]) -> Raw:
    """Read a profile's files, the nearest given first, and lay each over those farther away."""
    raw = Raw(name=name)
    for file in reversed(chain):
        data = read(file)
        if "kind" in data and raw.data.get("kind", data["kind"]) != data["kind"]:
            raw = Raw(name=name)
        _lay(raw.data, data, file, raw.sources, "")
        raw.files = (file, *raw.files)
    return raw


def validate(raw: Raw, kind: str, settings: type[_Settings]) -> _Settings:
    """The profile's settings as the kind's struct; ConfigError names file, key, value and remedy."""
    data = {key: value for key, value in raw.data.items() if key != "kind"}
    try:
        return msgspec.convert(data, settings)
    except msgspec.ValidationError as error:
        _refuse(raw, kind, settings, error)


def near(word: str, known: Sequence[str]) -> str:
    """The words `did you mean …?` for a mistyped name, then all there are: the nearest first, the others by name."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    listed = [*close, *sorted({*known} - {*close})]
    return (f"did you mean `{close[0]}`? " if close else "") + f"there are: {', '.join(listed)}"


def write(file: Path, text: str) -> None:
    """Write a profile atomically, as readable as the folder it stands in; a symbolic link stays one."""
    folder = file.parent
    if folder.name == PROJECT:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        paths.private(folder)
    paths.write(file.resolve(), text.encode())
    file.chmod(folder.stat().st_mode & 0o666)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_symlink() or entry.is_file())
    except OSError:  # most often there is no such folder; one that cannot be read holds nothing we could use
        return
    for name in names:
        if name.endswith(".toml") and not name.startswith("."):
            yield name.removesuffix(".toml"), folder / name


def _shallow(data: Table, limit: int = 8) -> bool:
    level = [data]
    for _ in range(limit):
        level = [value for table in level for value in table.values() if isinstance(value, dict)]
    return not level


def _syntax(file: Path, message: str, cause: Exception) -> NoReturn:
    place = re.fullmatch(_TOML_PLACE, message, re.DOTALL)
    text, line = (place[1], f", line {place[2]}, column {place[3]}") if place else (message, "")
    raise ConfigError(
        f"`{file}`{line} is not TOML: {text[:1].lower()}{text[1:]}",
        'a line reads key = "text", key = 3, key = true or key = ["a", "b"]',
    ) from cause


def _lay(under: Table, over: Table, file: Path, sources: dict[str, Path], table: str) -> None:
    """Put what `over` says into `under`, table by table, and note the file of each value."""
    for key, value in over.items():
        dotted = f"{table}{key}"
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay(under[key], value, file, sources, f"{dotted}.")
            continue
        for known in [known for known in sources if known == dotted or known.startswith(f"{dotted}.")]:
            del sources[known]
        if isinstance(value, dict):
            under[key] = {}
            _lay(under[key], value, file, sources, f"{dotted}.")
        else:
            under[key] = value
            sources[dotted] = file


def _refuse(raw: Raw, kind: str, settings: type[Settings], error: msgspec.ValidationError) -> NoReturn:
    """Say in the user's words what msgspec found."""
    from . import schema

    parts = re.fullmatch(_KEY_PATH, str(error), re.DOTALL)
    reason, path = (parts[1], parts[2] or "") if parts else (str(error), "")
    table = re.sub(r"\[.*?\]", "", path).removeprefix(".")
    known = {field.key: field for field in schema.fields(settings)}
    if unknown := re.fullmatch(_UNKNOWN, reason, re.DOTALL):
        key = f"{table}.{unknown[1]}".removeprefix(".")
        raise ConfigError(f"`{key}`{raw.where(key)} is no setting of the kind `{kind}`", _near_key(key, list(known)))
    if missing := re.fullmatch(_MISSING, reason, re.DOTALL):
        key = f"{table}.{missing[1]}".removeprefix(".")
        raise ConfigError(f"`{key}`{raw.where(key)} is missing", f"it is needed: {_describe(known.get(key))}")
    if reason.startswith(("Expected", "Invalid enum value")) and table:
        _wrong(raw, table, known.get(table), error)
    raise ConfigError(f"{reason}{raw.where(table)}", f"see `jupyterctl profile new --kind {kind} --help`")


def _wrong(raw: Raw, key: str, field: schema.Field | None, cause: Exception) -> NoReturn:
    """Say that a value cannot be, or the one item of it that cannot."""
    from . import schema

    value = _value(raw.data, key)
    if field is None:
        raise ConfigError(f"`{key}`{raw.where(key)} cannot be {schema.quoted(value)}", "it must be a table") from cause
    place, item, of = schema.culprit(field, value)
    words = schema.expects(of, () if place else field.examples)
    raise ConfigError(
        f"`{key}{place}`{raw.where(key + place)} cannot be {schema.quoted(item)}",
        f"it must be {words}" + (f" ({field.help})" if field.help else ""),
    ) from cause


def _describe(field: schema.Field | None) -> str:
    """What a setting must be, and what it is for."""
    from . import schema

    if field is None:
        return "it is a table"
    return f"{schema.expects(field.type, field.examples)} ({field.help})"


def _near_key(key: str, known: Sequence[str]) -> str:
    """The remedy for an unknown key: a like one, the same one in another table, or all there are."""
    from difflib import get_close_matches

    elsewhere = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
    close = elsewhere or get_close_matches(key, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"the settings are: {', '.join(known)}"


def _value(data: Table, key: str) -> object:
    """The value at a dotted key, or the innermost there is on the way to it."""
    value: object = data
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            break
        value = value[part]
    return value
