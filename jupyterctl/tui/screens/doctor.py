"""Mode Doctor: what was looked at, what is not well, and what to do about it; each finding as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.worker import Worker

from ...errors import JupyterctlError
from ...model import CheckState
from .. import actions
from ..glyphs import CHECKS, Cell
from ..widgets.facts import Facts
from ..widgets.table import Column, Table
from .listing import Listing

if TYPE_CHECKING:
    from ...core.doctor import Finding

COLUMNS = (Column("CHECK", 14), Column("STATE", 8), Column("TARGET", 12, 1, 1), Column("DETAIL", 20, 6))


class Doctor(Listing):
    """The findings."""

    mode = "doctor"
    BINDINGS: ClassVar[list[Any]] = actions.bindings("doctor")
    empty = "nothing was found to look at"

    def __init__(self) -> None:
        super().__init__()
        self.findings: dict[str, Finding] | None = None
        self.only_problems = False
        self.trouble = ""
        self._of: str | None = "?"
        self._looking: Worker[Any] | None = None

    def table(self) -> Table:
        """Check, state, detail."""
        return Table(COLUMNS, self._row, self.board.glyphs, id="table")

    def pane(self) -> Iterable[Widget]:
        """The finding in full, with its fix."""
        with VerticalScroll(classes="pane"):
            yield Facts(self.board.glyphs, id="finding")

    def items(self) -> Mapping[str, Finding] | None:
        """What was found so far."""
        return self.findings

    def arranged(self, items: Mapping[str, Finding]) -> Iterable[str]:
        """In the order looked at; problems alone where that is wanted."""
        well = {CheckState.OK, CheckState.SKIP}
        return [key for key, one in items.items() if not (self.only_problems and one.state in well)]

    def texts(self) -> Mapping[str, str]:
        """Everything a finding says."""
        found = (self.findings or {}).items()
        return {key: f"{one.name} {one.state} {one.target} {one.detail} {one.fix}".casefold() for key, one in found}

    def subject(self) -> str:
        """The target looked at."""
        return self.board.examined or ""

    def _row(self, finding: Finding) -> list[Cell | str]:
        glyph = CHECKS[finding.state]
        state = Cell(f"{glyph.text} {finding.state}", glyph.tone)
        return [Cell(finding.name, "strong"), state, Cell(finding.target or "", "dim"), finding.detail]

    def news(self) -> None:
        """Look, where nobody has yet or something else is wanted."""
        if self._of != self.board.examined:
            self._of = self.board.examined
            self.do_again()
        super().news()
        known = list((self.findings or {}).values())
        counts = [f"{CHECKS[state].text} {sum(one.state is state for one in known)}" for state in CheckState]
        self.count(f"{self._of or 'everything'}   {'   '.join(counts[:3])}")
        self.moved()

    def moved(self) -> None:
        """The finding under the cursor, in full."""
        one: Finding | None = self.rows.item
        if one is None:
            return
        glyph = CHECKS[one.state]
        self.query_one(Facts).show(
            ("check", Cell(one.name, "strong")),
            ("state", Cell(f"{glyph.text} {one.state}", glyph.tone)),
            ("target", one.target or ""),
            ("detail", one.detail),
            ("fix", Cell(one.fix, "warn")),
        )

    async def _look(self, name: str | None) -> None:
        found: dict[str, Finding] = {}
        self.findings = None
        self.trouble = ""
        try:
            async for batch in self.board.sessions.stream(lambda session: session.doctor(name)):
                for finding in batch:
                    found[str(len(found))] = finding
                self.findings = dict(found)
                self.news()
            self.findings = found
        except JupyterctlError as error:
            self.findings, self.trouble = {}, f"{error.message}\n{error.hint}".strip()
        self.news()

    def problem(self) -> str:
        """Why nothing can be looked at."""
        return self.trouble

    # -- what can be done ------------------------------------------------------------------------------------------

    def why_not(self, name: str) -> str:
        """Only a check with a fix has one to copy."""
        if name == "copy" and not (self.rows.item and self.rows.item.fix):
            return "there is nothing to mend here"
        return ""

    def do_again(self) -> None:
        """Look at everything again."""
        if self._looking is not None:
            self._looking.cancel()
        self._looking = self.board.background(self._look(self.board.examined))

    def do_copy(self) -> None:
        """Put the fix into the clipboard."""
        self.app.copy_to_clipboard(self.rows.item.fix)
        self.board.say("copied")

    def do_problems(self) -> None:
        """Only what is not well, or everything."""
        self.only_problems = not self.only_problems
        self.news()
