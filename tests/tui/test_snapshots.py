"""Every screen at three sizes, empty, loading, failing and crowded, as pictures kept in `__snapshots__`.

`pytest tests/tui/test_snapshots.py --snapshot-update` keeps new ones; look at them before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec import structs
from textual.pilot import Pilot
from textual.widgets import Input

from jupyterctl.core import words
from jupyterctl.core.session import Session
from jupyterctl.errors import TargetError
from jupyterctl.model import RunState
from jupyterctl.paths import profiles
from jupyterctl.store import Store
from jupyterctl.tui.app import Dashboard
from jupyterctl.tui.screens.dialogs import Address, Confirm, Failure, Pick
from jupyterctl.tui.screens.profile_form import ProfileForm
from jupyterctl.tui.screens.run_form import RunForm
from jupyterctl.tui.widgets import runview
from jupyterctl.tui.widgets.logview import LogView
from tests.conftest import notebook
from tests.tui import canned
from tests.tui.canned import Canned, Empty, Failing, Loading
from tests.tui.ground import SIZES, screen, until

REST_SECONDS = 0.15
"""Between two looks at a screen; it has settled once several of them are the same."""
LOOKS = 4
Before = Callable[[Pilot[None]], Awaitable[None]]


@pytest.fixture(autouse=True)
def frozen(home, tmp_path, monkeypatch):
    """A clock that stands still, a folder of a known name, and runs in the store."""
    moment = datetime.fromisoformat(canned.NOW)
    monkeypatch.setattr(
        words, "since", lambda then: (moment - datetime.fromisoformat(then)).total_seconds() if then else None
    )
    monkeypatch.setattr(runview, "time", SimpleNamespace(monotonic=lambda: 0.0))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def store() -> None:
    """Keep a run in each state, and many more."""
    kept = Store()
    for n in range(80):
        ended = {"created": f"2026-02-{n % 28 + 1:02}T08:00:00.000Z", "seconds": n * 7.0, "collected": True}
        kept.add(canned.run(f"sweep-{n:03}", RunState.SUCCEEDED, **ended))
    for second, one in enumerate(canned.runs()[::-1]):
        kept.add(structs.replace(one, created=f"2026-03-01T11:40:{second:02}.000Z"))
    kept.close()


async def settled(pilot: Pilot[None]) -> None:
    """Wait for what the threads bring, until nothing changes any more."""
    seen: list[str] = []
    for _ in range(100):
        await pilot.pause()
        await asyncio.sleep(REST_SECONDS)
        seen = [*seen[1 - LOOKS :], screen(pilot)]
        if len(seen) == LOOKS and len(set(seen)) == 1:
            break
    for typed in pilot.app.screen.query(Input):
        typed.cursor_blink = False


def compare(snap_compare, size, make: Callable[[], Session], before: Before) -> None:
    """Compare a picture of the dashboard, once `before` has been done, with the one that is kept."""

    async def run_before(pilot: Pilot[None]) -> None:
        board = pilot.app
        assert isinstance(board, Dashboard)
        if make in {Canned, Empty}:
            await until(pilot, lambda: board.servers is not None and board.runs is not None)
        await before(pilot)
        await settled(pilot)

    assert snap_compare(Dashboard(make), terminal_size=size, run_before=run_before)


def pressing(*keys: str) -> Before:
    """Press keys, each after the one before has done its work."""

    async def press(pilot: Pilot[None]) -> None:
        for key in keys:
            await pilot.press(key)
            await settled(pilot)

    return press


async def log_of_a_server(pilot: Pilot[None]) -> None:
    pilot.app.follow("server", "lab")
    await settled(pilot)


async def log_searched(pilot: Pilot[None]) -> None:
    await log_of_a_server(pilot)
    await until(pilot, lambda: pilot.app.screen.query_one(LogView).line_count == 200)
    await pilot.press("slash", "1", "9", "enter", "N")


SCREENS: dict[str, Before] = {
    "servers": pressing(),
    "runs": pressing("2"),
    "logs": log_of_a_server,
    "doctor": pressing("5"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("make", [Empty, Loading, Failing, Canned], ids=["empty", "loading", "error", "crowded"])
@pytest.mark.parametrize("name", SCREENS)
def test_modes(snap_compare, name, make, size):
    if make is Canned:
        store()
    if name == "logs" and make is Empty:
        compare(snap_compare, size, make, pressing("4"))
    else:
        compare(snap_compare, size, make, SCREENS[name])


def dialog(screen: Callable[[], object]) -> Before:
    """Show a dialog."""

    async def show(pilot: Pilot[None]) -> None:
        pilot.app.push_screen(screen())
        await settled(pilot)

    return show


def unforeseen() -> Failure:
    """A failure that nobody foresaw; its traceback is shorter than a real one."""
    shown = Failure(KeyError("[/what]"))
    shown.details = 'Traceback:\n  File "x.py", line 1\nKeyError: [/what]'
    return shown


DIALOGS: dict[str, Before] = {
    "confirm": dialog(
        lambda: Confirm(
            "Stop `lab`?", verb="Stop", details=["busy: train.ipynb", "What they hold in memory will be lost."]
        )
    ),
    "error": dialog(
        lambda: Failure(TargetError("no answer from [/gpu-01] in 10 s", "look at it: jupyterctl doctor gpu-01"))
    ),
    "unforeseen": dialog(unforeseen),
    "address": dialog(lambda: Address("lab", "http://127.0.0.1:22718/lab?token=0123456789abcdef")),
    "pick": dialog(lambda: Pick("Whose log?", [(str(n), f"run train-{n}") for n in range(40)])),
    "help": pressing("question_mark"),
    "commands": pressing("at"),
    "palette": pressing("colon"),
}
VIEWS: dict[str, Before] = {
    "server": pressing("enter"),
    "run-live": pressing("2", "enter"),
    "run-failed": pressing("2", "down", "down", "f"),
    "filtered": pressing("2", "slash", "f", "a", "i", "l"),
    "filter-kept": pressing("2", "slash", "s", "w", "e", "e", "p", "enter"),
    "nothing-found": pressing("2", "slash", "z", "z"),
    "log-searched": log_searched,
    "problems": pressing("5", "p", "down", "enter"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", DIALOGS)
def test_dialogs(snap_compare, name, size):
    compare(snap_compare, size, Canned, DIALOGS[name])


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", VIEWS)
def test_views(snap_compare, name, size):
    store()
    compare(snap_compare, size, Canned, VIEWS[name])


class Plain(Canned):
    """Profiles as they are; nothing of this machine is offered."""

    profile = server_profile = Session.profile  # type: ignore[assignment]
    profile_values = Session.profile_values


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["new-profile", "edit-profile", "new-run", "wrong-run", "browse"])
def test_forms(snap_compare, name, size, frozen, monkeypatch):
    monkeypatch.setattr("jupyterctl.tui.offers.FOUND", {})
    folder = profiles()
    folder.mkdir(parents=True)
    (folder / "lab.toml").write_text('kind = "local"\nworkdir = "~/work"\n[run]\nretries = 2\n')
    notebook(frozen / "train.ipynb", "# parameters\nsteps: int = 500  # how many\nrate = 0.1\nday: str", "1")
    monkeypatch.setattr("jupyterctl.tui.screens.profile_form._origin", lambda file: f"  (from {Path(file).name})")

    async def show(pilot: Pilot[None]) -> None:
        if name == "new-profile":
            pilot.app.push_screen(ProfileForm())
        elif name == "edit-profile":
            pilot.app.push_screen(ProfileForm("lab"))
        else:
            pilot.app.push_screen(RunForm("train.ipynb"))
        await settled(pilot)
        if name == "wrong-run":
            pilot.app.screen.row("parameter steps").text = "many"
        elif name == "browse":
            await pilot.press("f2")

    compare(snap_compare, size, Plain, show)


@pytest.mark.parametrize("theme", ["jupyter-light", "ansi-dark"])
def test_themes(snap_compare, theme, home):
    store()
    (home / "config").mkdir()
    (home / "config/dashboard.toml").write_text(f'theme = "{theme}"\n')
    compare(snap_compare, SIZES[-1], Canned, pressing("2"))


def test_ascii(snap_compare, home):
    store()
    (home / "config").mkdir()
    (home / "config/dashboard.toml").write_text('glyphs = "ascii"\n')
    compare(snap_compare, SIZES[-1], Canned, pressing("2"))


def test_no_colour(snap_compare, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    store()
    compare(snap_compare, SIZES[-1], Canned, pressing("2"))


def test_too_small(snap_compare):
    compare(snap_compare, (50, 12), Canned, pressing())
