"""How checks are shown, each as it comes: a glyph, a word, what was seen, and the fix where one is needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..core.plain import printable
from ..model import CheckState
from . import output

if TYPE_CHECKING:
    from ..core.doctor import Finding

_GLYPHS = {CheckState.OK: "✓", CheckState.WARN: "⚠", CheckState.FAIL: "✗", CheckState.SKIP: "-"}


def show(findings: Iterable[Finding], *, as_json: bool) -> int:
    """Write findings and return the exit code: 3 where one failed."""
    seen: list[Finding] = []
    for finding in findings:
        seen.append(finding)
        if not as_json:
            _line(finding)
    if as_json:
        output.document({"checks": seen})
    return 3 if any(finding.state is CheckState.FAIL for finding in seen) else 0


def _line(finding: Finding) -> None:
    subject = f"{finding.name} {finding.target}" if finding.name == "profile" and finding.target else finding.name
    output.line(f"{_GLYPHS[finding.state]} {finding.state:<4}  {subject:<12}  {printable(finding.detail)}".rstrip())
    if finding.fix:
        output.line(f"{'':<22}{printable(finding.fix)}")
