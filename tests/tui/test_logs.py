"""Mode Logs: following, staying, finding, wrapping, saving, and never holding more than it may."""

from __future__ import annotations

import pytest
from textual.app import App

from jupyterctl.core.session import Session
from jupyterctl.model import RunOptions
from jupyterctl.tui.glyphs import Glyphs
from jupyterctl.tui.widgets import logview
from jupyterctl.tui.widgets.logview import LogView
from tests.conftest import notebook
from tests.tui.ground import opened, shown, text_of, told, typed, until

pytestmark = pytest.mark.asyncio


@pytest.fixture
def name(tmp_path, home, monkeypatch):
    """A run that has printed 300 lines and then waits for the file `go` before each of some more."""
    monkeypatch.chdir(tmp_path)
    cell = f"""
import pathlib, time
print("\\n".join(f"line {{n}} {{'needle' if n in (7, 200) else ''}}" for n in range(300)))
while not pathlib.Path({str(tmp_path / "go")!r}).exists():
    time.sleep(0.05)
print("\\n".join(f"more {{n}}" for n in range(100)))
"""
    session = Session()
    prepared = session.prepare(notebook(tmp_path / "n.ipynb", cell), given={}, secrets={}, options=RunOptions())
    started = session.submit(session.create_run(prepared))
    return started.id


async def follow(pilot, name) -> LogView:
    pilot.app.follow("run", name)
    await until(pilot, lambda: pilot.app.current_mode == "logs" and pilot.app.screen.query(LogView))
    log = pilot.app.screen.query_one(LogView)
    await until(pilot, lambda: log.line_count >= 300)
    return log


async def test_it_follows_until_the_reader_scrolls_up(name, tmp_path):
    async with opened() as pilot:
        log = await follow(pilot, name)
        await shown(pilot, "line 299")
        await pilot.press("pageup")
        await until(pilot, lambda: not log.following and "paused" in text_of(pilot, "#source"))
        place = log.scroll_y
        (tmp_path / "go").touch()
        await until(pilot, lambda: log.line_count >= 400)
        assert log.scroll_y == place
        await pilot.press("end")
        await shown(pilot, "more 99")
        assert log.following


async def test_search(name):
    async with opened() as pilot:
        log = await follow(pilot, name)
        await pilot.press("n")
        assert "search for something first" in told(pilot)[-1]
        await pilot.press("slash")
        await typed(pilot, "needle")
        await until(pilot, lambda: log.place == 200 and "2 lines with `needle`" in text_of(pilot, "#source"))
        await pilot.press("enter", "n")
        assert log.place == 7, "after the last one comes the first"
        await pilot.press("N")
        assert log.place == 200
        await pilot.press("slash")
        await typed(pilot, "x")
        await until(pilot, lambda: "no lines with `needlex`" in text_of(pilot, "#source"))


async def test_escape_leads_back_to_where_the_log_was_opened(name):
    async with opened() as pilot:
        await pilot.press("2")
        await shown(pilot, name)
        await pilot.press("l")
        await shown(pilot, "line 299")
        await pilot.press("slash", "x", "escape")
        assert pilot.app.current_mode == "logs", "the first ends the search"
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.current_mode == "runs")


async def test_letters_move_in_it_as_the_arrows_do(name):
    async with opened() as pilot:
        log = await follow(pilot, name)
        await pilot.press("g")
        await until(pilot, lambda: log.scroll_y == 0 and not log.following)
        await pilot.press("j", "j", "k")
        await until(pilot, lambda: log.scroll_y == 1)
        await pilot.press("G")
        await until(pilot, lambda: log.following)


async def test_the_command_for_a_runs_log_is_one_for_runs(name):
    async with opened() as pilot:
        await follow(pilot, name)
        await pilot.press("at")
        await shown(pilot, f"jupyterctl runs logs {name} > {name}.log")


async def test_save_writes_all_of_it(name, tmp_path):
    async with opened() as pilot:
        await follow(pilot, name)
        await pilot.press("s")
        file = tmp_path / f"{name}.log"
        await until(pilot, file.exists)
        await until(pilot, lambda: told(pilot) and str(file) in told(pilot)[-1])
        assert file.read_text().splitlines()[-1].strip() == "line 299"


async def test_a_log_is_picked_by_typing(name):
    async with opened() as pilot:
        await pilot.press("4")
        await shown(pilot, "No log is open")
        await pilot.press("w")
        assert told(pilot)[-1] == "no log is open"
        await pilot.press("p")
        await shown(pilot, "Whose log?")
        await typed(pilot, "run n")
        await pilot.press("enter")
        await shown(pilot, "line 299")


class Bare(App[None]):
    """Nothing but a log."""

    def compose(self):
        yield LogView(Glyphs(ascii_only=False))


async def test_long_lines_are_wrapped_or_cut_and_the_buffer_is_bounded(monkeypatch):
    monkeypatch.setattr(logview, "LONGEST", 100)
    async with Bare().run_test(size=(40, 10)) as pilot:
        log = pilot.app.query_one(LogView)
        log.feed("x" * 500 + "\nshort\n")
        assert next(iter(log.lines)) == "x" * 100 + "… (500 characters)"
        log.toggle_wrap()
        assert max(map(len, log.lines)) <= 39
        assert "".join(log.lines).startswith("x" * 100)
        log.restart()
        log.feed("".join(f"{n}\n" for n in range(logview.MOST_LINES + 500)))
        assert log.line_count <= logview.MOST_LINES
        assert f"{logview.MOST_LINES + 499}" in list(log.lines)[-2:]


async def test_escape_sequences_cannot_steer_and_progress_shows_its_last_state():
    async with Bare().run_test(size=(40, 10)) as pilot:
        log = pilot.app.query_one(LogView)
        log.feed("a\x1b[2Jb\x1b]0;title\x07c\n10%\r50%\r100%\n[/tmp]\nhalf")
        log.feed(" a line\n")
        assert [line for line in log.lines if line] == ["abc", "100%", "[/tmp]", "half a line"]
