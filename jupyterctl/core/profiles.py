"""Profiles as the rest of the program sees them: loaded, validated by their kind, and found by `--target NAME`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from .. import config, target
from ..errors import ConfigError, JupyterctlError, NotFoundError
from ..model import Check, CheckState, Profile


class Entry(Struct, frozen=True, kw_only=True):
    """One profile of the list: valid, or with the error that says why it is not."""

    name: str
    kind: str | None = None
    """None where the files do not tell."""
    file: Path | None = None
    profile: Profile | None = None
    error: ConfigError | None = None

    def valid(self) -> Profile:
        """The profile; raises its error."""
        if self.profile is None:
            raise self.error or ConfigError(f"`{self.name}` is no profile")
        return self.profile


class Value(Struct, frozen=True, kw_only=True):
    """One setting of a profile, as TOML writes it, and the file that says so; None for the kind's default."""

    key: str
    text: str
    file: Path | None


_read: dict[tuple[str, ...], tuple[tuple[object, ...], Entry]] = {}
"""Files of a profile to what they were like when they were last read, and what they said."""


def entries(cwd: Path) -> list[Entry]:
    """Every profile that holds in a folder, by name; a broken one carries its error and hides no other.

    Files that have not changed are not read again: a dashboard asks for all of them every other second.
    """
    return [_remembered(name, files) for name, files in sorted(config.find(cwd).items())]


def _remembered(name: str, files: list[Path]) -> Entry:
    key = tuple(map(str, files))
    like = tuple(_like(file) for file in key)
    known = _read.get(key)
    if known is None or known[0] != like or None in like:
        known = _read[key] = like, _entry(name, files)
    return known[1]


def _like(file: str) -> object:
    """What changes with a file; None where it cannot be looked at."""
    try:
        status = os.stat(file)  # noqa: PTH116 - of thousands of files
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def entry(name: str, cwd: Path) -> Entry | None:
    """One profile, None where no file has the name."""
    files = config.files(name, cwd)
    return _entry(name, files) if files else None


def resolve(name: str, cwd: Path) -> Profile:
    """What `--target NAME` means: a profile, else a kind's only profile, else what the kind offers by itself.

    ConfigError where that profile is broken, NotFoundError with the names there are, the nearest first.
    """
    found = entry(name, cwd)
    if found is not None:
        return found.valid()
    kind = _kind(name)
    known = entries(cwd)
    of_kind = [candidate for candidate in known if kind is not None and candidate.kind == kind]
    if len(of_kind) == 1:
        return of_kind[0].valid()
    default = target.load(kind).default() if kind else None
    if kind and default is not None:
        return Profile(name=kind, kind=kind, settings=default)
    if of_kind:
        raise NotFoundError(f"`{name}` is not one profile but several", f"name one of {_listed(of_kind)}")
    raise NotFoundError(f"there is no profile `{name}`", config.near(name, [*_names(known), *_defaults()]))


def targets(cwd: Path) -> list[str]:
    """Names that `resolve` knows: of profiles that hold, and of kinds that need none and have none."""
    known = entries(cwd)
    taken = {candidate.kind for candidate in known} | set(_names(known))
    profiles = [candidate.name for candidate in known if candidate.error is None]
    return [*profiles, *(kind for kind in _defaults() if kind not in taken)]


def build(raw: config.Raw) -> Profile:
    """The profile its files describe, validated by its kind; ConfigError says what is wrong and where."""
    kind = _kind_of(raw)
    settings = config.validate(raw, kind, _load(raw, kind).Settings)
    return Profile(name=raw.name, kind=kind, settings=settings, file=next(iter(raw.files), None), sources=raw.sources)


def values(profile: Profile) -> list[Value]:
    """Every setting of a profile with the file it comes from; a table's entries one by one."""
    from .. import schema

    rows: list[tuple[str, object]] = [("kind", profile.kind)]
    for field in schema.fields(type(profile.settings)):
        value = schema.at(msgspec.to_builtins(profile.settings), field.key)
        if isinstance(value, dict) and value:
            rows += [(f"{field.key}.{name}", item) for name, item in value.items()]
        else:
            rows.append((field.key, value))
    return [Value(key=key, text=_shown(value), file=profile.sources.get(key)) for key, value in rows]


def check(profile: Profile) -> Iterator[Check]:
    """The profile's own check, then the target's, each as it comes; a failing place is one more failed check."""
    yield Check(name="profile", state=CheckState.OK, detail=_origin(profile))
    try:
        yield from target.load(profile.kind).create(profile).check()
    except JupyterctlError as error:
        yield Check(name="target", state=CheckState.FAIL, detail=error.message, fix=error.hint)


def _origin(profile: Profile) -> str:
    return str(profile.file) if profile.file else f"no file: the default of the kind `{profile.kind}`"


def _entry(name: str, files: list[Path]) -> Entry:
    raw = None
    try:
        config.check_name(name)
        raw = config.merge(name, files)
        profile = build(raw)
    except ConfigError as error:
        kind = raw.data.get("kind") if raw else None
        return Entry(name=name, kind=kind if isinstance(kind, str) else None, file=files[0], error=error)
    return Entry(name=name, kind=profile.kind, file=files[0], profile=profile)


def _shown(value: object) -> str:
    from .. import schema

    return "-" if value is None else schema.inline(value)


def _kind_of(raw: config.Raw) -> str:
    """The kind the files name, or the kind that has the profile's own name."""
    kind = raw.data.get("kind")
    if kind is None and target.exists(raw.name):
        return raw.name
    if isinstance(kind, str):
        return kind
    problem = "is missing" if kind is None else "is no text"
    raise ConfigError(f"`kind`{raw.where('kind')} {problem}", f"the kinds are: {', '.join(target.kinds())}")


def _load(raw: config.Raw, kind: str) -> target.Kind:
    try:
        return target.load(kind)
    except ConfigError as error:
        hint = config.near(kind, target.kinds())
        raise ConfigError(f"`kind`{raw.where('kind')} cannot be `{kind}`", hint) from error
    except ImportError as error:
        raise ConfigError(
            f"the kind `{kind}` cannot be loaded: {error}", "install the package it comes from again"
        ) from error


def _kind(name: str) -> str | None:
    """The kind of a name or alias, None where there is none. Aliases are asked last: they cost importing each kind."""
    if target.exists(name):
        return name
    return next((kind for kind in target.kinds() if name in target.load(kind).ALIASES), None)


def _defaults() -> list[str]:
    return [kind for kind in target.kinds() if target.load(kind).default() is not None]


def _names(known: list[Entry]) -> list[str]:
    return [candidate.name for candidate in known]


def _listed(known: list[Entry]) -> str:
    return ", ".join(f"`{name}`" for name in _names(known))
