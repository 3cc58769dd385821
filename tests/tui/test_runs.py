"""Mode Runs, with real runs: every action, from the form to the failing cell."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from jupyterctl.core.session import Session
from jupyterctl.model import RunOptions, RunState
from jupyterctl.tui.screens.dialogs import Confirm
from jupyterctl.tui.screens.run_form import RunForm
from jupyterctl.tui.widgets.logview import LogView
from jupyterctl.tui.widgets.runview import RunView
from jupyterctl.tui.widgets.table import Table
from tests.conftest import notebook, wait_for
from tests.tui.ground import SIZES, opened, screen, shown, told, typed, until

pytestmark = pytest.mark.asyncio


def run(path: Path, *cells: str, wait: bool = True) -> str:
    """Start a run of these cells; returns its id, once it has ended where that is waited for."""
    session = Session(cwd=path)
    made = notebook(path / "nb.ipynb", *cells)
    prepared = session.prepare(made, given={}, secrets={}, options=RunOptions())
    started = session.submit(session.create_run(prepared))
    if wait:
        for _ in session.follow(started):
            pass
    return started.id


def waiting(path: Path) -> str:
    """A cell that goes on until the file `go` is there."""
    return (
        f"import time, pathlib\nprint('begun')\nwhile not pathlib.Path({str(path / 'go')!r}).exists(): time.sleep(0.05)"
    )


@pytest.fixture
def here(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_a_run_from_the_form(here):
    notebook(here / "grow.ipynb", "# parameters\nsteps: int = 2  # how many\nname = 'x'", "print(steps * 2, name)")
    async with opened() as pilot:
        await pilot.press("2", "n")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, RunForm) and len(pilot.app.screen.query("FormRow")) == 4
        )
        await typed(pilot, "grow.ipynb")
        text = await shown(pilot, "how many")
        assert "int" in text
        assert "jupyterctl run grow.ipynb" in text
        await pilot.press("enter")
        form = pilot.app.screen
        form.row("parameter steps").query_one("Input").focus()
        await typed(pilot, "two")
        await shown(pilot, "takes `int`")
        await pilot.press("ctrl+s")
        assert pilot.app.screen is form, "a wrong value is not sent"
        await pilot.press("backspace", "backspace", "backspace", "7")
        await shown(pilot, "jupyterctl run grow.ipynb -p steps 7")
        await pilot.press("ctrl+s")
        await shown(pilot, "succeeded")
        found = Session().find_run()
        assert (found.parameters, found.notebook) == ({"steps": 7}, str(here / "grow.ipynb"))
        await pilot.press("enter", "G")
        assert "14 x" in await shown(pilot, "14 x")


async def test_the_form_says_what_is_wrong_with_a_notebook(here):
    (here / "bad.ipynb").write_text("{")
    async with opened() as pilot:
        await pilot.press("2", "n")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, RunForm) and len(pilot.app.screen.query("FormRow")) == 4
        )
        await typed(pilot, "bad.ipynb")
        await shown(pilot, "Parameters  `bad.ipynb`")


async def test_the_form_offers_profiles_and_the_kinds_that_need_none(here, home):
    folder = home / "config/profiles"
    folder.mkdir(parents=True)
    (folder / "pod.toml").write_text('kind = "kubernetes"\n')
    (folder / "broken.toml").write_text('kind = "kubernetes"\nimage = 3\n')
    async with opened() as pilot:
        await pilot.press("2", "n")
        form = await until(pilot, lambda: isinstance(pilot.app.screen, RunForm) and pilot.app.screen)
        offered = await until(pilot, lambda: form.row("target").choices)
        assert set(offered) == {"pod", "docker", "local"}


async def test_a_notebook_is_found_by_browsing(here):
    notebook(here / "deep" / "one.ipynb", "1")
    (here / "deep" / "no.txt").write_text("")
    async with opened() as pilot:
        await pilot.press("2", "n", "f2")
        await shown(pilot, "Which notebook?")
        await shown(pilot, "deep")
        await pilot.press("down", "enter")
        assert "no.txt" not in await shown(pilot, "one.ipynb")
        await pilot.press("down", "enter")
        await shown(pilot, f"jupyterctl run {here}/deep/one.ipynb")


async def test_live_cells_and_cancel(here):
    name = run(here, "print('first')", waiting(here), "3", wait=False)
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, "1 of 3")
        text = await shown(pilot, "begun")
        assert "░" in text
        assert "● running" in text
        await pilot.press("x")
        question = await until(pilot, lambda: isinstance(pilot.app.screen, Confirm) and pilot.app.screen)
        await shown(pilot, "Let it run  esc")
        assert name in question.title_text
        assert question.focused.id == "no"
        await pilot.press("enter")
        assert Session().run(name).state is RunState.RUNNING
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("right", "enter")
        await shown(pilot, "○ cancelled")
        assert Session().run(name).state is RunState.CANCELLED


async def test_a_live_run_cannot_be_removed_and_an_ended_one_not_cancelled(here):
    name = run(here, waiting(here), wait=False)
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, "● running")
        await pilot.press("delete")
        assert "cancel it first" in told(pilot)[-1]
        (here / "go").touch()
        await shown(pilot, "✓ succeeded")
        await pilot.press("x")
        assert told(pilot)[-1].startswith(f"`{name}` has ended")


async def test_run_again_and_remove(here):
    name = run(here, "1")
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, name)
        await pilot.press("R")
        await until(pilot, lambda: len(Session().runs()) == 2)
        table = pilot.app.screen.query_one("#table", Table)
        again = await until(pilot, lambda: table.key if table.key != name else None)
        await until(pilot, lambda: Session().find_run(again).state.ended and len(table.keys) == 2)
        await until(pilot, lambda: pilot.app.runs[again].state.ended)
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: list(table.keys) == [name])
        assert [run.id for run in Session().runs()] == [name]


async def test_the_failing_cell(here):
    run(here, "print('fine')", "1 / 0", "print('never')")
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, "✗ failed")
        await pilot.press("f")
        view = pilot.app.screen.query_one(RunView)
        await until(pilot, lambda: view.query_one("#cells", Table).key == "1")
        text = await shown(pilot, "Traceback")
        assert "Traceback (most recent call last)" in text
        assert "----> 1" in text
        await pilot.press("escape")
        await shown(pilot, "NOTEBOOK" if pilot.app.size.width > 120 else "TIME")


async def test_where_there_is_little_room_the_exception_is_what_is_seen(here):
    lines = "\n".join(f"number_{n} = {n}" for n in range(30))
    run(here, f"{lines}\nraise ValueError('too much of it')", f"print('ok')\n{lines}")
    async with opened(size=(80, 24)) as pilot:
        await pilot.press("2")
        await shown(pilot, "✗ failed")
        await pilot.press("f")
        await until(pilot, lambda: "ValueError: too much of it" in "\n".join(screen(pilot).splitlines()[-6:]))
        assert "enter output  esc back" in screen(pilot)
        await pilot.press("enter", "home")
        await shown(pilot, "number_0 = 0")


async def test_its_log_is_followed(here):
    run(here, "print('first')", waiting(here), "print('last')", wait=False)
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, "begun")
        await pilot.press("l")
        log = await until(pilot, lambda: pilot.app.current_mode == "logs" and pilot.app.screen.query_one(LogView))
        await until(pilot, lambda: "begun" in list(log.lines))
        assert "last" not in list(log.lines)
        (here / "go").touch()
        await until(pilot, lambda: list(log.lines)[:3] == ["first", "begun", "last"])


async def test_the_result_opens_in_the_browser(here, monkeypatch):
    seen = here / "seen"
    browser = here / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    name = run(here, "print(6 * 7)")
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, name)
        await pilot.press("o")
        await until(pilot, seen.exists)
        assert wait_for(seen.read_text).strip() == (Session().report(Session().find_run(name))).as_uri()


async def test_sort_and_filter(here):
    first, second = run(here / "a", "1"), run(here / "b", "1 / 0")
    async with opened() as pilot:
        await pilot.press("2")
        table = pilot.app.screen.query_one("#table", Table)
        await until(pilot, lambda: list(table.keys) == [second, first])
        await pilot.press("S")
        assert list(table.keys) == sorted([first, second])
        await pilot.press("slash")
        await typed(pilot, "failed")
        await until(pilot, lambda: list(table.keys) == [second])
        await pilot.press("enter")
        assert table.has_focus
        await pilot.press("slash", "escape")
        await until(pilot, lambda: len(table.keys) == 2)


@pytest.mark.parametrize("size", SIZES)
async def test_it_is_sorted_by_columns_that_are_shown_alone(here, size):
    run(here / "a", "1")
    async with opened(size=size) as pilot:
        await pilot.press("2")
        table = pilot.app.screen.query_one("#table", Table)
        await until(pilot, lambda: table.keys and table.titles_shown)
        by = []
        while True:
            await pilot.press("S")
            if not table.titles:
                break
            by += table.titles
            await shown(pilot, f"{by[-1]} ▾")
        assert by
        assert by == [name for name in by if name in table.titles_shown]


async def test_a_filter_that_was_kept_is_told_and_ended_by_escape(here):
    run(here / "a", "1"), run(here / "b", "1 / 0")
    async with opened() as pilot:
        await pilot.press("2")
        table = pilot.app.screen.query_one("#table", Table)
        await until(pilot, lambda: len(table.keys) == 2)
        rows = table.region
        await pilot.press("slash")
        await typed(pilot, "failed")
        await until(pilot, lambda: len(table.keys) == 1)
        assert screen(pilot).splitlines()[-1].startswith("failed "), "it lies over the key bar"
        assert table.region == rows, "nothing moves"
        await pilot.press("enter")
        await until(pilot, lambda: screen(pilot).splitlines()[-1].startswith(" /failed  1 of 2  esc clears"))
        await pilot.press("enter", "escape")
        assert len(table.keys) == 1, "the first escape leaves the detail"
        await pilot.press("escape")
        await until(pilot, lambda: len(table.keys) == 2 and "/failed" not in screen(pilot))


async def test_text_from_outside_is_no_markup(here):
    run(here, "print('[/tmp/x] [bold]not bold[/]')", "raise ValueError('[/nope]')  # [/c]")
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, "ValueError: [/nope]")
        await pilot.press("enter", "up", "up")
        await shown(pilot, "[/tmp/x] [bold]not bold[/]")


async def test_a_run_made_elsewhere_appears(here):
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, "No runs yet")
        name = run(here, "1")
        await shown(pilot, name)


async def test_two_dashboards_show_the_same(here):
    name = run(here, waiting(here), wait=False)
    async with opened() as one, opened() as other:
        for pilot in (one, other):
            await pilot.press("2")
            await shown(pilot, "● running")
        await one.press("x")
        await until(one, lambda: isinstance(one.app.screen, Confirm))
        await one.press("y")
        await shown(other, "○ cancelled")
    assert Session().find_run(name).state is RunState.CANCELLED


async def test_the_command_of_what_was_done(here):
    name = run(here, "1")
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, name)
        await pilot.press("R")
        await until(pilot, lambda: pilot.app.did)
        await pilot.press("at")
        text = await shown(pilot, "The same as a command")
        assert f"last         jupyterctl runs rerun {name} --detach" in text
