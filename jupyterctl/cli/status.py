"""`jupyterctl status`: every server, its link and its health."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from ..core.plain import printable
from ..core.session import Session
from ..core.status import Kernels, Link, Overview, Status
from ..core.words import ago, since
from . import diagnostics, output
from .complete import complete_target

_GLYPHS = {
    "running": "●",
    "starting": "◐",
    "stopping": "◐",
    "stopped": "○",
    "unreachable": "⚠",
    "unknown": "⚠",
}
_EVERY = 2.0
"""Seconds between looks of `--watch`."""


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("-w", "--watch", is_flag=True, help="Show it anew every two seconds, until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --watch, a line each time.")
def status(*, target: str | None, watch: bool, as_json: bool) -> None:
    """Show every server, its link and its health; or one TARGET's, layer by layer."""
    session = Session()
    with output.until_interrupted():
        for number, found in enumerate(_looks(session, target, watch=watch)):
            if as_json:
                (output.record if watch else output.document)({"servers": found.servers, "others": found.others})
                continue
            if watch and number:
                output.clear()
            _show(found, layers=target is not None)


def _looks(session: Session, target: str | None, *, watch: bool) -> Iterator[Overview]:
    """What there is now; with `watch` again and again."""
    while True:
        yield Overview(servers=[session.status(target)], others=[]) if target else session.overview()
        if not watch:
            return
        time.sleep(_EVERY)


def _show(found: Overview, *, layers: bool) -> None:
    if layers:
        output.table(("layer", "how it is"), _layers(found.servers[0]))
    elif found.servers:
        heads = ("name", "kind", "state", "address", "http", "kernels", "place")
        output.table(heads, [_row(server) for server in found.servers])
    else:
        diagnostics.info("no servers yet; `jupyterctl start local` starts one on this machine")
    if found.others:
        output.line("\nstarted elsewhere:")
        rows = [(str(one.pid), one.url or "-", one.root, ago(one.since)) for one in found.others]
        output.table(("pid", "address", "folder", "started"), rows)
    for server in found.servers:
        if server.error:
            diagnostics.warning(server.error, server.fix or "")


def _row(server: Status) -> tuple[str, ...]:
    address = server.link.url or server.link.state or "-"
    kernels = _kernels(server.health.kernels)
    return (
        server.name,
        server.kind or "?",
        _state(server),
        address,
        server.health.http or "-",
        kernels,
        server.place or "-",
    )


def _layers(server: Status) -> list[tuple[str, str]]:
    """One server from the process upwards; layers it has not got are left out."""
    which = f"pid {server.pid}, {server.place}" if server.pid else server.place
    lived = f"{which}, started {ago(server.since)}" if server.since else ""
    by_hand = ", by hand" if server.adopted else ""
    rows = [
        ("state", _state(server)),
        ("process", f"{lived}{by_hand}"),
        ("link", f"{server.link.state} {server.link.url}" if server.link.url else ""),
        ("next try", f"in {wait:.0f} s" if (wait := -(since(server.link.next_try) or 0.0)) >= 1 else ""),
        ("way", _way(server.link)),
        ("http", server.health.http or ""),
        ("kernels", _kernels(server.health.kernels) if server.health.kernels else ""),
        ("folder", server.root or ""),
        ("version", f"JupyterLab {server.version}" if server.version else ""),
        *server.facts.items(),
        *(("event", printable(event)) for event in server.events),
    ]
    return [row for row in rows if row[1]]


def _way(link: Link) -> str:
    if not link.way:
        return ""
    return f"{link.way}, {link.round_trip * 1000:.0f} ms there and back" if link.round_trip else link.way


def _state(server: Status) -> str:
    if server.state == "unknown" and not server.error:
        return "○ unconnected"
    return f"{_GLYPHS.get(server.state, ' ')} {server.state}"


def _kernels(kernels: Kernels | None) -> str:
    if kernels is None:
        return "-"
    if not kernels.busy + kernels.idle:
        return "none"
    used = f", used {ago(kernels.last_activity)}" if kernels.last_activity else ""
    return f"{kernels.busy} busy, {kernels.idle} idle{used}"
