"""The dashboard as an app: modes, what is known and how it is kept current, messages, and how actions are carried out.

Nothing is waited for before the first paint. What is known of servers and runs is looked at in threads; every screen is
told when something is new and shows what there is. Two dashboards show the same, for both read the store.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from asyncio import Event
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from textual.app import SystemCommand
from textual.binding import Binding
from textual.markup import escape
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from ..core.session import Session
from ..errors import JupyterctlError
from ..targets import DEFAULT
from ..transport import asking
from . import actions, preferences, themes
from .glyphs import Glyphs, ascii_wanted
from .keys import Keys
from .threads import Sessions

if TYPE_CHECKING:
    from ..core.ledger import Ledger
    from ..core.status import Status
    from ..model import Outline, Phase
    from ..transport.ssh.way import Question

LOOK_SECONDS = 0.5
"""Between looks at the store."""
ASK_SECONDS = 1.0
"""Between questions to a place about its live runs."""
SWITCH_SECONDS = 0.001
"""How long a thread that waits for an answer may keep the screen waiting."""
NOTICE_SECONDS = 20.0
"""How long the person is told what to do elsewhere."""
STATUS_SECONDS = 2.0
"""Between looks at all servers; looking takes at most a tenth of the time."""


def _servers() -> Screen[Any]:
    from .screens.servers import Servers

    return Servers()


def _runs() -> Screen[Any]:
    from .screens.runs import Runs

    return Runs()


def _logs() -> Screen[Any]:
    from .screens.logs import Logs

    return Logs()


def _doctor() -> Screen[Any]:
    from .screens.doctor import Doctor

    return Doctor()


class Dashboard(Keys):
    """The whole dashboard over the sessions that `make` makes."""

    TITLE = "jupyterctl"
    CSS_PATH = "styles.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "servers": _servers, "runs": _runs, "logs": _logs, "doctor": _doctor,
    }  # fmt: skip
    DEFAULT_MODE = "servers"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it so
        (0, "-narrow"),
        (80, "-normal"),
        (120, "-wide"),
    ]
    BINDINGS: ClassVar[list[Any]] = [
        *actions.bindings("app"),
        *(Binding(key, f"mode('{mode}')", mode, id=f"mode.{mode}") for mode, key in actions.MODES.items()),
        Binding("escape", "back", "back", show=False),
    ]

    def __init__(self, make: Callable[[], Session] = Session) -> None:
        super().__init__()
        self.preferences = preferences.load(actions.known())
        chosen = self.preferences.glyphs
        self.glyphs = Glyphs(ascii_only=chosen == "ascii" or (chosen == "auto" and ascii_wanted()))
        self.sessions = Sessions(make)
        self.runs: dict[str, Outline] | None = None
        """All runs, newest first; None until the store was read."""
        self.servers: dict[str, Status] | None = None
        self.texts: dict[str, str] = {}
        """Run to the text it is found by."""
        self.did = ""
        """The command for the last action."""
        self.problems: dict[str, str] = {}
        """Why `servers` or `runs` cannot be looked at."""
        self.phases: dict[str, str] = {}
        """Server to what is being done with it, in a word: `starting`."""
        self.steps: dict[str, list[Phase]] = {}
        """Server to the steps of its start."""
        self.source: tuple[str, str] | None = None
        """What the log shows: `server` or `run`, and its name."""
        self.came_from = ""
        """The mode that the log was opened from."""
        self.wanted_server = ""
        """The server to put the cursor on once it is in the list."""
        self.wanted_run = ""
        """The run to put the cursor on once it is in the list."""
        self.examined: str | None = None
        """The target that the doctor looks at; None for everything."""
        self.look_again = Event()
        """Set where servers are to be looked at at once."""
        self._asking: set[str] = set()
        themes.register(self)
        for captured in (self._capture_stdout, self._capture_stderr):
            captured.encoding = "utf-8"  # type: ignore[attr-defined]  # libtmux asks for it when it is imported

    def on_mount(self) -> None:
        """Paint first; then look."""
        self.set_class(self.glyphs.ascii_only, "-ascii")
        self.set_keymap(self.preferences.keys)
        themes.remember(self)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        for problem in self.preferences.problems:
            self.say(problem, severity="warning")
        self.background(self._watch_servers())
        self.background(self._watch_runs())

    # -- what is known -------------------------------------------------------------------------------------------

    async def _watch_runs(self) -> None:
        from asyncio import sleep

        ledger: Ledger | None = None

        def poll(session: Session) -> bool:
            nonlocal ledger
            ledger = ledger or session.ledger()
            return ledger.poll()

        while True:
            with self._failing("runs"):
                if await self.sessions.ask(poll) and ledger is not None:
                    self.runs, self.texts = ledger.runs, ledger.texts
                    self.tell("runs")
                    gc.freeze()  # thousands of runs that stay need not be looked through for garbage again and again
                self._ask_places()
            await sleep(LOOK_SECONDS)

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        """While something cannot be looked at, its list says why; it is tried again."""
        before = self.problems.pop(what, "")
        try:
            yield
        except JupyterctlError as error:
            self.problems[what] = "\n".join(filter(None, (error.message, error.hint)))
        if self.problems.get(what, "") != before:
            self.tell(what)

    def _ask_places(self) -> None:
        """Let each place with live runs be asked about them, whatever the others do."""
        live: dict[str, list[str]] = {}
        for run in (self.runs or {}).values():
            if not run.state.ended and run.target not in self._asking:
                live.setdefault(run.target, []).append(run.id)
        for target, names in live.items():
            self._asking.add(target)
            self.background(self._ask_place(target, names))

    async def _ask_place(self, target: str, names: list[str]) -> None:
        from asyncio import sleep

        def ask(session: Session) -> None:
            for name in names:
                with suppress(JupyterctlError):  # gone meanwhile, or its profile is: the list tells
                    session.run(name)

        try:
            await self.sessions.ask(ask)
            await sleep(ASK_SECONDS)
        finally:
            self._asking.discard(target)

    async def _watch_servers(self) -> None:
        from asyncio import wait_for

        while True:
            began = time.monotonic()
            self.look_again.clear()
            with self._failing("servers"):
                found = await self.sessions.ask(all_servers)
                known = {status.name: status for status in found}
                busy = (name for name in self.phases if name in (self.servers or {}))
                known |= {name: self.servers[name] for name in busy if self.servers and name not in known}
                if known != self.servers:
                    self.servers = known
                    self.tell()
            with suppress(TimeoutError):
                await wait_for(self.look_again.wait(), max(STATUS_SECONDS, 9 * (time.monotonic() - began)))

    def tell(self, what: str = "servers") -> None:
        """Let the screen that lists these show what is new."""
        from .screens.mode import Mode

        for screen in self.screen_stack:
            if isinstance(screen, Mode) and screen.mode == what and screen.is_mounted:
                screen.news()

    # -- doing ---------------------------------------------------------------------------------------------------

    def background(self, work: Awaitable[Any]) -> Worker[Any]:
        """Let something go on by itself; its failure is shown."""
        return self.run_worker(work, exit_on_error=False)

    def carry_out(self, work: Awaitable[Any]) -> None:
        """Carry an action out; its failure is shown."""
        self.background(work)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show what went wrong."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.fail(event.worker.error)

    def fail(self, error: BaseException) -> None:
        """Show an error, with what to do about it, and a way to copy it."""
        from .screens.dialogs import Failure

        self.push_screen(Failure(error))

    def say(
        self,
        message: str,
        *,
        severity: Literal["information", "warning", "error"] = "information",
        seconds: float | None = None,
    ) -> None:
        """A message that goes away by itself."""
        self.notify(self.glyphs.draw(message), severity=severity, timeout=seconds, markup=False)

    def follow(self, kind: str, name: str) -> None:
        """Show the log of a server or a run; escape leads back."""
        self.source, self.came_from = (kind, name), self.current_mode
        self.switch_mode("logs")

    def go_to_run(self, name: str) -> None:
        """Show a run in its list as soon as it is there."""
        self.wanted_run = name
        self.action_mode("runs")
        self.tell("runs")

    def examine(self, name: str | None) -> None:
        """Let the doctor look at a target."""
        self.examined = name
        self.switch_mode("doctor")

    # -- keys ----------------------------------------------------------------------------------------------------

    def delay_update(self, delay: float = 0.0) -> None:
        """Another mode is drawn at once; Textual would hold its first frame back for 50 ms."""
        del delay

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What our styles use beside a theme's own colours: a quiet text that is read on light and dark."""
        return {"quiet": "#8b949e"}

    def key_of(self, mode: str, action: actions.Action) -> str:
        """The key of an action, as the bar shows it."""
        keys = self.preferences.keys.get(f"{mode}.{action.name}", action.key)
        return self.get_key_display(Binding(keys.split(",")[0].strip(), ""))

    def action_mode(self, mode: str) -> None:
        """Show a mode."""
        if len(self.screen_stack) == 1:
            self.switch_mode(mode)

    async def action_back(self) -> None:
        """Leave what lies over the mode."""
        if len(self.screen_stack) > 1:
            self.pop_screen()

    def action_do(self, name: str) -> None:
        """An action that every screen has."""
        getattr(self, f"do_{name}")()

    def do_help(self) -> None:
        """All keys."""
        from .screens.help import Help

        self.push_screen(Help())

    def do_palette(self) -> None:
        """Find an action."""
        self.action_command_palette()

    def do_command(self) -> None:
        """The commands for what can be done here."""
        from .screens.dialogs import Commands

        self.push_screen(Commands())

    def do_quit(self) -> None:
        """Leave."""
        self.exit()

    def action_help_quit(self) -> None:
        """What ctrl-c does: nothing is to be lost by habit."""
        key = self.key_of("app", actions.find("app", "quit"))
        self.say(f"{key} leaves; servers and runs go on")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: this screen's actions, the modes, the themes."""
        from .screens.mode import Base

        if isinstance(screen, Base):
            for action in actions.ACTIONS.get(screen.mode, ()):
                help_ = escape(screen.why_not(action.name) or action.help)
                yield SystemCommand(action.label, help_, lambda name=action.name: screen.action_do(name))
        for mode in actions.MODES:
            yield SystemCommand(mode.capitalize(), f"Show {mode}", lambda mode=mode: self.action_mode(mode))
        yield SystemCommand("theme", "Choose colours", self.action_change_theme)
        yield SystemCommand("quit", "Leave; servers and runs go on", self.exit)


