"""One notebook against the papermill command, JupyterLab installed: few cells and many."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from tests.conftest import notebook

from .timing import JUPYTERCTL, PAPERMILL, QUICK, ground, machine, pairs_asked

KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
SIZES = ((1, 0.80, 7), (200, 1.00, 5))
"""Cells, target, pairs."""
QUICK_CELLS = 10


def cells(path: Path, number: int) -> Path:
    """A notebook of so many short cells, each with an output."""
    return notebook(path, *(f"x = {cell}\nprint(x)\nx ** 2" for cell in range(number)), kernelspec=KERNELSPEC)


def need_jupyterlab() -> None:
    """The comparison is with papermill as people have it, in an environment with JupyterLab."""
    if importlib.util.find_spec("jupyterlab") is None:
        sys.exit("JupyterLab is not installed here: pip install 'jupyterctl[test]'")


def main(pairs: int | None = None) -> None:
    """`jupyterctl run` against `papermill`."""
    need_jupyterlab()
    with ground() as at:
        for most, target, usual in SIZES:
            number = min(most, QUICK_CELLS) if pairs == QUICK else most
            name = f"{number}.ipynb"
            cells(at.folder / name, number)
            at.compare(
                f"run, {number} cell{'s' if number > 1 else ''}",
                [JUPYTERCTL, "run", name, "-o", "ours.ipynb"],
                [PAPERMILL, name, "theirs.ipynb", "--no-progress-bar"],
                target=target,
                pairs=pairs or usual,
            )


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
