"""`jupyterctl env`: list, show, create and remove Python environments."""

from __future__ import annotations

import shlex
from pathlib import Path
from time import monotonic

import click

from ..core.session import Session
from ..environments import Environment, spec_of
from ..environments.environment import NOTED
from ..model import Json
from ..paths import tilde
from . import ask, diagnostics, output

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of environments that begin with what is typed."""
    del ctx, param
    return sorted({one.name for one in Session().environments() if one.name.startswith(incomplete)})


@click.group()
def env() -> None:
    """Find, show and create Python environments on this machine."""


@env.command("list")
@_json
def list_(*, as_json: bool) -> None:
    """List every environment, best first for a notebook in this folder."""
    found = Session().environments()
    if as_json:
        output.document({"environments": [_record(one) for one in found]})
        return
    rows = [(one.name, one.kind, one.version, *_versions(one), tilde(one.prefix)) for one in found]
    output.table(("name", "kind", "python", *NOTED, "prefix"), rows)


@env.command()
@click.argument("name", metavar="NAME|PREFIX", shell_complete=_complete)
@_json
def show(*, name: str, as_json: bool) -> None:
    """Show one environment, by its name, its folder, or as a profile names it."""
    found = Session().environment(name)
    if as_json:
        output.document(_record(found))
        return
    rows = [("name", found.name), ("kind", found.kind), ("prefix", str(found.prefix))]
    rows += [("interpreter", str(found.python)), *found.packages.items()]
    rows += [("made by", "jupyterctl")] if found.made_here else []
    output.table(("what", "value"), [*rows, ("in a profile", f'environment = "{spec_of(found)}"')])
    if "ipykernel" not in found.packages:
        diagnostics.warning("no notebook runs in it", "it has no `ipykernel`")


@env.command()
@click.argument("name", required=False, default="")
@click.argument("packages", nargs=-1)
@click.option("-f", "--file", type=click.Path(path_type=Path), help="Make what this environment.yml lists.")
@click.option("-c", "--channel", "channels", multiple=True, help="Conda channel, first wins.  [default: conda-forge]")
@click.option("-p", "--prefix", type=click.Path(path_type=Path), help="Make it in this folder instead of under a NAME.")
@click.option("--venv", "virtual", is_flag=True, help="A virtual environment from PyPI, with this Python.")
@_json
def create(
    *,
    name: str,
    packages: tuple[str, ...],
    file: Path | None,
    channels: tuple[str, ...],
    prefix: Path | None,
    virtual: bool,
    as_json: bool,
) -> None:
    """Make environment NAME with PACKAGES; there is always a kernel for notebooks in it.

    Without PACKAGES and --file it gets python, ipython, jupyterlab, ipykernel, papermill and nodejs. No conda need be
    installed. With --prefix, all words are packages.
    """
    from .making import Making

    if prefix and name:
        name, packages = "", (name, *packages)
    began = monotonic()
    with Making() as making:
        made = Session().create_environment(
            name, packages=packages, channels=channels, file=file, prefix=prefix, virtual=virtual, report=making.step
        )
    if as_json:
        output.document(_record(made))
    seconds = monotonic() - began
    diagnostics.info(f"made `{made.name}` in {seconds:.1f} s: python {made.version} in {tilde(made.prefix)}")
    diagnostics.info(f"use it: jupyterctl run NOTEBOOK -e {shlex.quote(spec_of(made))}")
    diagnostics.info(f'or in a profile: environment = "{spec_of(made)}"')


@env.command()
@click.argument("name", metavar="NAME|PREFIX", shell_complete=_complete)
@click.option("--yes", is_flag=True, help="Remove it without asking.")
def remove(*, name: str, yes: bool) -> None:
    """Delete an environment that jupyterctl made."""
    session = Session()
    found = session.environment(name)
    session.check_removable(found)
    question = f"Remove environment `{found.name}` and all in `{tilde(found.prefix)}`?"
    ask.confirm(question, yes=yes, declined="nothing was removed")
    session.remove_environment(found)
    diagnostics.info(f"removed `{found.name}`")


def _record(environment: Environment) -> dict[str, Json]:
    return {
        "name": environment.name,
        "kind": environment.kind,
        "prefix": str(environment.prefix),
        "python": str(environment.python),
        "version": environment.version,
        "packages": environment.packages,
    }


def _versions(environment: Environment) -> list[str]:
    return [environment.packages.get(name, "-") for name in NOTED]
