"""`jupyterctl run`: a notebook, headless, at any target."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import click

from ..core import words
from ..core.prepare import Prepared
from ..core.session import Session
from ..errors import NoRunnerError, UsageError
from ..model import Run, RunOptions, duration
from . import ask, complete, diagnostics, output, view
from .follow import DetachedError, follow

PAIR = (str, str)


class DurationType(click.ParamType[float]):
    """Seconds, written as people do."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a click error for anything that is no length of time."""
        try:
            return value if isinstance(value, float) else duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


TIME = DurationType()


class RunCommand(click.Command):
    """Knows what is often typed instead of what is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; UsageError with what was meant for `-p NAME=VALUE` and for a second notebook."""
        words = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            hint = _joined_pair(words) or _second_notebook(error)
            if not hint:
                raise
            message = error.format_message().rstrip(".")
            raise UsageError(f"{message[:1].lower()}{message[1:]}", hint) from error
        if not ctx.resilient_parsing and any("=" in name for name, _ in (*ctx.params["typed"], *ctx.params["raw"])):
            raise UsageError("a parameter is given as two words", _joined_pair(words) or "write it as -p NAME VALUE")
        return rest


def _joined_pair(words: list[str]) -> str:
    """How `-p NAME=VALUE` is written here, the first that there is."""
    for flag, word in itertools.pairwise(words):
        name, equals, value = word.partition("=")
        if flag in {"-p", "--parameter", "-r", "--raw"} and equals and name.isidentifier():
            return f"name and value are two words: {flag} {name} {shlex.quote(value)}"
    return ""


def _second_notebook(error: click.UsageError) -> str:
    """What papermill takes for its output stands behind a flag here."""
    found = re.search(r"unexpected extra argument \((\S+\.ipynb)\)", error.format_message())
    return f"the result goes where -o says: -o {found[1]}" if found else ""


@click.command(cls=RunCommand, short_help="Run a notebook headless, with live progress.")
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option(
    "-t", "--target", default="", shell_complete=complete.complete_target, help="Where to run.  [default: here]"
)
@click.option("-p", "--parameter", "typed", type=PAIR, multiple=True, metavar="NAME VALUE", help="Set a parameter.")
@click.option("-r", "--raw", type=PAIR, multiple=True, metavar="NAME TEXT", help="Set a parameter to a text as it is.")
@click.option("-y", "--yaml", "yamls", multiple=True, metavar="YAML", help="Set parameters from YAML.")
@click.option(
    "-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), help="… from a YAML or JSON file."
)
@click.option(
    "-s", "--secret", "secrets", multiple=True, metavar="NAME=REF",
    help="Give a secret by reference: env:VAR, keyring:SERVICE/USER or file:PATH. It is an environment variable of the "
    "kernel, and a parameter where the notebook has one of that name.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="PATH", help="Put the result there, as it grows; {name} is a parameter's value."
)
@click.option("--detach", is_flag=True, help="Return at once; `runs attach` follows later.")
@click.option("--timeout", type=TIME, help="Longest time the whole run may take, such as 8h.")
@click.option("--cell-timeout", type=TIME, help="Longest time one cell may take, such as 30m.")
@click.option("--retries", type=click.IntRange(0), help="Try again so often, from the start, when the run fails.")
@click.option("--include", multiple=True, metavar="GLOB", help="Take these files along as well.")
@click.option("--isolated/--in-place", default=None, help="Work on a copy of the notebook's files, or where they lie.")
@click.option("-e", "--environment", metavar="SPEC", help="conda:NAME, venv:PATH, python:PATH or auto.")
@click.option("--kernel", help="Kernel to use instead of the environment's own.")
@click.option("--lenient", is_flag=True, help="Allow unknown parameters and missing imports.")
@click.option(
    "--sweep", "sweeps", multiple=True, metavar="NAME=A,B,C", help="Run once for each value; several make a grid."
)
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs of a sweep at a time.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Print what would be made at the target, as YAML, and make nothing.")
@click.option("--log-output", is_flag=True, help="Show what the cells print, as it comes.")
@click.option("--json", "as_json", is_flag=True, help="Print the journal, one JSON line an event.")
@click.pass_context
def run(ctx: click.Context, /, notebook: Path, **flags: Any) -> None:
    """Run NOTEBOOK headless with papermill and show how it goes.

    Exit code: 0 succeeded, 1 the notebook failed, 2 usage, 3 the target failed, 4 cancelled, 5 timed out, 6 the kernel
    died. Ctrl-C cancels gracefully; a second one detaches, and so does closing the terminal.
    """
    session = Session(notify=diagnostics.warning, progress=diagnostics.transient)
    try:
        prepared = prepare(session, notebook, flags)
    except NoRunnerError as error:
        offer_runner(session, error, flags)
        prepared = prepare(session, notebook, flags)
    luggage(prepared)
    if flags["dry_run"]:
        output.line(session.rehearse(prepared, flags["sweeps"], flags["jobs"]).rstrip("\n"))
        return
    if flags["sweeps"]:
        name = session.create_sweep(prepared, flags["sweeps"], flags["jobs"])
        ctx.exit(sweep(session, name, flags))
    made = session.create_run(prepared)
    if not flags["as_json"]:
        diagnostics.info(headline(made))
    made = session.submit(made)
    if flags["detach"]:
        detached(made, as_json=flags["as_json"])
        return
    ctx.exit(attach(session, made, log_output=flags["log_output"], as_json=flags["as_json"]))


