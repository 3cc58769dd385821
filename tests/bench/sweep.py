"""A sweep of small notebooks, two at a time, against papermill in a shell loop."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from tests.conftest import notebook

from .run import KERNELSPEC, need_jupyterlab
from .timing import JUPYTERCTL, PAPERMILL, QUICK, ground, machine, pairs_asked

POINTS = 24
LOOP = f"for n in $(seq {{points}}); do {quote(PAPERMILL)} small.ipynb theirs-$n.ipynb -p n $n --no-progress-bar; done"


def small(path: Path) -> Path:
    """A notebook with one parameter."""
    return notebook(path, "# parameters\nn = 0", "print(n ** 2)", kernelspec=KERNELSPEC)


def main(pairs: int | None = None) -> None:
    """`run --sweep --jobs 2` against a loop."""
    need_jupyterlab()
    points = 2 if pairs == QUICK else POINTS
    values = ",".join(str(number + 1) for number in range(points))
    with ground() as at:
        small(at.folder / "small.ipynb")
        at.compare(
            f"sweep of {points}, --jobs 2",
            [JUPYTERCTL, "run", "small.ipynb", "--sweep", f"n={values}", "--jobs", "2", "-o", "ours-{n}.ipynb"],
            ["sh", "-ec", LOOP.format(points=points)],
            target=0.55,
            pairs=pairs or 3,
            warm=False,  # each is many runs
        )


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
