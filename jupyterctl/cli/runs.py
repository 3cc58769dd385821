"""`jupyterctl runs`: look at runs, and what can be done with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core import browser, words
from ..core.plain import printable
from ..core.progress import Printed
from ..core.session import Session
from ..errors import JupyterctlError, UsageError
from ..model import Run, RunState
from . import ask, diagnostics, output, view
from .complete import complete_run
from .run import TIME, headline, sweep, table
from .run import attach as attach_run

RUN = click.argument("name", metavar="[ID]", required=False, shell_complete=complete_run)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


LIMIT = click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many.")
ALL = click.option("--all", "everything", is_flag=True, help="All of them.")
LIVE = click.option("--live", is_flag=True, help="Only those that have not ended.")


@click.group(invoke_without_command=True)
@LIMIT
@ALL
@LIVE
@JSON
@click.pass_context
def runs(ctx: click.Context, /, *, limit: int, everything: bool, live: bool, as_json: bool) -> None:
    """List runs, or do something with one.

    A run is named by its id or by the beginning of it; without a name the newest is meant. A sweep's name stands for
    all of its runs where that makes sense.
    """
    if ctx.invoked_subcommand is None:
        listing(as_json=as_json, limit=None if everything else limit, live=live)


@runs.command("list")
@LIMIT
@ALL
@LIVE
@JSON
def list_(*, limit: int, everything: bool, live: bool, as_json: bool) -> None:
    """List runs, the newest first."""
    listing(as_json=as_json, limit=None if everything else limit, live=live)


def listing(*, as_json: bool, limit: int | None, live: bool) -> None:
    """The table of runs."""
    session = Session(notify=diagnostics.warning)
    found = session.runs(limit=limit, live=live)
    if as_json:
        output.document({"runs": [document(session, run) for run in found]})
    elif not found:
        diagnostics.info("no run is live" if live else "no run yet; `jupyterctl run NOTEBOOK` makes one")
    else:
        output.table(["id", "state", "target", "cells", "time", "made", "parameters"], map(row, found))


def row(run: Run) -> list[str]:
    """A run's line in the table."""
    cells = f"{run.cells.done}/{run.cells.total}" if run.cells.total else ""
    took = words.seconds(run.seconds if run.state.ended else words.since(run.started))
    return [run.id, words.state(run), run.target, cells, took, words.ago(run.created), words.parameters(run)]


def document(session: Session, run: Run) -> dict[str, Any]:
    """A run as other programs see it; the keys are a contract."""
    where = session.output(run)
    return {
        "id": run.id,
        "state": run.state,
        "exit_code": run.exit_code,
        "target": run.target,
        "notebook": run.notebook,
        "parameters": run.parameters,
        "output": str(where) if where else None,
        "cells": run.cells,
        "seconds": run.seconds,
        "error": run.error,
        "waiting": run.waiting or None,
        "early": run.early,
        "undelivered": run.undelivered,
        "sweep": run.sweep,
        "attempt": run.attempt,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "seen": run.seen,
    }


@runs.command()
@RUN
@JSON
def show(*, name: str | None, as_json: bool) -> None:
    """Show how a run stands: outcome, failing cell, where the result is."""
    session = Session(notify=diagnostics.warning)
    if name and (found := session.find_sweep(name)):
        points = [session.run(point.id) for point in session.sweep(found)]
        output.document({"runs": [document(session, point) for point in points]}) if as_json else table(points)
        return
    run = session.run(name)
    if as_json:
        output.document(document(session, run))
        return
    facts(session, run)
    failure(session, run)


def facts(session: Session, run: Run) -> None:
    """The lines at the top of `show`."""
    plan = run.plan
    pairs = {
        "run": run.id,
        "state": f"{words.GLYPHS[run.state]} {words.outcome(run)}",
        "waits": run.waiting,
        "notebook": run.notebook,
        "target": f"{run.target}: {plan.place} ({plan.reason})" if plan else run.target,
        "parameters": words.parameters(run),
        "secrets": " ".join(f"{name}={reference}" for name, reference in run.secrets.items()),
        "made": f"{run.created} ({words.ago(run.created)})",
        "cells": f"{run.cells.done} of {run.cells.total}" if run.cells.total else "",
        "attempt": str(run.attempt) if run.attempt > 1 else "",
        "last seen": run.seen if run.state.value == "unknown" else "",
        "result": str(session.output(run) or ""),
        "undelivered": run.undelivered or "",
    }
    for key, value in pairs.items():
        if value:
            output.line(f"{key:<12}{printable(value)}")


