"""Quick commands against a Python that does next to nothing."""

from __future__ import annotations

import sys

from .timing import JUPYTERCTL, ground, machine, pairs_asked

PROFILES = 50


def main(pairs: int | None = None) -> None:
    """`--version` against an empty Python, `status` of many profiles against importing click alone."""
    with ground() as at:
        folder = at.folder / "home/config/profiles"
        folder.mkdir(parents=True)
        for number in range(PROFILES):
            (folder / f"place-{number}.toml").write_text('kind = "local"\nenvironment = "auto"\n')
        at.compare(
            "--version", [JUPYTERCTL, "--version"], [sys.executable, "-c", "pass"], target=1.5, pairs=pairs or 25
        )
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
