"""The table that a benchmark of the link ends with: a row a measure, a column a kind, each cell with its target."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """What a figure must at least, or at most, be."""

    sign: str
    figure: float

    def met(self, value: float) -> bool:
        """Whether it is.

        >>> Target("<=", 3.0).met(2.9), Target(">=", 0.6).met(0.5)
        (True, False)
        """
        return value <= self.figure if self.sign == "<=" else value >= self.figure


class Table:
    """Filled as the measures are taken, each told on a line of its own; printed when all are."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], str] = {}

    def put(self, measure: str, kind: str, text: str, *judged: tuple[float, Target], detail: str = "") -> None:
        """A cell, with the targets that its values are judged by."""
        verdicts = [f"{target.sign} {target.figure:g} {_word(value, target)}" for value, target in judged]
        said = ", ".join([text, *verdicts])
        self._cells[measure, kind] = said
        print(f"{measure:42} {kind:10} {said}{'  ' * bool(detail)}{detail}", flush=True)

    def show(self) -> None:
        """Print all of it."""
        kinds = list(dict.fromkeys(kind for _, kind in self._cells))
        measures = list(dict.fromkeys(measure for measure, _ in self._cells))
        print("\n| measure | " + " | ".join(kinds) + " |")
        print("| --- " * (len(kinds) + 1) + "|")
        for measure in measures:
            print(f"| {measure} | " + " | ".join(self._cells.get((measure, kind), "") for kind in kinds) + " |")


def _word(value: float, target: Target) -> str:
    return "met" if target.met(value) else "NOT MET"
