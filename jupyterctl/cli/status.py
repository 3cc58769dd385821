"""`jupyterctl status`: every server, its link and its health."""

from __future__ import annotations

import click

from ..core.session import Session
from ..core.status import Status
from . import diagnostics, output
from .complete import complete_target

_GLYPHS = {"running": "●", "starting": "◐", "stopped": "○", "unknown": "⚠"}


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def status(*, target: str | None, as_json: bool) -> None:
    """Show every server, its link and its health; or one TARGET's."""
    session = Session()
    servers = [session.status(target)] if target else session.statuses()
    if as_json:
        output.document({"servers": servers})
        return
    if not servers:
        diagnostics.info("no profiles yet; `jupyterctl profile new NAME` makes one")
        return
    output.table(("name", "kind", "state", "link", "http", "place"), [_row(server) for server in servers])
    for server in servers:
        if server.error:
            diagnostics.warning(server.error, f"jupyterctl profile edit {server.name}")


def _row(server: Status) -> tuple[str, ...]:
    state = f"{_GLYPHS.get(server.state, ' ')} {server.state}"
    link = server.link.url or server.link.state or "-"
    return server.name, server.kind or "?", state, link, server.health.http or "-", server.place or "-"
