"""What is done with runs: cancelled, run again, opened, removed. Each is a coroutine of the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import words

if TYPE_CHECKING:
    from ..core.session import Session
    from ..model import Run
    from .app import Dashboard


async def cancel(board: Dashboard, name: str) -> None:
    """Ask, and end a run; its notebook is saved with what it has."""
    from .screens.dialogs import Confirm

    run = await board.sessions.ask(lambda session: session.run(name))
    if run.state.ended:
        board.say(f"`{name}` has ended meanwhile: {run.state}", severity="warning")
        return
    details = [f"{words.state(run)}, {run.cells.done} of {run.cells.total} cells; the notebook is saved as it is"]
    question = Confirm(f"Cancel `{name}`?", verb="Cancel the run", safe="Let it run", details=details)
    if await board.push_screen_wait(question):
        board.say(f"cancelling `{name}`")
        run = await board.sessions.ask(lambda session: session.cancel(run))
        board.say(f"`{name}` {words.outcome(run)}")


async def again(board: Dashboard, name: str) -> None:
    """Make a run like an earlier one, start it and go to it."""

    def rerun(session: Session) -> Run:
        return session.submit(session.rerun(session.find_run(name)))

    made = await board.sessions.ask(rerun)
    board.say(f"`{made.id}` runs")
    board.go_to_run(made.id)


async def open_report(board: Dashboard, name: str) -> None:
    """Make a page of a run's notebook and open it; where there is no browser, say where it is."""
    from ..core import browser

    board.say(f"making a page of `{name}`")
    page = await board.sessions.ask(lambda session: session.report(session.find_run(name)))
    opened = await board.sessions.ask(lambda _: browser.show(page.as_uri()))
    board.say(f"open in your browser: {page}" if opened else f"no browser here; the page is {page}")


async def remove(board: Dashboard, name: str) -> None:
    """Ask, and forget a run."""
    from .screens.dialogs import Confirm

    details = ["Its record and its result here are deleted; a file it was told to write stays."]
    if await board.push_screen_wait(Confirm(f"Remove `{name}`?", verb="Remove", details=details)):
        await board.sessions.ask(lambda session: session.remove(session.find_run(name)))
        board.say(f"`{name}` is removed")