def failure(session: Session, run: Run) -> None:
    """The failing cell and what it raised."""
    if run.error is None:
        return
    cell = session.failing_cell(run)
    if cell is not None:
        which = "interrupted" if run.state is RunState.CANCELLED else "failing"
        output.line(f"\n{which} cell [{cell.number}]:")
        for line in cell.source.splitlines():
            output.line(f"    {printable(line)}")
    if run.error.traceback:
        output.line()
        for line in run.error.traceback:
            output.text(line + "\n")


@runs.command()
@RUN
@click.option("-f", "--follow", "follow_it", is_flag=True, help="Go on until the run ends.")
@click.option("--runner", is_flag=True, help="The runner's own log instead of what the cells print.")
@JSON
def logs(*, name: str | None, follow_it: bool, runner: bool, as_json: bool) -> None:
    """Print what the cells of a run have printed.

    Of text that comes faster than 4 KiB in a tenth of a second, and of any longer output, the end is shown, and a line
    says how much is left out. The notebook has it all: `jupyterctl runs fetch`.
    """
    session = Session(notify=diagnostics.warning)
    run = session.find_run(name)
    if runner:
        output.line(session.runner_log(run).rstrip("\n"))
        return
    if not follow_it:
        run = session.run(run.id)
    printed = Printed()
    with output.until_interrupted():
        for _, event in session.follow(run) if follow_it else ((run, event) for event in session.events(run)):
            if event is not None and event["event"] == "output":
                output.record({"run": run.id, **event}) if as_json else output.text(printed.take(event))


@runs.command()
@RUN
@click.option("--log-output", is_flag=True, help="Show what the cells print.")
@JSON
@click.pass_context
def attach(ctx: click.Context, /, *, name: str | None, log_output: bool, as_json: bool) -> None:
    """Follow a run, or go on with a sweep, from its first event on; the exit code is that of `run`.

    As in `run` Ctrl-C cancels it; a second one, or closing the terminal, lets it go on.
    """
    session = Session(notify=diagnostics.warning)
    if name and (found := session.find_sweep(name)):
        ctx.exit(sweep(session, found, {"as_json": as_json, "log_output": log_output}))
    run = session.find_run(name)
    if not as_json:
        diagnostics.info(headline(run))
    ctx.exit(attach_run(session, run, log_output=log_output, as_json=as_json))


@runs.command()
@click.argument("name", metavar="ID", shell_complete=complete_run)
@click.option("--grace", type=TIME, help="Time until it is ended by force.  [default: as its target says, and 10 s]")
@ask.YES
@JSON
def cancel(*, name: str, grace: float | None, yes: bool, as_json: bool) -> None:
    """End a run; its notebook is saved with what it has."""
    session = Session(notify=diagnostics.warning)
    if found := session.find_sweep(name):
        ask.confirm(f"cancel all runs of `{found}` that have not ended?", yes=yes, declined="nothing was cancelled")
        session.cancel_sweep(found)
        points = session.sweep(found)
        output.document({"runs": [document(session, point) for point in points]}) if as_json else table(points)
        return
    run = session.run(name)
    if run.state.ended:
        raise UsageError(f"`{run.id}` has ended: {run.state}", "there is nothing to cancel")
    stands = f"{words.state(run)}, {run.cells.done} of {run.cells.total} cells"
    ask.confirm(f"cancel `{run.id}` ({stands})?", yes=yes, declined="nothing was cancelled")
    run = session.cancel(run, grace)
    if as_json:
        output.document(document(session, run))
    else:
        output.line(f"{run.id} {words.outcome(run)}")
        view.result(session, run)


