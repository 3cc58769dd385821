"""Profiles being made: written from settings, taken over from files, or from what a kind finds on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from .. import config, paths, schema, target
from ..config import Table
from ..errors import ConfigError, NotFoundError
from ..schema import Field
from . import profiles

SCHEMA = "profile.schema.json"
"""The JSON schema written beside profiles; an editor finds it by the profile's first line."""
_SCHEMA_LINE = "#:schema"


class Candidate(Struct, frozen=True, kw_only=True):
    """A profile that can be imported: its text, and what stands against it."""

    name: str
    kind: str | None
    text: str
    """The TOML that would be written."""
    origin: Path | None = None
    """The file it comes from, None where it was found by its kind."""
    error: ConfigError | None = None

    @property
    def summary(self) -> str:
        """What it sets, on one line."""
        lines = [line.strip() for line in self.text.splitlines()]
        return "  ".join(line for line in lines if line and not line.startswith(("#", "[", "kind =")))


def folder(cwd: Path, *, project: bool) -> Path:
    """Where new profiles go: the user's own folder, or the working directory's `.jupyterctl`."""
    return cwd / config.PROJECT if project else paths.profiles()


def document() -> bytes:
    """The JSON schema of profiles of every kind there is."""
    kinds = {kind: target.load(kind).Settings for kind in target.kinds()}
    return msgspec.json.format(msgspec.json.encode(schema.document(kinds)), indent=2) + b"\n"


def new(name: str, kind: str, settings: Table, into: Path, *, replace: bool = False) -> Path:
    """Write a profile with every setting explained; returns its file.

    ConfigError where the name or a setting cannot be, or where the file is there and is not to be replaced.
    """
    known = target.load(kind).Settings
    config.validate(config.Raw(name=config.check_name(name), data=settings), kind, known)
    return _write(name, template(kind, settings, schema.fields(known)), into, replace=replace)


def template(kind: str, settings: Table, fields: list[Field]) -> str:
    """The text of a profile: what is set, and what is not as a comment that shows its default."""
    from textwrap import wrap

    lines = ["# Behind # stand defaults, or examples where nothing is the default.", f"kind = {schema.inline(kind)}"]
    table = ""
    for field in fields:
        if field.table != table:
            table = field.table
            lines += ["", f"[{table}]"]
        lines += ["", *wrap(field.help, 100, initial_indent="# ", subsequent_indent="# ")]
        lines += [_assignment(field, settings)]
    return "\n".join(lines) + "\n"


def candidates(source: str, cwd: Path) -> list[Candidate]:
    """What an import would bring: a TOML file, the ones in a folder, or what a kind finds on this machine.

    NotFoundError where the source is none of these.
    """
    if source in target.kinds():
        return [_found(source, name, settings) for name, settings in target.load(source).candidates()]
    place = cwd / Path(source).expanduser()
    if place.is_dir():
        return [_copied(file) for file in sorted(place.glob("*.toml"))]
    if place.exists():
        return [_copied(place)]
    hint = f"give a TOML file, a folder of them, or a kind: {', '.join(target.kinds())}"
    raise NotFoundError(f"there is nothing to import at `{source}`", hint)


def take(candidate: Candidate, into: Path, *, replace: bool = False) -> Path:
    """Write an import's profile; returns its file. Raises what stands against it."""
    if candidate.error is not None:
        raise candidate.error
    return _write(candidate.name, candidate.text, into, replace=replace)


def _write(name: str, text: str, into: Path, *, replace: bool) -> Path:
    file = into / f"{name}.toml"
    if file.exists() and not replace:
        raise ConfigError(
            f"profile `{name}` is there already: `{file}`", "take another name, or add --yes to replace it"
        )
    _refresh(into / SCHEMA)
    config.write(file, f"{_SCHEMA_LINE} ./{SCHEMA}\n{text}")
    return file


def _refresh(file: Path) -> None:
    """Write the schema where it is missing or of other kinds than there are now."""
    text = document().decode()
    if not file.exists() or file.read_text() != text:
        config.write(file, text)


def _copied(file: Path) -> Candidate:
    """A file as it is, but for its schema line: that named a file which stands elsewhere."""
    name = file.name.removesuffix(".toml")
    raw = config.Raw(name=name, files=(file,))
    try:
        raw = config.merge(name, [file])
        kept = file.read_text(encoding="utf-8-sig").splitlines()
    except ConfigError as error:
        return Candidate(name=name, kind=None, text="", origin=file, error=error)
    text = "\n".join(line for line in kept if not line.startswith(_SCHEMA_LINE)) + "\n"
    kind = raw.data.get("kind")
    return Candidate(name=name, kind=kind if isinstance(kind, str) else None, text=text, origin=file, error=_fault(raw))


def _found(kind: str, name: str, settings: Mapping[str, object]) -> Candidate:
    raw = config.Raw(name=name, data={"kind": kind, **settings})
    text = template(kind, dict(settings), schema.fields(target.load(kind).Settings))
    return Candidate(name=name, kind=kind, text=text, error=_fault(raw))


def _fault(raw: config.Raw) -> ConfigError | None:
    try:
        profiles.build(raw)
    except ConfigError as error:
        return error
    return None


def _assignment(field: Field, settings: Table) -> str:
    """The line that sets a field, a comment with its default or an example where it is not set."""
    value = schema.at(settings, field.key)
    if value is not None:
        return f"{field.name} = {schema.inline(value)}"
    shown = field.default if field.default is not None else next(iter(field.examples), "")
    return f"# {field.name} = {schema.inline(shown)}"
