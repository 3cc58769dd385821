"""`jupyterctl start`, `open`, `stop`, `restart` and `shell`: one target's server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click

from ..core import browser
from ..core.plain import printable
from ..core.session import Session
from ..core.status import Status
from ..errors import NoLabError
from ..model import Kernel, Loss, Phase, ServerState
from . import ask, diagnostics, output, phases
from .complete import complete_target

_target = click.argument("target", shell_complete=complete_target)
_DONE = {"stop": "stopped", "restart": "restarted"}
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.command()
@_target
@click.option("--no-open", is_flag=True, help="Do not open the browser.")
@ask.YES
@_json
def start(*, target: str, no_open: bool, yes: bool, as_json: bool) -> None:
    """Start TARGET's JupyterLab, or find the one that runs, and open it in the browser.

    It goes on by itself, whatever happens to this terminal. Where no environment has JupyterLab, one is made, after
    asking.
    """
    session = Session(notify=diagnostics.warning)
    try:
        took = _followed(target, session.start_server(target), quiet=as_json)
    except NoLabError as error:
        _offer_lab(session, target, error, yes=yes)
        took = _followed(target, session.start_server(target), quiet=as_json)
    _up(session.glance(target), took, as_json=as_json)
    if not as_json:
        _open_or_say(session, target, no_open=no_open)


@click.command()
@_target
@ask.YES
@_json
def restart(*, target: str, yes: bool, as_json: bool) -> None:
    """Stop and start TARGET's server: same port, same token, so that open tabs only reconnect. Its kernels end.

    Asks first if a kernel is computing, or if files go with it, as those of a lab in a pod without a `disk` do.
    """
    session = Session(notify=diagnostics.warning)
    if not yes:
        _ask_about(session.busy_kernels(target), session.would_lose(target), "restart", target)
    took = _followed(target, session.restart_server(target), quiet=as_json)
    _up(session.glance(target), took, as_json=as_json)


def _followed(target: str, steps: Iterator[Phase], *, quiet: bool) -> list[Phase]:
    """The steps of a start as they were shown; who waits no longer is told that what was begun goes on."""
    try:
        return phases.show(steps, quiet=quiet)
    except KeyboardInterrupt:
        diagnostics.error(f"interrupted; `{target}` may come up nonetheless", f"end it by: jupyterctl stop {target}")
        raise click.exceptions.Exit(130) from None


@click.command("open")
@_target
@click.option("--url", "show_url", is_flag=True, help="Print the address with its token instead.")
@_json
def open_(*, target: str, show_url: bool, as_json: bool) -> None:
    """Open TARGET's lab in the browser; it must be running."""
    session = Session()
    if as_json:
        output.document({"url": session.server_url(target)})
    elif show_url:
        output.line(session.server_url(target))
    else:
        _browse(session, target)


@click.command()
@_target
@ask.YES
@_json
def stop(*, target: str, yes: bool, as_json: bool) -> None:
    """End TARGET's server and its kernels.

    Asks first if a kernel is computing, or if files go with it, as those of a lab in a pod without a `disk` do.
    """
    session = Session()
    before = session.status(target)
    asked = yes or _ask_about(session.busy_kernels(target), session.would_lose(target), "stop", target)
    session.stop_server(target, force=asked)
    if as_json:
        output.document({"server": session.status(target)})
    else:
        ran = before.state != ServerState.STOPPED
        diagnostics.info(f"stopped `{target}`" if ran else f"`{target}` was not running")


@click.command()
@_target
@click.option("--print", "only_print", is_flag=True, help="Print the command instead.")
@click.pass_context
def shell(ctx: click.Context, *, target: str, only_print: bool) -> None:
    """Open a shell at TARGET with its environment active, in the server's tmux or screen session if it has one.

    It goes over the connection that is open already. Its exit code is ours, but for a window of tmux or screen.
    """
    session = Session()
    if only_print:
        import shlex

        output.line(shlex.join(session.shell_command(target)))
        return
    if (code := session.enter(target)) is not None:
        ctx.exit(code)
    command = session.shell_command(target, terminal=sys.stdin.isatty())
    os.execvp(command[0], command)  # noqa: S606 - the person asked for a shell


def _offer_lab(session: Session, target: str, error: NoLabError, *, yes: bool) -> None:
    from .making import Making

    if not yes and not ask.someone():
        raise NoLabError(error.message, "add --yes to make one")
    found = f"{error.message[:1].upper()}{error.message[1:]}"
    ask.confirm(f"{found}. Make the environment `{session.LAB}` with it?", yes=yes, declined="nothing was started")
    with Making() as making:
        session.create_lab(target, report=making.step)


def _ask_about(busy: list[Kernel], lost: Loss | None, verb: str, target: str) -> bool:
    """Whether there was something to ask about, and the person has said yes to it."""
    what = f"{verb.capitalize()} `{target}`"
    if lost is not None:
        what += f" and lose {printable(lost.what)} ({lost.why}; {lost.hint})"
    if busy:
        names = ", ".join(f"`{printable(kernel.path or kernel.name)}`" for kernel in busy)
        what += f" while {names} {'is' if len(busy) == 1 else 'are'} computing"
    if busy or lost is not None:
        ask.confirm(f"{what}?", yes=False, declined=f"nothing was {_DONE[verb]}")
    return bool(busy) or lost is not None


def _up(status: Status, took: list[Phase], *, as_json: bool) -> None:
    if as_json:
        output.document({"server": status, "phases": took})
        return
    word = "is the one you started by hand, at" if status.adopted else "is up at"
    diagnostics.info(f"`{status.name}` {word} {status.link.url}, showing {printable(status.root or '')}")


def _open_or_say(session: Session, target: str, *, no_open: bool) -> None:
    if no_open:
        diagnostics.info(f"open it: jupyterctl open {target}")
    else:
        _browse(session, target)


def _browse(session: Session, target: str) -> None:
    """Open a page of our own that leads to the lab: an address on a command line could be read by every user."""
    page = session.server_page(target)
    if not browser.show(page.as_uri()):
        diagnostics.info(f"no browser here; the address with its token: jupyterctl open {target} --url")
