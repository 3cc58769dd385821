"""What a person has chosen for the dashboard: keys in `keys.toml`, theme and glyphs in `dashboard.toml`.

Both stand in the configuration folder and neither need be there. A file that cannot be read changes nothing; what is
wrong with it is said once, when the dashboard opens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from .. import paths

THEME = "jupyter-dark"


class Preferences(Struct, frozen=True, kw_only=True):
    """All that was chosen, and what could not be understood of it."""

    theme: str = THEME
    glyphs: str = "auto"
    """`auto`, `unicode` or `ascii`."""
    keys: dict[str, str] = {}
    """Action, as `servers.start`, to its keys: `s` or `s,f5`."""
    problems: tuple[str, ...] = ()


def load(known: set[str]) -> Preferences:
    """Read both files; `known` are the names of all actions."""
    problems: list[str] = []
    chosen = _read(paths.config() / "dashboard.toml", dict[str, str], problems)
    keys = _read(paths.config() / "keys.toml", dict[str, str], problems)
    problems += [f"keys.toml: there is no action `{name}`" for name in keys if name not in known]
    return Preferences(
        theme=chosen.get("theme", THEME),
        glyphs=chosen.get("glyphs", "auto"),
        keys={name: key for name, key in keys.items() if name in known},
        problems=tuple(problems),
    )


def keep_theme(theme: str) -> None:
    """Remember a theme for the next time."""
    import tomli_w

    file = paths.config() / "dashboard.toml"
    chosen = _read(file, dict[str, str], [])
    paths.private(file.parent)
    paths.write(file, tomli_w.dumps({**chosen, "theme": theme}).encode())


def _read(file: Path, of: Any, problems: list[str]) -> Any:
    if not file.exists():
        return {}
    import tomllib

    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), of)
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        problems.append(f"{file.name}: {error}")
        return {}
