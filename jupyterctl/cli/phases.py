"""How the steps of a start are shown: each in a line of its own once it is done, and before that what is waited for."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.plain import printable
from ..model import Phase, PhaseState
from . import diagnostics

_GLYPHS = {PhaseState.DONE: ("✓", "green"), PhaseState.FAILED: ("✗", "red"), PhaseState.DOING: ("◐", "cyan")}


def show(phases: Iterable[Phase], *, quiet: bool = False) -> list[Phase]:
    """Show the steps as they come, with their times; all that ended."""
    ended = []
    for phase in phases:
        if phase.state is PhaseState.DOING:
            if not quiet:
                diagnostics.transient(_line(phase))
            continue
        ended.append(phase)
        if phase.hint:
            diagnostics.warning(printable(phase.detail), printable(phase.hint))
        elif not quiet:
            diagnostics.info(_line(phase))
    return ended


def _line(phase: Phase) -> str:
    glyph, colour = _GLYPHS[phase.state]
    took = "" if phase.state is PhaseState.DOING else f"{phase.seconds:.1f} s"
    return f"{diagnostics.paint(glyph, colour)} {phase.name:<12}{took:>7}  {printable(phase.detail)}".rstrip()