def prepare(session: Session, notebook: Path, flags: dict[str, Any]) -> Prepared:
    """What the flags make of the notebook."""
    return session.prepare(
        notebook,
        flags["target"],
        given=session.given(flags["typed"], flags["raw"], flags["yamls"], flags["files"]),
        secrets=session.secret_references(flags["secrets"]),
        output=flags["output"],
        options=options(flags),
    )


def offer_runner(session: Session, error: NoRunnerError, flags: dict[str, Any]) -> None:
    """Make an environment that runs notebooks at the target, after asking; the notebook's own stays as it is."""
    from .making import Making

    if not flags["yes"] and not ask.someone():
        raise NoRunnerError(error.message, "add --yes to have an environment made for it")
    found = f"{error.message[:1].upper()}{error.message[1:]}"
    question = f"{found}. Make the environment `{session.RUNNER}` there for it?"
    ask.confirm(question, yes=flags["yes"], declined="nothing was run", code=error.exit_code)
    with Making() as making:
        session.create_runner(flags["target"], report=making.step)


def options(flags: dict[str, Any]) -> RunOptions:
    """What the flags ask for beside parameters."""
    names = ("environment", "kernel", "timeout", "cell_timeout", "retries", "isolated", "lenient")
    return RunOptions(include=tuple(flags["include"]), **{name: flags[name] for name in names})


def luggage(prepared: Prepared) -> None:
    """What goes along, and what does not though the notebook names it."""
    if prepared.files:
        diagnostics.info(f"takes along {words.size(prepared.bytes)}: {', '.join(prepared.files)}")
    for notice in prepared.notices:
        diagnostics.warning(notice)


def headline(made: Run) -> str:
    """What runs where, and why there."""
    plan = made.plan
    where = f"{plan.place} ({plan.reason})" if plan else made.target
    return f"{diagnostics.paint(made.id, 'bold')}  {Path(made.notebook).name} on {made.target}: {where}"


def detached(made: Run, *, as_json: bool) -> None:
    """Say how to come back to a run that goes on by itself."""
    if as_json:
        output.record({"run": made.id, "state": made.state, "target": made.target})
    else:
        output.line(made.id)
        diagnostics.info(f"it goes on by itself; follow it with: jupyterctl runs attach {made.id}")


def attach(session: Session, made: Run, *, log_output: bool, as_json: bool) -> int:
    """Follow one run to its end; returns the exit code of its outcome."""
    shown = view.choose(json=as_json, log_output=log_output)
    try:
        last = follow(session.follow(made), shown, lambda: session.request_cancel(made))
    except DetachedError as gone:
        diagnostics.info(f"detached; follow it again with: jupyterctl runs attach {made.id}")
        return gone.code
    last = last or made
    if not as_json:
        view.conclude(session, last)
    return 3 if last.undelivered and last.exit_code == 0 else last.exit_code or 0


def sweep(session: Session, name: str, flags: dict[str, Any]) -> int:
    """Go on with a sweep to its end, and show its table; returns the exit code of its worst run."""
    as_json, log_output = flags["as_json"], flags.get("log_output", False)
    if flags.get("detach"):
        session.detach_sweep(name)
        output.record({"sweep": name}) if as_json else output.line(name)
        return 0
    several = len(session.sweep(name))
    if not as_json:
        diagnostics.info(f"{diagnostics.paint(name, 'bold')}  {several} runs")
    shown = view.choose(json=as_json, log_output=log_output, several=several)
    try:
        follow(session.follow_sweep(name), shown, lambda: session.cancel_sweep(name))
    except DetachedError as gone:
        session.detach_sweep(name)
        diagnostics.info(f"detached; follow it again with: jupyterctl runs attach {name}")
        return gone.code
    points = session.sweep(name)
    if not as_json:
        table(points)
    return max((point.exit_code or 0 for point in points), default=0)


def table(points: list[Run]) -> None:
    """One row a run: its parameters, how it ended, how long it took, where its result is."""
    names = list(dict.fromkeys(name for point in points for name in point.parameters))
    heads = ["run", *names, "state", "time", "error"]
    output.table(
        heads,
        [
            [
                point.id,
                *(str(point.parameters.get(name, "")) for name in names),
                words.state(point),
                words.seconds(point.seconds),
                words.failure(point),
            ]
            for point in points
        ],
    )
