"""`jupyterctl run --target docker` against `docker run … papermill` of the same image and notebook.

JUPYTERCTL_TEST_IMAGE is the image. By hand the notebook's folder is mounted, for that is how its result comes back; the
image's entrypoint does nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .run import cells
from .timing import JUPYTERCTL, Ground, ground, machine, pairs_asked

IMAGE = os.environ.get("JUPYTERCTL_TEST_IMAGE", "")
TARGET = 1.10
SIZES = ((1, 7), (50, 5))
"""Cells, pairs."""
OWNER = f"bench-{os.getpid()}"


def describe(at: Ground) -> None:
    """A profile of the image."""
    file = Path(at.environment["JUPYTERCTL_HOME"]) / "config/profiles/there.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'kind = "docker"\nimage = "{IMAGE}"\npull = "never"\nowner = "{OWNER}"\n')


def by_hand(at: Ground, name: str) -> list[str]:
    """What people type."""
    mounted = ["-v", f"{at.folder}:/work", "-w", "/work"]
    return ["docker", "run", "--rm", *mounted, IMAGE, "papermill", name, "theirs.ipynb", "--no-progress-bar"]


def main(pairs: int | None = None) -> None:
    """Few cells and many."""
    if not IMAGE or subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        sys.exit("JUPYTERCTL_TEST_IMAGE names no image of the engine")
    with ground() as at:
        describe(at)
        try:
            for number, usual in SIZES:
                name = f"{number}.ipynb"
                cells(at.folder / name, number)
                at.compare(
                    f"run in a container, {number} cell{'s' if number > 1 else ''}",
                    [JUPYTERCTL, "run", name, "-t", "there", "-o", "ours.ipynb"],
                    by_hand(at, name),
                    target=TARGET,
                    pairs=pairs or usual,
                )
        finally:
            left = ["docker", "ps", "-aq", "--filter", f"label=jupyterctl/owner={OWNER}"]
            found = subprocess.run(left, capture_output=True, text=True, check=True).stdout.split()
            subprocess.run(["docker", "rm", "-f", *found], capture_output=True, check=False)


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
