"""A profile as a form: its fields are those of its kind's settings struct, whatever kind that is.

A profile that is there already is shown with the file of each value, and only what is changed is written, into the
nearest of its files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import inspect
from textual import on
from textual.widget import Widget
from textual.widgets import Static

from ... import schema
from ...core.plain import printable
from ...paths import tilde
from ...schema import Field
from .. import offers
from ..widgets.form import FormRow
from .form import Form

if TYPE_CHECKING:
    from ...core.profiles import Value
    from ...core.session import Session


class ProfileForm(Form):
    """Makes a profile, or changes the one of that name."""

    verb = "Save"

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.profile_name = name
        self.title_text = f"Profile {name}" if name else "New profile"
        self.kind = ""
        self.fields: list[Field] = []

    def rows(self) -> Iterable[Widget]:
        """The name and the kind; the kind's settings come once they are known."""
        if not self.profile_name:
            yield FormRow("name", help="How it is called: jupyterctl start NAME", placeholder="lab", read=_named)

    def on_mount(self) -> None:
        """Read what there is."""
        super().on_mount()
        self.gather(self._load())

    async def _load(self) -> None:
        name = self.profile_name
        kinds, values, found = await self.board.sessions.ask(lambda session: _known(session, name))
        self.kind = _text(values, "kind") or kinds[0]
        rows = self.query_one("#rows")
        if not name:
            help_ = "The way Jupyter is run there"
            await rows.mount(FormRow("kind", value=self.kind, choices=kinds, kind="choice", help=help_))
        await self._mount_fields(values, found)
        first = self.query("FormRow Input").first()
        first.focus()

    async def _mount_fields(self, values: list[Value], found: dict[str, list[str]]) -> None:
        self.fields = await self.board.sessions.ask(lambda session: session.settings(self.kind))
        rows, table = self.query_one("#rows"), ""
        for field in self.fields:
            if field.table != table:
                table = field.table
                await rows.mount(Static(f"[{table}]", classes="section", markup=False))
            await rows.mount(_row(field, values, found.get(field.name, [])))
        self.refresh_command()

    def given(self) -> dict[str, Any]:
        """What was filled in, by dotted key; what was not touched is left out."""
        rows = {row.key: row for row in self.query(FormRow)}
        return {
            field.key: _value(field, rows[field.key].text)
            for field in self.fields
            if field.key in rows and rows[field.key].changed and not rows[field.key].wrong()
        }

    def command(self) -> str:
        """`profile new` with a flag for each setting; `profile edit` for one that is there."""
        if self.profile_name:
            return f"jupyterctl profile edit {shlex.quote(self.profile_name)}"
        typed = self.values()
        parts = ["jupyterctl", "profile", "new", typed.get("name") or "NAME", "--kind", typed.get("kind", self.kind)]
        for field in self.fields:
            parts += _flags(field, self.given().get(field.key))
        return shlex.join([*parts, "--no-input"])

    @on(FormRow.Changed)
    async def _kind_changed(self) -> None:
        kind = self.values().get("kind", "")
        if kind and self.fields and kind != self.kind:
            self.kind = kind
            keep = {"name", "kind"}
            await self.query(".section").remove()
            for row in self.query(FormRow):
                if row.key not in keep:
                    await row.remove()
            await self._mount_fields([], {})

    async def submit(self) -> None:
        """Write the file, and go back."""
        name = self.profile_name or self.values()["name"].strip()
        given, kind = self.given(), self.kind
        if self.profile_name:
            file = await self.board.sessions.ask(lambda session: session.change_profile(name, given))
        else:
            file = await self.board.sessions.ask(lambda s: s.new_profile(name, kind, schema.nested(given)))
        self.board.say(f"wrote {tilde(file)}")
        self.board.wanted_server = name
        self.board.look_again.set()
        await self.dismiss()


def _known(session: Session, name: str) -> tuple[list[str], list[Value], dict[str, list[str]]]:
    """The kinds, the values of the profile there is, and what is offered for settings of some names."""
    values = session.profile_values(session.profile(name)) if name else []
    return session.kinds(), values, {key: find(session) for key, find in offers.FOUND.items()}


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError("a profile needs a name")
    return text


def _text(values: list[Value], key: str) -> str:
    """A setting's value as its row shows it; empty where it stands at its default."""
    value = next((value for value in values if value.key == key), None)
    if value is None or (value.file is None and key != "kind"):
        return ""
    import tomllib

    return _shown(tomllib.loads(f"v = {value.text}")["v"])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return str(value)


def _row(field: Field, values: list[Value], found: list[str]) -> FormRow:
    """The row of a setting: its help, what it may be, and the file its value comes from."""
    choices = [str(choice) for choice in schema.choices(field.type)]
    switch = isinstance(field.type, inspect.BoolType)
    kind = "choice" if choices else "switch" if switch else "lines" if schema.many(field) else "text"
    value = _text(values, field.key)
    if isinstance(field.type, inspect.DictType):
        prefix = f"{field.key}."
        entries = [one for one in values if one.key.startswith(prefix) and one.file]
        value = "\n".join(f"{one.key.removeprefix(prefix)}={_text(values, one.key)}" for one in entries)
    default = "" if field.default in (None, (), [], {}) else str(field.default)
    if switch and not value:
        value = default.lower()
    source = next((one.file for one in values if one.key == field.key), None)
    origin = _origin(source) if source else ""
    return FormRow(
        field.key,
        label=field.name,
        value=value,
        help=field.help + origin,
        placeholder=default or str(next(iter(field.examples), "")),
        choices=choices or found,
        kind=kind,
        read=lambda text: _value(field, text),
    )


def _origin(file: Path) -> str:
    """Where a value comes from."""
    return f"  (from {file})"


def _value(field: Field, text: str) -> Any:
    """What a row's text stands for, None for nothing; ValueError says what it must be."""
    if not text.strip():
        if field.required:
            raise ValueError("it is needed")
        return None
    return schema.parse(field, [line for line in text.splitlines() if line.strip()] if schema.many(field) else text)


def _flags(field: Field, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [field.flag if value else field.flag.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        return [part for name, item in value.items() for part in (field.flag, f"{name}={item}")]
    if isinstance(value, list | tuple):
        return [part for item in value for part in (field.flag, printable(str(item)))]
    return [field.flag, str(value)]
