"""`jupyterctl logs`: what a target's server has written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from ..core.session import Session
from ..errors import NotFoundError, UsageError
from . import diagnostics, output
from .complete import complete_target


@click.command()
@click.argument("target", shell_complete=complete_target)
@click.option("-f", "--follow", is_flag=True, help="Go on as it grows, until interrupted.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=200, show_default=True, help="So many last lines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --follow, a line for each part.")
def logs(*, target: str, follow: bool, lines: int, as_json: bool) -> None:
    """Show the log of TARGET's server, or of its last one."""
    session = Session()
    with output.until_interrupted(), _no_run(session, target):
        news = session.follow_server_log(target) if follow else iter(())
        text = session.server_log(target, lines)
        if as_json and not follow:
            output.document({"name": target, "log": text})
        else:
            if not text and lines:
                diagnostics.info(f"the log of `{target}` is empty")
            _write(target, text, as_json=as_json)
        for part in news:
            if part:
                _write(target, part, as_json=as_json)


@contextmanager
def _no_run(session: Session, target: str) -> Iterator[None]:
    """Whoever names a run here is led to the command that shows its log."""
    try:
        yield
    except NotFoundError as error:
        with suppress(NotFoundError):
            run = session.find_run(target)
            raise UsageError(error.message, f"`{target}` is a run: jupyterctl runs logs {run.id}") from error
        raise


def _write(target: str, text: str, *, as_json: bool) -> None:
    if as_json:
        output.record({"name": target, "log": text})
    else:
        output.text(text)
