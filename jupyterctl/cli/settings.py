"""A kind's settings struct as flags and as questions: `profile new` has no list of its own of what can be set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import click
from msgspec import inspect

from .. import schema, target
from ..schema import Field
from . import ask, diagnostics

_PREFIX = "setting_"


class KindCommand(click.Command):
    """A command that has, once `--kind` is given, one more flag for each of the kind's settings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for `--kind` before all else: what the other flags are depends on it."""
        kind = _given_kind(args)
        if kind is not None and not (ctx.resilient_parsing and kind not in target.kinds()):
            ctx.meta[_PREFIX] = fields(kind)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if kind is not None:
                raise
            raise click.NoSuchOption(
                error.option_name, f"{error.message} The flags of a kind's settings come with --kind.", ctx=ctx
            ) from error

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own, then the kind's."""
        own = super().get_params(ctx)
        taken = {name for param in own for name in param.opts}
        help_ = own[-1:] if own and own[-1].name == "help" else []
        kinds = [option(field, taken) for field in ctx.meta.get(_PREFIX, ())]
        return [*own[: len(own) - len(help_)], *kinds, *help_]


def fields(kind: str) -> list[Field]:
    """Every setting of a kind; ConfigError where there is no such kind."""
    return schema.fields(target.load(kind).Settings)


def option(field: Field, taken: set[str]) -> click.Option:
    """The flag that sets a field; one whose name the command has itself is called `--set-NAME`."""
    flag = f"--set-{field.flag.removeprefix('--')}" if field.flag in taken else field.flag
    switch = isinstance(field.type, inspect.BoolType)
    choices = [str(choice) for choice in schema.choices(field.type)]
    shown = "" if field.default in (None, (), [], {}) or switch else f"  [default: {field.default}]"
    return click.Option(
        [f"{flag}/--no-{flag.removeprefix('--')}" if switch else flag, _dest(field)],
        default=None,
        multiple=schema.many(field),
        type=click.BOOL if switch else click.Choice(choices) if choices else click.STRING,
        metavar=None if switch or choices else _metavar(field),
        help=f"{field.help}{shown}",
        callback=_reader(field),
    )


def given(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """The settings given as flags, by dotted key, out of a command's parameters."""
    of = {_dest(field): field.key for field in fields(kind)}
    return {of[name]: value for name, value in values.items() if name in of and value is not None}


def questions(kind: str, answered: dict[str, Any]) -> dict[str, Any]:
    """Ask for every setting not answered yet, a table's only if the person wants to; defaults are left out."""
    answers = dict(answered)
    for table, members in groupby(fields(kind), key=lambda field: field.table):
        left = [field for field in members if field.key not in answered]
        optional = table and not any(field.required for field in left)
        if optional and not (left and click.confirm(f"Set up [{table}] too?", default=False, err=True)):
            continue
        answers |= {field.key: value for field in left if (value := _ask(field)) is not None}
    return answers


def _given_kind(args: Sequence[str]) -> str | None:
    for index, arg in enumerate(args):
        if arg == "--":
            return None
        if arg in {"--kind", "-k"}:
            return args[index + 1] if index + 1 < len(args) else None
        if arg.startswith("--kind="):
            return arg.removeprefix("--kind=")
    return None


def _dest(field: Field) -> str:
    return _PREFIX + field.key.replace(".", "__")


def _metavar(field: Field) -> str:
    if isinstance(field.type, inspect.DictType):
        return "NAME=VALUE"
    if isinstance(field.type, inspect.IntType | inspect.FloatType):
        return "NUMBER"
    return "TEXT"


def _reader(field: Field) -> Any:
    """The callback that turns a flag's text into the setting's value."""

    def read(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if value is None or value == ():
            return None
        try:
            return value if isinstance(value, bool) else schema.parse(field, value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}", ctx, param) from error

    return read


def _ask(field: Field) -> Any:
    """One setting's answer, None for its default."""
    diagnostics.info(f"\n{field.help}")
    if isinstance(field.type, inspect.BoolType):
        value: Any = click.confirm(field.key, default=bool(field.default), err=True)
    elif schema.many(field):
        form = "NAME=VALUE, " if isinstance(field.type, inspect.DictType) else ""
        value = _read(field, ask.lines(f"{field.key} ({form}one a line, an empty one ends)"))
    else:
        default = None if field.required else "" if field.default is None else str(field.default)
        value = ask.text(_question(field), lambda answer: schema.parse(field, answer) if answer else None, default)
    return None if value in (field.default, [], {}) else value


def _question(field: Field) -> str:
    choices = "|".join(str(choice) for choice in schema.choices(field.type))
    return f"{field.key} ({choices})" if choices else field.key


def _read(field: Field, answers: list[str]) -> Any:
    try:
        return schema.parse(field, answers)
    except ValueError as error:
        raise click.UsageError(f"{field.key}: {error}") from error
