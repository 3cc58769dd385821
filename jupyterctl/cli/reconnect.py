"""`jupyterctl reconnect`: the way to a lab at another machine, opened anew."""

from __future__ import annotations

import click

from ..core.session import Session
from ..errors import JupyterctlError, NotFoundError, UsageError
from . import diagnostics, output, phases
from .complete import complete_target


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--all", "everything", is_flag=True, help="Every link that is to be up.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def reconnect(*, target: str | None, everything: bool, as_json: bool) -> None:
    """Bring the way to TARGET's lab back, now: each step with its time, done when the lab answers through its link.

    The tab that is open goes on, its kernels intact; nothing is started anew.
    """
    session = Session(notify=diagnostics.warning)
    if bool(target) == everything:
        raise UsageError("which link is to come back?", "name a target, or --all")
    names = session.linked() if everything else [str(target)]
    if not names:
        raise NotFoundError("there is no link to bring back", "`jupyterctl start TARGET` makes one")
    results = []
    failed: JupyterctlError | None = None
    for name in names:
        if everything and not as_json:
            diagnostics.info(name)
        try:
            took = phases.show(session.reconnect(name), quiet=as_json)
            results.append({"name": name, "ok": True, "phases": took, "error": None})
        except JupyterctlError as error:
            results.append({"name": name, "ok": False, "phases": [], "error": error.message})
            failed = error
            if everything and not as_json:
                diagnostics.error(error.message, error.hint)
    if as_json:
        output.document({"links": results})
    if failed is not None:
        raise failed
    for name in names:
        address = session.link_url(name)
        diagnostics.info(f"`{name}` is back at {address}" if address else f"`{name}` is reached; it has no lab yet")