@runs.command()
@RUN
@click.option("-o", "--output", "destination", type=click.Path(path_type=Path), help="File or folder to put it in.")
@JSON
def fetch(*, name: str | None, destination: Path | None, as_json: bool) -> None:
    """Bring a run's notebook home, as far as it is saved."""
    session = Session(notify=diagnostics.warning)
    run = session.find_run(name)
    where = session.fetch(run, destination)
    output.document({"id": run.id, "output": str(where)}) if as_json else output.line(str(where))


@runs.command()
@RUN
@click.option("--detach", is_flag=True, help="Return at once.")
@click.option("--log-output", is_flag=True, help="Show what the cells print.")
@JSON
@click.pass_context
def rerun(ctx: click.Context, /, *, name: str | None, detach: bool, log_output: bool, as_json: bool) -> None:
    """Run again with the same parameters, target and options, the notebook as it is now."""
    from .run import detached

    session = Session(notify=diagnostics.warning)
    made = session.rerun(session.find_run(name))
    if not as_json:
        diagnostics.info(headline(made))
    made = session.submit(made)
    if detach:
        detached(made, as_json=as_json)
        return
    ctx.exit(attach_run(session, made, log_output=log_output, as_json=as_json))


@runs.command()
@RUN
@click.option("-o", "--output", "destination", type=click.Path(path_type=Path), help="File or folder to put it in.")
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@JSON
def report(*, name: str | None, destination: Path | None, open_it: bool, as_json: bool) -> None:
    """Make an HTML page of a run's notebook."""
    session = Session(notify=diagnostics.warning)
    run = session.find_run(name)
    where = session.report(run, destination)
    output.document({"id": run.id, "report": str(where)}) if as_json else output.line(str(where))
    if open_it and not browser.show(where.absolute().as_uri()):
        diagnostics.info("no browser here; open the page in one elsewhere")


@runs.command()
@click.argument("first", shell_complete=complete_run)
@click.argument("second", shell_complete=complete_run)
@JSON
def compare(*, first: str, second: str, as_json: bool) -> None:
    """Show what differs between two runs: parameters, durations, outputs."""
    session = Session(notify=diagnostics.warning)
    pair = session.run(first), session.run(second)
    found = session.compare(*pair)
    if as_json:
        output.document({"first": pair[0].id, "second": pair[1].id, "comparison": found})
        return
    heads = ["", pair[0].id, pair[1].id]
    rows = [[name, *("default" if v is None else str(v) for v in both)] for name, both in found.parameters.items()]
    rows.append(["state", words.state(pair[0]), words.state(pair[1])])
    rows.append(["time", *map(words.seconds, found.seconds)])
    for cell in found.cells:
        place = "/".join(dict.fromkeys(str(number) for number in cell.numbers if number))
        rows.append([f"[{place}]  {cell.source[:40]}", *map(words.seconds, cell.seconds)])
    output.table(heads, rows)
    for line in found.outputs:
        output.line(printable(line))


@runs.command()
@click.argument("names", metavar="ID…", nargs=-1, required=True, shell_complete=complete_run)
@ask.YES
@JSON
def remove(*, names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Forget runs that have ended, with all that is kept of them; `-o` files stay."""
    session = Session(notify=diagnostics.warning)
    found = [run for name in names for run in named(session, name)]
    them = "it" if len(found) == 1 else "them"
    which = ", ".join(f"`{run.id}`" for run in found)
    ask.confirm(f"remove {which} and what is kept of {them}?", yes=yes, declined="nothing was removed")
    removed: list[str] = []
    failed: JupyterctlError | None = None
    for run in found:
        try:
            session.remove(run)
        except JupyterctlError as error:
            if failed is not None:
                diagnostics.error(failed.message, failed.hint)
            failed = error
            continue
        removed.append(run.id)
        if not as_json:
            output.line(f"removed {run.id}")
    if as_json:
        output.document({"removed": removed})
    if failed is not None:
        raise failed


def named(session: Session, name: str) -> list[Run]:
    """The run of that name, or the runs of that sweep."""
    sweep_name = session.find_sweep(name)
    return session.sweep(sweep_name) if sweep_name else [session.find_run(name)]
