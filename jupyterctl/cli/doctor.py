"""`jupyterctl doctor`: look at a target, or at this installation, step by step."""

from __future__ import annotations

import click

from ..core.session import Session
from . import checks
from .complete import complete_target


@click.command()
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def doctor(*, target: str | None, as_json: bool) -> int:
    """Look at TARGET step by step; without one at this installation and every profile.

    Ends with 3 if a check failed.
    """
    return checks.show(Session().doctor(target), as_json=as_json)
