"""What is done with servers: started, opened, stopped, restarted, entered. Each is a coroutine of the dashboard."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..errors import NoLabError
from ..model import Phase, PhaseState

if TYPE_CHECKING:
    from ..core.session import Session
    from ..environments.solve import Step
    from .app import Dashboard


async def start(board: Dashboard, name: str) -> None:
    """Start a server, each step shown as it comes; where no environment has JupyterLab, offer to make one first."""
    try:
        await _steps(board, name, "starting", lambda session: session.start_server(name))
    except NoLabError as error:
        if not await _make_lab(board, name, error):
            return
        await _steps(board, name, "starting", lambda session: session.start_server(name))
    board.say(f"`{name}` runs; o opens it")


async def _make_lab(board: Dashboard, name: str, error: NoLabError) -> bool:
    """Ask, and make an environment with JupyterLab; the server's row tells how far it is."""
    from .screens.dialogs import Confirm

    details = [error.message, "That takes a minute or two, and about half a gigabyte."]
    question = "Make an environment with JupyterLab?"
    if not await board.push_screen_wait(Confirm(question, verb="Make it", details=details)):
        return False

    def report(step: Step) -> None:
        far = f" {100 * step.done // step.total} %" if step.total else ""
        board.phases[name] = f"making: {step.step}{far}"
        making = f"making one with JupyterLab: {step.step}{far}"
        board.steps[name] = [Phase(name="environment", state=PhaseState.DOING, detail=making)]
        board.call_from_thread(board.tell)

    try:
        with _Doing(board, name, "making an environment"):
            await board.sessions.ask(lambda session: session.create_lab(name, report))
    finally:
        board.steps.pop(name, None)
    return True


async def reconnect(board: Dashboard, name: str) -> None:
    """Bring the way to a server back, each step shown as it comes."""
    await _steps(board, name, "reconnecting", lambda session: session.reconnect(name))
    board.say(f"`{name}` is back; the tab that was open goes on")


async def restart(board: Dashboard, name: str) -> None:
    """Ask, and restart a server on the same port with the same token."""
    if await _sure(board, name, "Restart"):
        await _steps(board, name, "restarting", lambda session: session.restart_server(name))
        board.say(f"`{name}` runs again")


async def stop(board: Dashboard, name: str) -> None:
    """Ask, and stop a server."""
    if not await _sure(board, name, "Stop"):
        return
    with _Doing(board, name, "stopping"):
        await board.sessions.ask(lambda session: session.stop_server(name, force=True))
    board.steps.pop(name, None)
    board.say(f"`{name}` is stopped")


async def open_it(board: Dashboard, name: str) -> None:
    """Open a server in the browser; where there is none, show its address."""
    from ..core import browser
    from .screens.dialogs import Address

    address = await board.sessions.ask(lambda session: session.server_url(name))
    opened = await board.sessions.ask(lambda _: browser.show(address))
    if opened:
        board.say(f"`{name}` is open in your browser")
    else:
        board.push_screen(Address(name, address))


async def shell(board: Dashboard, name: str) -> None:
    """Leave the screen to a shell at the server's place; the dashboard comes back when it ends."""
    command = await board.sessions.ask(lambda session: session.shell_command(name))
    with board.suspend():
        subprocess.run(command, check=False)  # noqa: ASYNC221 - the terminal is the shell's meanwhile


async def _sure(board: Dashboard, name: str, verb: str) -> bool:
    """Ask the person, naming the kernels that are busy and what else would be lost."""
    from .screens.dialogs import Confirm

    busy = await board.sessions.ask(lambda session: session.busy_kernels(name))
    details = [f"busy: {kernel.path or kernel.name}" for kernel in busy]
    if busy:
        details.append("What they hold in memory will be lost.")
    lost = await board.sessions.ask(lambda session: session.would_lose(name))
    if lost is not None:
        details += [f"lost: {lost.what}; {lost.why}", f"{lost.hint[:1].upper()}{lost.hint[1:]}."]
    answer: bool | None = await board.push_screen_wait(Confirm(f"{verb} `{name}`?", verb=verb, details=details))
    return bool(answer)


async def _steps(board: Dashboard, name: str, word: str, verb: Callable[[Session], Iterable[Phase]]) -> None:
    """Carry out what gives steps, and show them."""
    board.steps[name] = []
    with _Doing(board, name, word):
        async for phases in board.sessions.stream(verb):
            for phase in phases:
                others = [known for known in board.steps[name] if known.name != phase.name]
                board.steps[name] = [*others, phase]
            board.phases[name] = f"{word}: {phases[-1].name}"
            board.tell()


class _Doing:
    """While something is done with a server, its row says so; afterwards it is looked at again."""

    def __init__(self, board: Dashboard, name: str, word: str) -> None:
        self.board, self.name = board, name
        board.phases[name] = word
        board.tell()

    def __enter__(self) -> None:
        """It has begun."""

    def __exit__(self, *_: object) -> None:
        self.board.phases.pop(self.name, None)
        self.board.look_again.set()
        self.board.tell()