def all_servers(session: Session) -> list[Status]:
    """Every profile's server, and this machine's, which needs no profile; no other place is gone to unasked."""
    found = session.statuses()
    known = {status.kind for status in found} | {status.name for status in found}
    if DEFAULT in session.kinds() and DEFAULT not in known:
        found.append(session.status(DEFAULT))
    return found


def _ask_person(board: Dashboard, question: Question) -> str | None:
    """Put a question from a thread; None where the person declines, and no for a host key that they do not know."""
    if question.kind == "notice":
        board.call_from_thread(board.say, question.text, severity="warning", seconds=NOTICE_SECONDS)
        return ""
    from .screens.dialogs import Answer

    answered: SimpleQueue[str | None] = SimpleQueue()
    board.call_from_thread(board.push_screen, Answer(question), answered.put)
    answer = answered.get()
    return "no" if answer is None and question.kind == "host-key" else answer


def open_dashboard() -> None:
    """Open the dashboard in this terminal; returns when it is left, and dies with the terminal."""
    threading.Thread(target=_end_with_terminal, daemon=True).start()
    sys.setswitchinterval(SWITCH_SECONDS)
    for size in ("COLUMNS", "LINES"):
        os.environ.pop(size, None)  # where a shell exports them, they would be believed for ever
    board = Dashboard()
    asking.answer_with(lambda question: _ask_person(board, question))
    board.run()


def _end_with_terminal() -> None:
    """Where nobody passes the hang-up on, Textual would go on for ever without a terminal, and keep a core busy."""
    while os.isatty(0):
        time.sleep(LOOK_SECONDS)
    os._exit(128 + signal.SIGHUP)
