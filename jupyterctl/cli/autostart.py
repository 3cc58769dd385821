"""`jupyterctl autostart`: servers that are started at login."""

from __future__ import annotations

import click

from ..core.autostart import Autostart
from ..core.session import Session
from ..model import Json
from . import diagnostics, output
from .complete import complete_target

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.group()
def autostart() -> None:
    """Start servers at login: a systemd user unit on Linux, a launchd agent on macOS."""


@autostart.command()
@click.argument("target", shell_complete=complete_target)
@click.option("--dry-run", is_flag=True, help="Only show the file.")
@_json
def on(*, target: str, dry_run: bool, as_json: bool) -> None:
    """Start TARGET's server at login, in this folder; shows the file that says so."""
    session = Session()
    wanted = session.autostart_file(target)
    if not dry_run:
        session.autostart(target, on=True)
    if as_json:
        output.document({"autostart": _record(wanted)})
        return
    diagnostics.info(f"{'would write' if dry_run else 'wrote'} {wanted.file}")
    output.line(wanted.text.rstrip("\n"))
    if not dry_run and wanted.needs_linger:
        diagnostics.info("to start with the machine and outlive your logout: loginctl enable-linger")


@autostart.command()
@click.argument("target", shell_complete=complete_target)
@_json
def off(*, target: str, as_json: bool) -> None:
    """No longer start TARGET's server at login; one that runs goes on."""
    file = Session().autostart(target, on=False)
    if as_json:
        output.document({"removed": str(file)})
    else:
        diagnostics.info(f"removed {file}")


@autostart.command("list")
@_json
def list_(*, as_json: bool) -> None:
    """List what is started at login."""
    found = Session().autostarts()
    if as_json:
        output.document({"autostart": [_record(one) for one in found]})
    elif found:
        output.table(("name", "by", "file"), [(one.name, one.by, str(one.file)) for one in found])
    else:
        diagnostics.info("nothing is started at login; `jupyterctl autostart on TARGET` does that")


def _record(one: Autostart) -> dict[str, Json]:
    return {"name": one.name, "by": one.by, "file": str(one.file), "text": one.text}
