"""Mode Servers: a real lab through its whole life, profiles made and changed, and what cannot be done."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from textual.widgets import Button

from jupyterctl.core.session import Session
from jupyterctl.environments.solve import Step
from jupyterctl.errors import NoLabError, TargetError
from jupyterctl.tui.screens.dialogs import Address, Confirm, Failure
from jupyterctl.tui.screens.profile_form import ProfileForm
from jupyterctl.tui.widgets.form import FormRow
from jupyterctl.tui.widgets.logview import LogView
from jupyterctl.tui.widgets.serverview import ServerView
from jupyterctl.tui.widgets.table import Table
from tests.tui.ground import opened, screen, shown, text_of, told, typed, until

pytestmark = pytest.mark.asyncio


@pytest.fixture
def here(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def profile(home, name: str, text: str = 'kind = "local"\n') -> None:
    folder = home / "config" / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text)


async def dialog(pilot, kind):
    return await until(pilot, lambda: isinstance(pilot.app.screen, kind) and pilot.app.screen)


async def test_a_lab_from_start_to_stop(here):
    async with opened() as pilot:
        await shown(pilot, "○ stopped")
        await pilot.press("s")
        await shown(pilot, "✓ process")
        await shown(pilot, "● running")
        await pilot.press("o")
        address = (await dialog(pilot, Address)).address
        parts = urlsplit(address)
        answer = urlopen(f"{parts.scheme}://{parts.netloc}/api/status?{parts.query}", timeout=10)  # noqa: ASYNC210
        assert answer.status == 200, "the address lets one in"
        await pilot.press("escape", "R")
        await dialog(pilot, Confirm)
        await pilot.press("y")
        await until(pilot, lambda: any("runs again" in message for message in told(pilot)))
        await pilot.press("o")
        assert (await dialog(pilot, Address)).address == address, "the same port and the same token"
        await pilot.press("escape", "l")
        await until(pilot, lambda: pilot.app.current_mode == "logs")
        log = pilot.app.screen.query_one(LogView)
        await until(pilot, lambda: any("ServerApp" in line for line in log.lines))
        await pilot.press("1", "x")
        question = await dialog(pilot, Confirm)
        assert question.focused.id == "no"
        await pilot.press("enter")
        assert Session().status("local").state == "running", "Cancel has the focus"
        await pilot.press("x")
        await dialog(pilot, Confirm)
        await pilot.press("tab", "enter")
        await shown(pilot, "○ stopped")
        assert Session().status("local").state == "stopped"


async def test_what_goes_wrong_is_shown_and_nothing_else_happens(here, home):
    profile(home, "lab", 'kind = "local"\nenvironment = "conda:no[/such]"\n')
    async with opened() as pilot:
        await until(pilot, lambda: "lab" in pilot.app.servers)
        pilot.app.screen.query_one("#table", Table).go("lab")
        await pilot.press("s")
        failure = await dialog(pilot, Failure)
        assert "no[/such]" in failure.message
        assert failure.hint
        await pilot.press("c")
        assert failure.message in pilot.app.clipboard
        assert failure.hint in pilot.app.clipboard
        await pilot.press("enter")
        await shown(pilot, "○ stopped")


async def test_a_form_may_be_left_before_it_is_filled(here, home):
    go = threading.Event()

    class Slow(Session):
        def settings(self, kind):
            go.wait(20)
            return super().settings(kind)

    async with opened(Slow) as pilot:
        await shown(pilot, "○ stopped")
        others = set(pilot.app.workers)
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen.query("FormRow"))
        form, filling = pilot.app.screen, set(pilot.app.workers) - others
        assert filling
        await pilot.press("escape")
        await until(pilot, lambda: not form.is_attached)
        go.set()
        await until(pilot, lambda: all(worker.is_finished for worker in filling))
        assert len(pilot.app.screen_stack) == 1, "no error comes of it"


async def test_what_is_made_for_a_server_stands_among_its_steps(here, monkeypatch):
    go = threading.Event()

    class Bare(Session):
        def start_server(self, name):
            raise NoLabError("no environment on this machine has JupyterLab", "make one")

        def create_lab(self, name, report):
            report(Step(step="packages", done=1, total=4))
            go.wait(60)
            raise TargetError("the disk is full", "make room")

    async with opened(Bare) as pilot:
        await shown(pilot, "○ stopped")
        await pilot.press("s")
        await dialog(pilot, Confirm)
        await pilot.press("y")
        await shown(pilot, "◐ environment")
        assert "no environment on this" not in screen(pilot)
        assert "packages 25 %" in screen(pilot)
        go.set()
        await dialog(pilot, Failure)
        await until(pilot, lambda: "◐ environment" not in screen(pilot))


async def test_a_row_stays_while_something_is_done_with_it(here, home):
    """A place needs no row of its own once it has a profile; but what goes on there is to be seen."""
    async with opened() as pilot:
        board = pilot.app
        await until(pilot, lambda: "local" in board.servers)
        board.phases["local"] = "making: pip"
        profile(home, "lab")
        board.look_again.set()
        await until(pilot, lambda: "lab" in board.servers)
        await shown(pilot, "◐ making")
        board.phases.clear()
        board.look_again.set()
        await until(pilot, lambda: "local" not in board.servers)


async def test_a_broken_profile_hides_no_other(here, home):
    profile(home, "bad", "kind = 3\n")
    profile(home, "good")
    async with opened() as pilot:
        text = await shown(pilot, "⚠ unknown")
        assert "good" in text
        pilot.app.screen.query_one("#table", Table).go("bad")
        await pilot.press("s")
        assert "`bad` is broken" in told(pilot)[-1]


@pytest.mark.parametrize("key", ["o", "x", "R", "l"])
async def test_what_cannot_be_done_says_why(here, key):
    async with opened() as pilot:
        await shown(pilot, "○ stopped")
        await pilot.press(key)
        assert told(pilot) == ["`local` is stopped"]


async def test_a_lab_on_this_machine_has_no_way_to_bring_back(here):
    async with opened() as pilot:
        await shown(pilot, "○ stopped")
        await pilot.press("r")
        assert told(pilot) == ["`local` has no way that could be lost"]


async def test_a_server_is_in_the_state_that_its_row_says(here, home):
    """In the pane beside it too: one that nobody has asked yet, and one that something is done with."""
    profile(home, "far", 'kind = "ssh"\nhost = "nowhere.invalid"\n')
    async with opened() as pilot:
        await until(pilot, lambda: pilot.app.screen.query_one("#table", Table).key == "far")
        await until(pilot, lambda: text_of(pilot, "#text").count("○ unconnected") == 1)
        pilot.app.phases["far"] = "starting: connect"
        pilot.app.screen.query_one(ServerView).tick()
        assert "◐ starting" in text_of(pilot, "#text")
        assert "⚠" not in text_of(pilot, "#text")
        pilot.app.phases.clear()


async def test_a_profile_is_made_from_the_form(here, home):
    async with opened() as pilot:
        await pilot.press("n")
        form = await dialog(pilot, ProfileForm)
        await until(pilot, lambda: form.fields and len(form.query("FormRow")) == len(form.fields) + 2)
        await pilot.press("ctrl+s")
        assert "a profile needs a name" in told(pilot)[-1]
        await typed(pilot, "lab")
        form.row("run.timeout").query_one("Input").focus()
        await typed(pilot, "soon")
        await pilot.press("ctrl+s")
        assert "timeout: it must be" in told(pilot)[-1]
        for _ in "soon":
            await pilot.press("backspace")
        await typed(pilot, "8h")
        form.row("workdir").query_one("Input").value = str(here)
        command = f"jupyterctl profile new lab --kind local --workdir {here} --run-timeout 8h --no-input"
        await until(pilot, lambda: form.command() == command)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "lab" in pilot.app.servers)
        assert pilot.app.screen.query_one("#table", Table).key == "lab"
    made = Session().profile("lab").settings
    assert (made.workdir, made.run.timeout) == (str(here), "8h")


async def test_what_is_typed_while_the_rows_of_another_kind_come_ends_nothing(here, home):
    """Rows are asked for their text before they are on the screen, and after they have left it."""
    async with opened() as pilot:
        await pilot.press("n")
        form = await dialog(pilot, ProfileForm)
        await until(pilot, lambda: form.fields and len(form.query("FormRow")) == len(form.fields) + 2)
        rows, going = form.query_one("#rows"), form.row("run.timeout")
        going.text = "8h"
        coming, left = rows.mount(FormRow("late", value="as it was")), going.remove()
        assert form.values()["late"] == "as it was"
        form.post_message(FormRow.Changed())
        await coming
        await left
        assert (form.row("late").text, going.text) == ("as it was", "8h")
        await pilot.pause()
        assert pilot.app.screen is form


async def test_environments_found_here_are_offered(here, home):
    async with opened() as pilot:
        await pilot.press("n")
        form = await dialog(pilot, ProfileForm)
        await until(pilot, lambda: form.fields and len(form.query("FormRow")) == len(form.fields) + 2)
        row = form.row("environment")
        row.query_one(Button).press()
        await shown(pilot, "type to find")
        await typed(pilot, "auto")
        await pilot.press("enter")
        await until(pilot, lambda: row.text == "auto")
        assert len(row.choices) > 1


async def test_a_profile_is_changed_with_the_file_of_each_value(here, home):
    profile(home, "lab", '# mine\nkind = "local"\nworkdir = "~/a"  # stays\n\n[run]\nretries = 2\n')
    async with opened() as pilot:
        await until(pilot, lambda: "lab" in pilot.app.servers)
        pilot.app.screen.query_one("#table", Table).go("lab")
        await pilot.press("e")
        form = await dialog(pilot, ProfileForm)
        await until(pilot, lambda: form.fields and len(form.query("FormRow")) == len(form.fields))
        assert form.row("run.retries").text == "2"
        assert "lab.toml" in form.row("run.retries").help_text
        assert "lab.toml" not in form.row("environment").help_text
        form.row("run.retries").text = "3"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app.screen is not form)
    text = (home / "config/profiles/lab.toml").read_text()
    assert text == '# mine\nkind = "local"\nworkdir = "~/a"  # stays\n\n[run]\nretries = 3\n'


async def test_the_filter_narrows_as_one_types(here, home):
    for name in ("alpha", "beta", "gamma"):
        profile(home, name)
    async with opened() as pilot:
        table = pilot.app.screen.query_one("#table", Table)
        await until(pilot, lambda: len(table.keys) == 3)
        await pilot.press("slash", "m")
        await until(pilot, lambda: list(table.keys) == ["gamma"])
        await pilot.press("z")
        await shown(pilot, "nothing has these words")
        await pilot.press("escape")
        await until(pilot, lambda: len(table.keys) == 3)


async def test_detail_and_back(here):
    async with opened(size=(80, 24)) as pilot:
        await shown(pilot, "○ stopped")
        assert "environment" not in screen(pilot)
        await pilot.press("enter")
        await shown(pilot, "environment")
        await pilot.press("escape")
        await until(pilot, lambda: "environment" not in screen(pilot))


async def test_d_asks_the_doctor_about_it(here):
    async with opened() as pilot:
        await shown(pilot, "○ stopped")
        await pilot.press("d")
        await shown(pilot, "disk")
        assert pilot.app.examined == "local"
