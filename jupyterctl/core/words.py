"""How states, times and sizes are put into words for people."""

from __future__ import annotations

from datetime import UTC, datetime

from ..model import Outline, RunState

GLYPHS = {
    RunState.QUEUED: "◷",
    RunState.SUBMITTED: "◐",
    RunState.RUNNING: "●",
    RunState.SUCCEEDED: "✓",
    RunState.FAILED: "✗",
    RunState.CANCELLED: "○",
    RunState.TIMED_OUT: "✗",
    RunState.KERNEL_DIED: "✗",
    RunState.LOST: "✗",
    RunState.UNKNOWN: "⚠",
}
SAID = {RunState.TIMED_OUT: "timed out", RunState.KERNEL_DIED: "the kernel died"}
"""States whose name does not make a sentence."""
_STEPS = ((86400, "d"), (3600, "h"), (60, "m"))


def seconds(value: float | None) -> str:
    """A length of time: `0.2 s`, `1 m 05 s`, `2 h 10 m`.

    >>> seconds(0.234), seconds(65), seconds(7800), seconds(None)
    ('0.2 s', '1 m 05 s', '2 h 10 m', '')
    """
    if value is None:
        return ""
    if value < 60:  # noqa: PLR2004
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} m {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m"


def size(value: float) -> str:
    """A size in bytes: `512 B`, `2.1 KiB`.

    >>> size(512), size(2150), size(3 * 1024**3)
    ('512 B', '2.1 KiB', '3.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":  # noqa: PLR2004
            break
        value /= 1024
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def since(moment: str | None) -> float | None:
    """Seconds that have passed since a moment."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() if moment else None


def ago(moment: str | None) -> str:
    """How long ago a moment was: `3 m ago`."""
    if not moment:
        return ""
    past = since(moment) or 0.0
    for unit_seconds, unit in _STEPS:
        if past >= unit_seconds:
            return f"{past // unit_seconds:.0f} {unit} ago"
    return "just now"


def state(run: Outline) -> str:
    """Glyph and word of a run's state."""
    word = "succeeded early" if run.early and run.state is RunState.SUCCEEDED else run.state.value
    return f"{GLYPHS[run.state]} {word}"


def outcome(run: Outline) -> str:
    """The last line about a run, in words."""
    took = f" after {seconds(run.seconds)}" if run.seconds is not None else ""
    if run.state is RunState.SUCCEEDED and run.early:
        return f"succeeded early{took}: a cell called sys.exit(), {run.cells.done} of {run.cells.total} cells ran"
    said = SAID.get(run.state, run.state.value)
    if run.state is RunState.SUCCEEDED:
        return f"{said}{took}, {counted(run.cells.done, 'cell')}"
    return f"{said}{took}: {failure(run)}" if run.error else f"{said}{took}"


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "cell"), counted(2, "cell")
    ('1 cell', '2 cells')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def failure(run: Outline) -> str:
    """What went wrong, on one line."""
    if run.error is None:
        return ""
    first = run.error.value.strip().partition("\n")[0]
    text = f"{run.error.name}: {first}" if run.error.cell is not None and run.state is RunState.FAILED else first
    return text or run.error.name


def parameters(run: Outline) -> str:
    """The run's parameters on one line."""
    return " ".join(f"{name}={value}" for name, value in run.parameters.items())
