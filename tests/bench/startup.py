"""Quick commands against a Python that does next to nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from .timing import JUPYTERCTL, Ground, ground, machine, pairs_asked

PROFILES = 50
WRAPPER = """\
import sys
from jupyterctl.__main__ import main
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(main())
"""
"""The command as today's pip writes it. That of an older pip imports `re`: half of an empty Python's time again."""


def wrapper(at: Ground) -> list[str]:
    """The command, as installed by today's pip; named by its Python, whose path may have a space."""
    file = at.folder / "jupyterctl"
    file.write_text(WRAPPER)
    return [sys.executable, str(file)]


def main(pairs: int | None = None) -> None:
    """`--version` against an empty Python, `status` of many profiles against importing click alone."""
    with ground() as at:
        folder = at.folder / "home/config/profiles"
        folder.mkdir(parents=True)
        for number in range(PROFILES):
            (folder / f"place-{number}.toml").write_text('kind = "local"\nenvironment = "auto"\n')
        empty = [sys.executable, "-c", "pass"]
        at.compare("--version", [*wrapper(at), "--version"], empty, target=1.5, pairs=pairs or 25)
        if "import re\n" in Path(JUPYTERCTL).read_text():
            at.compare("--version, an older pip's", [JUPYTERCTL, "--version"], empty, target=1.5, pairs=pairs or 25)
        at.compare(
            f"status --json, {PROFILES} profiles",
            [JUPYTERCTL, "status", "--json"],
            [sys.executable, "-c", "import click"],
            target=3.0,
            pairs=pairs or 25,
        )


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
