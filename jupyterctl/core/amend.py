"""Changing settings in a profile's file, line by line, so that what its owner wrote around them stays.

A file whose lines are not as plain as that (values over several lines, dotted or quoted keys) is written anew, with
every setting explained; either way what is written is read back and is what was asked for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import config, schema, target
from . import authoring, profiles


def change(name: str, changes: Mapping[str, Any], cwd: Path) -> Path:
    """Set settings, by dotted key, in the nearest of a profile's files; None takes one out.

    Returns the file. ConfigError where the profile would not be valid, and nothing is written.
    """
    raw = config.merge(name, config.files(name, cwd))
    file = raw.files[0]
    text = file.read_text(encoding="utf-8-sig")
    wanted = _changed(tomllib.loads(text), changes)
    for key, value in changes.items():
        text = _set(text, key, value)
    kind = profiles.build(raw).kind
    known = target.load(kind).Settings
    settings = {key: value for key, value in wanted.items() if key != "kind"}
    config.validate(config.Raw(name=name, data=_changed(_without_kind(raw.data), changes)), kind, known)
    if _read(text) != wanted:
        text = authoring.template(kind, settings, schema.fields(known))
    config.write(file, text)
    return file


def _without_kind(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "kind"}


def _changed(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The data with the changes made; empty tables are kept as they are."""
    made = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    for key, value in changes.items():
        *path, last = key.split(".")
        table: dict[str, Any] = made
        for part in path:
            table = table.setdefault(part, {})
        if value is None:
            table.pop(last, None)
        else:
            table[last] = value
    return made


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _set(text: str, key: str, value: Any) -> str:
    r"""Put one assignment in its table: over the one there is, else over the comment that shows it, else at the end.

    >>> _set("kind = 'x'\n# port = 0\n", "port", 80)
    "kind = 'x'\nport = 80\n"
    """
    table, _, name = key.rpartition(".")
    lines = text.splitlines()
    start, end = _section(lines, table)
    assignment = [] if value is None else [f"{name} = {schema.inline(value)}"]
    for pattern in (rf"\s*{re.escape(name)}\s*=", rf"#\s*{re.escape(name)}\s*="):
        at = next((number for number in range(start, end) if re.match(pattern, lines[number])), None)
        if at is not None and (value is not None or not pattern.startswith("#")):
            lines[at : at + 1] = assignment
            return "\n".join(lines) + "\n"
    if assignment and start > len(lines):
        lines += ["", f"[{table}]"]
        end = len(lines)
    lines[end:end] = assignment
    return "\n".join(lines) + "\n"


def _section(lines: list[str], table: str) -> tuple[int, int]:
    """The lines of a table, from the one after its heading to the next heading; beyond the end where it is missing."""
    heads = [(number, line.strip()) for number, line in enumerate(lines) if re.match(r"\s*\[", line)]
    if not table:
        return 0, heads[0][0] if heads else len(lines)
    for place, (number, line) in enumerate(heads):
        if line.partition("#")[0].strip() == f"[{table}]":
            return number + 1, heads[place + 1][0] if place + 1 < len(heads) else len(lines)
    return len(lines) + 1, len(lines) + 1
