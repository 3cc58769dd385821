"""`jupyterctl profile`: list, show, make, edit, remove, check and import profiles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.session import Session
from ..errors import ConfigError, NotFoundError, UsageError
from ..schema import nested
from . import ask, checks, diagnostics, output, settings
from .complete import complete_kind, complete_profile, complete_target

if TYPE_CHECKING:
    from ..core.authoring import Candidate

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
_project = click.option("--project", is_flag=True, help="Write to ./.jupyterctl instead of your own profiles.")
_yes = click.option("--yes", is_flag=True, help="Replace a profile without asking.")


@click.group()
def profile() -> None:
    """List, show, make, edit, remove and check profiles."""


@profile.command("list")
@_json
def list_(*, as_json: bool) -> None:
    """List every profile that holds in this folder, the broken ones with what is wrong."""
    entries = Session().profiles()
    if as_json:
        output.document({"profiles": [_record(entry.name, entry.kind, entry.file, entry.error) for entry in entries]})
        return
    if not entries:
        diagnostics.info("no profiles yet; `jupyterctl profile new NAME` makes one")
        return
    words = {True: "✓ valid", False: "✗ broken"}
    rows = [(one.name, one.kind or "?", words[one.error is None], str(one.file)) for one in entries]
    output.table(("name", "kind", "state", "file"), rows)
    for entry in entries:
        if entry.error:
            diagnostics.warning(entry.error.message, entry.error.hint)


@profile.command()
@click.argument("name", shell_complete=complete_target)
@_json
def show(*, name: str, as_json: bool) -> None:
    """Show every setting of NAME and the file it comes from."""
    session = Session()
    found = session.profile(name)
    if as_json:
        sources = {key: str(file) for key, file in found.sources.items()}
        record = _record(found.name, found.kind, found.file, None)
        output.document({**record, "settings": found.settings, "sources": sources})
        return
    rows = [(one.key, one.text, str(one.file or "default")) for one in session.profile_values(found)]
    output.table(("setting", "value", "from"), rows)


@profile.command(cls=settings.KindCommand)
@click.argument("name")
@click.option("-k", "--kind", shell_complete=complete_kind, help="The way Jupyter is run; its flags: --kind K --help.")
@click.option("--no-input", is_flag=True, help="Ask nothing.")
@_project
@_yes
@_json
def new(*, name: str, kind: str | None, no_input: bool, project: bool, yes: bool, as_json: bool, **flags: Any) -> None:
    """Make profile NAME; every setting of its kind is a flag, and is asked for on a terminal."""
    session = Session()
    asking = not no_input and ask.someone()
    replace = _replace(session, name, project=project, yes=yes, asking=asking)
    kind = kind or _kind(session, name, asking=asking)
    given = settings.given(kind, flags)
    if asking:
        given = settings.questions(kind, given)
    file = session.new_profile(name, kind, nested(given), project=project, replace=replace)
    if as_json:
        output.document(_record(name, kind, file, None))
    diagnostics.info(f"wrote {file}\nlook whether it works: jupyterctl profile check {name}")


@profile.command()
@click.argument("name", shell_complete=complete_profile)
@click.option("--project/--user", default=None, help="Which one, where both the project and you have a NAME.")
def edit(*, name: str, project: bool | None) -> int:
    """Open NAME in $VISUAL or $EDITOR, and check what was written."""
    session = Session()
    file = _one_file(session.profile_files(name, project=project), name)
    if not (ask.someone() or os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        raise UsageError("there is no terminal to edit at", "set EDITOR to a program that needs none")
    while True:
        _edit(file)
        entry = session.entry(name)
        if entry is None:
            raise NotFoundError(f"`{file}` is gone", f"make it again: jupyterctl profile new {name}")
        if entry.error is None:
            diagnostics.info(f"`{name}` is valid")
            return 0
        diagnostics.error(entry.error.message, entry.error.hint)
        if not (ask.someone() and click.confirm("Edit it again?", default=True, err=True)):
            return entry.error.exit_code


@profile.command()
@click.argument("name", shell_complete=complete_profile)
@ask.YES
@_json
def remove(*, name: str, yes: bool, as_json: bool) -> None:
    """Delete the file of profile NAME, the nearest where there are several; its lab must not be running.

    Runs that were made with it, and their results, stay.
    """
    session = Session(notify=diagnostics.warning)
    planned = session.profile_removal(name)
    file = planned.file
    if planned.doubtful:
        diagnostics.warning(f"nobody can tell whether the lab of `{name}` runs: its place does not answer")
    ask.confirm(f"Remove profile `{name}`, {file}?", yes=yes, declined="nothing was removed")
    left = planned.carry_out()
    if as_json:
        output.document({"removed": str(file), "left": [str(other) for other in left]})
    diagnostics.info(f"removed {file}")
    if left:
        diagnostics.info(f"`{name}` now is what {left[0]} says")


@profile.command()
@click.argument("name", shell_complete=complete_target)
@_json
def check(*, name: str, as_json: bool) -> int:
    """Validate NAME, then look at its target step by step.

    Ends with 3 if a check failed.
    """
    return checks.show(Session().doctor(name), as_json=as_json)


@profile.command("import")
@click.argument("source", shell_complete=complete_kind)
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Import all that is listed.")
@_project
@_yes
@_json
def import_(*, source: str, names: tuple[str, ...], everything: bool, project: bool, yes: bool, as_json: bool) -> None:
    """Import profiles from SOURCE: a TOML file, a folder of them, or a kind.

    A kind offers what it finds on this machine. Without NAMES or --all the list is shown, and you are asked.
    """
    session = Session()
    found = session.candidates(source)
    if not as_json:
        rows = [(one.name, one.kind or "?", _state(one.error), one.summary) for one in found]
        output.table(("name", "kind", "state", "settings"), rows)
    asking = ask.someone() and not as_json
    if everything:
        chosen = _new_ones(session, found, project=project, yes=yes)
    elif not names and asking and found:
        chosen = ask.text("Import which (names, nothing for none)", lambda answer: _named(found, answer.split()), "")
    else:
        chosen = _named(found, names)
    allowed = [(one, _replace(session, one.name, project=project, yes=yes, asking=asking)) for one in chosen]
    written = {}
    for one, replace in allowed:
        written[one.name] = session.import_profile(one, project=project, replace=replace)
        diagnostics.info(f"wrote {written[one.name]}")
    if as_json:
        output.document({"profiles": [_record(one.name, one.kind, written.get(one.name), one.error) for one in found]})
    elif not chosen and found:
        diagnostics.info("nothing imported; name what to import, or add --all")


@profile.command()
def schema() -> None:
    """Print the JSON schema of profiles, for editors."""
    output.raw(Session().profile_schema())


def _record(name: str, kind: str | None, file: Path | None, error: ConfigError | None) -> dict[str, str | None]:
    """A profile as every `--json` here shows it."""
    return {
        "name": name,
        "kind": kind,
        "file": str(file) if file else None,
        "error": error.message if error else None,
    }


def _state(error: ConfigError | None) -> str:
    return f"✗ {error.message}" if error else "✓ valid"


def _replace(session: Session, name: str, *, project: bool, yes: bool, asking: bool) -> bool:
    """Whether a profile that is there already is to be replaced: `--yes` says so, or the person."""
    file = session.profile_file(name, project=project)
    if yes or not file.exists():
        return yes
    if not asking:
        raise UsageError(
            f"profile `{name}` is there already: `{file}`", "take another name, or add --yes to replace it"
        )
    ask.confirm(f"Replace profile `{name}`, {file}?", yes=False, declined="nothing was written")
    return True


def _kind(session: Session, name: str, *, asking: bool) -> str:
    """The kind not given by a flag: the one the profile is named after, else asked for."""
    kinds = session.kinds()
    if name in kinds:
        return name
    if asking:
        return ask.choose("Kind", kinds)
    raise UsageError(f"profile `{name}` needs a kind", f"add --kind K; the kinds are: {', '.join(kinds)}")


def _edit(file: Path) -> None:
    """Open a file in the person's editor; UsageError where there is none of that name, or it fails."""
    try:
        click.edit(filename=str(file))
    except click.ClickException as error:
        editor = error.message.partition(":")[0]
        hint = "set VISUAL or EDITOR to one that works, or edit the file by other means"
        raise UsageError(f"the editor `{editor}` could not edit `{file}`", hint) from error


