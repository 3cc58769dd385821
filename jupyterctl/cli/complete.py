"""What the shell's Tab key offers. Completing must be quick: names are listed from the folders, no file is read."""

from __future__ import annotations

from pathlib import Path

import click


def complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of profiles, then of kinds, that begin with what is typed."""
    del ctx, param
    from .. import config, target

    names = dict.fromkeys([*sorted(config.find(Path.cwd())), *target.kinds()])
    return [name for name in names if name.startswith(incomplete)]


def complete_profile(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of profiles that stand in a file."""
    del ctx, param
    from .. import config

    return [name for name in sorted(config.find(Path.cwd())) if name.startswith(incomplete)]


def complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of kinds."""
    del ctx, param
    from .. import target

    return [name for name in target.kinds() if name.startswith(incomplete)]


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Ids of runs, the newest first."""
    del ctx, param
    from ..store import Store

    return Store().ids(incomplete)[:50]
