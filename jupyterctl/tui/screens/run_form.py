"""A run as a form: the notebook, where to run it, and a field for each parameter that the notebook declares."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from ...core import checking
from ...core.given import given
from ...core.parameters import Declared
from ...core.plain import printable
from ...errors import JupyterctlError, ParameterError
from ...model import RunOptions, duration
from .. import offers
from ..widgets.form import FormRow
from .browse import Browse
from .form import Form

if TYPE_CHECKING:
    from ...core.inspection import Inspection
    from ...core.parameters import Parameter
    from ...core.session import Session
    from ...model import Run

PREFIX = "parameter "
"""Before a parameter's name in its row's key, so that none can be taken for a field of ours."""


class RunForm(Form):
    """Runs a notebook."""

    verb = "Run"
    title_text = "New run"
    BINDINGS: ClassVar[list[Any]] = [Binding("f2", "browse", "browse", show=False)]

    def __init__(self, notebook: str = "") -> None:
        super().__init__()
        self.notebook = notebook
        self.inspected: Inspection | None = None
        self._showing = asyncio.Lock()
        """Held while the fields of one notebook are replaced by those of another."""

    def rows(self) -> Iterable[Widget]:
        """What every run has; the notebook's own parameters come once it is known."""
        yield FormRow(
            "notebook", value=self.notebook, help="f2 looks for one", placeholder="analysis.ipynb", read=_needed
        )
        yield Static("Parameters", classes="section", id="parameters")
        yield Static("Options", classes="section")
        yield FormRow("target", kind="choice", placeholder="here", help="Where to run it")
        yield FormRow(
            "output", help="Where the result goes; left out, it is kept with the run", placeholder="out.ipynb"
        )
        yield FormRow("timeout", help="Longest time it may take", placeholder="8h", read=_time)

    def on_mount(self) -> None:
        """Offer what is found, and ask for a notebook where none is given."""
        super().on_mount()
        self.row("notebook").query_one(Input).focus()
        self.gather(self._load())

    async def _load(self) -> None:
        targets, found = await self.board.sessions.ask(_known)
        await self.row("target").offer(targets)
        await self.row("notebook").offer(found)
        if self.notebook:
            await self._inspect(self.notebook)

    def action_browse(self) -> None:
        """Look for a notebook."""
        typed = Path(self.row("notebook").text or ".").expanduser()
        folder = typed if typed.is_dir() else typed.parent

        def take(path: Path | None) -> None:
            if path is not None:
                self.row("notebook").text = str(path)

        self.app.push_screen(Browse(folder.absolute()), take)

    @on(FormRow.Changed)
    async def _look(self) -> None:
        typed = self.row("notebook").text.strip()
        if typed != self.notebook and typed.endswith(".ipynb"):
            self.notebook = typed
            self.gather(self._inspect(typed))

    async def _inspect(self, typed: str) -> None:
        """Read the notebook, and make a field for each parameter."""
        try:
            found = await self.board.sessions.ask(lambda session: session.inspect(Path(typed).expanduser()))
        except JupyterctlError as error:
            self.inspected = None
            await self._show([], error.message)
            return
        if typed == self.notebook:
            self.inspected = found
            none = "none: no cell is tagged `parameters`" if not found.tagged else "none"
            await self._show([_row(one) for one in found.parameters], "" if found.parameters else none)

    async def _show(self, rows: list[FormRow], message: str) -> None:
        async with self._showing:
            await self.query(FormRow).filter(".parameter").remove()
            await self._mount(rows, message)

    async def _mount(self, rows: list[FormRow], message: str) -> None:
        heading = self.query_one("#parameters", Static)
        heading.update(Content(self.board.glyphs.draw(f"Parameters  {printable(message)}")))
        await self.query_one("#rows").mount(*rows, after=heading)
        self.refresh_command()

    def typed(self) -> list[tuple[str, str]]:
        """The parameters that were given a value, as `-p` takes them."""
        rows = (row for row in self.query(FormRow) if row.key.startswith(PREFIX))
        return [(row.key.removeprefix(PREFIX), row.text) for row in rows if row.text.strip()]

    def command(self) -> str:
        """`run` with the flags for what was filled in."""
        values = self.values()
        parts = ["jupyterctl", "run", values.get("notebook") or "NOTEBOOK"]
        for flag, key in (("-t", "target"), ("-o", "output"), ("--timeout", "timeout")):
            parts += [flag, values[key]] if values.get(key) else []
        for name, text in self.typed():
            parts += ["-p", name, text]
        return shlex.join(parts)

    async def submit(self) -> None:
        """Prepare the run, start it, and go to it."""
        values, typed = self.values(), self.typed()

        def run(session: Session) -> tuple[Run, tuple[str, ...]]:
            prepared = session.prepare(
                Path(values["notebook"]).expanduser(),
                values.get("target", ""),
                given=session.given(typed, (), (), ()),
                secrets={},
                output=values["output"] or None,
                options=RunOptions(timeout=_time(values["timeout"])),
            )
            return session.submit(session.create_run(prepared)), prepared.notices

        made, notices = await self.board.sessions.ask(run)
        for notice in notices:
            self.board.say(notice, severity="warning")
        self.board.say(f"`{made.id}` runs")
        await self.dismiss()
        self.board.go_to_run(made.id)


def _known(session: Session) -> tuple[list[str], list[str]]:
    return offers.targets(session), offers.notebooks(session)


def _row(parameter: Parameter) -> FormRow:
    kind = parameter.type or "any"
    default = "" if parameter.default is None else parameter.default
    about = f"{kind}: {parameter.help}" if parameter.help else kind
    return FormRow(
        f"{PREFIX}{parameter.name}",
        label=parameter.name,
        placeholder=default,
        help=about,
        read=lambda text: _typed(parameter, text),
        classes="parameter",
    )


def _typed(parameter: Parameter, text: str) -> object:
    """What the text stands for; ValueError where it does not fit the declared type."""
    if not text.strip():
        if parameter.required:
            raise ValueError(f"the notebook needs a value ({parameter.type or 'any'})")
        return None
    try:
        declared = Declared(parameters=(parameter,), cell=parameter.cell)
        return checking.check(declared, given([(parameter.name, text)]))
    except ParameterError as error:
        raise ValueError(error.message) from error


def _needed(text: str) -> str:
    if not text.strip():
        raise ValueError("which notebook? f2 looks for one")
    return text


def _time(text: str) -> float | None:
    return duration(text.strip()) if text.strip() else None