def _one_file(files: list[Path], name: str) -> Path:
    """The file to edit, asked for where there are several."""
    if not files:
        raise NotFoundError(f"there is no profile `{name}`", f"make it: jupyterctl profile new {name}")
    if len(files) == 1:
        return files[0]
    if not ask.someone():
        raise UsageError(
            f"`{name}` stands in {len(files)} files: {', '.join(map(str, files))}", "add --project or --user"
        )
    return Path(ask.choose("Edit which", [str(file) for file in files]))


def _new_ones(session: Session, found: list[Candidate], *, project: bool, yes: bool) -> list[Candidate]:
    """The valid candidates that are not there yet; with `--yes` those that are, too."""
    chosen = []
    for one in found:
        file = session.profile_file(one.name, project=project)
        if one.error is not None:
            diagnostics.warning(one.error.message, one.error.hint)
        elif file.exists() and not yes:
            diagnostics.info(f"kept {file}; --yes replaces it")
        else:
            chosen.append(one)
    return chosen


def _named(found: list[Candidate], names: Sequence[str]) -> list[Candidate]:
    """The candidates of some names; NotFoundError for one that is not in the list."""
    by_name = {one.name: one for one in found}
    for name in names:
        if name not in by_name:
            raise NotFoundError(f"`{name}` is not in the list", f"the list has: {', '.join(by_name)}")
    return [by_name[name] for name in names]
