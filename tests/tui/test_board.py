"""The dashboard as a whole: modes, help, palette, keys, themes, sizes, and what it does when something fails."""

from __future__ import annotations

import asyncio
import tomllib

import pytest

from jupyterctl.core.session import Session
from jupyterctl.transport.ssh.way import Question
from jupyterctl.tui import app
from jupyterctl.tui.app import Dashboard
from jupyterctl.tui.screens.dialogs import Answer, Failure
from jupyterctl.tui.screens.help import Help
from jupyterctl.tui.screens.run_form import RunForm
from tests.tui.ground import burst, opened, screen, shown, told, typed, until

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def here(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_modes_by_their_numbers():
    async with opened() as pilot:
        for key, mode in (("2", "runs"), ("4", "logs"), ("5", "doctor"), ("1", "servers")):
            await pilot.press(key)
            await until(pilot, lambda mode=mode: pilot.app.current_mode == mode)


@pytest.mark.parametrize("mode", ["servers", "runs", "doctor"])
async def test_what_is_typed_ahead_of_the_filter_filters(mode):
    async with opened() as pilot:
        pilot.app.action_mode(mode)
        await until(pilot, lambda: pilot.app.current_mode == mode)
        for text in ("xloqs", "snex"):  # the first opens a filter that is not made yet; each letter has an action
            burst(pilot, f"/{text}")
            await until(pilot, lambda text=text: screen(pilot).splitlines()[-1].startswith(f"{text} "))
            assert (pilot.app.current_mode, len(pilot.app.screen_stack), pilot.app.phases) == (mode, 1, {})
            await pilot.press("escape")


async def test_what_is_typed_ahead_reaches_the_screen_it_is_for():
    async with opened() as pilot:
        burst(pilot, ":doctor")
        await shown(pilot, "Show doctor")
        assert pilot.app.focused.value == "doctor"
        await pilot.press("escape")
        burst(pilot, "2nquit.ipynb")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunForm))
        await until(pilot, lambda: getattr(pilot.app.focused, "value", "") == "quit.ipynb")


async def test_help_lists_every_key_and_why_some_do_nothing():
    async with opened(size=(120, 60)) as pilot:
        await shown(pilot, "○ stopped")
        await pilot.press("question_mark")
        text = await shown(pilot, "Everywhere")
        assert "x  Stop the server; asks, naming busy kernels (`local` is stopped)" in text
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Help))


@pytest.mark.parametrize("key", ["ctrl+p", "colon"])
async def test_the_palette_does_what_keys_do(key):
    async with opened() as pilot:
        await pilot.press(key)
        await until(pilot, lambda: "CommandPalette" in type(pilot.app.screen).__name__)
        await typed(pilot, "Doctor")
        await shown(pilot, "Show doctor")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.current_mode == "doctor" and "disk" in screen(pilot))


async def test_the_palette_shows_text_from_outside_as_it_is(home):
    (home / "config/profiles").mkdir(parents=True)
    (home / "config/profiles/bad.toml").write_text('kind = "[/x]"\n')
    async with opened() as pilot:
        await shown(pilot, "⚠ unknown")
        await pilot.press("colon")
        await typed(pilot, "start")
        await shown(pilot, "`[/x]`")


async def test_keys_can_be_given_to_actions(home):
    (home / "config").mkdir(exist_ok=True)
    (home / "config/keys.toml").write_text(
        '"servers.log" = "f4"\n"servers.new" = "f5"\n"mode.runs" = "f6"\n"servers.fly" = "y"\n'
    )
    async with opened() as pilot:
        await shown(pilot, "f4 log")
        assert told(pilot) == ["keys.toml: there is no action `servers.fly`"]
        await pilot.press("n")
        assert len(pilot.app.screen_stack) == 1, "the key it had is free"
        await pilot.press("f5")
        await shown(pilot, "New profile")
        await pilot.press("escape")
        await pilot.press("f6")
        await until(pilot, lambda: pilot.app.current_mode == "runs")


async def test_a_file_of_keys_that_cannot_be_read_is_told(home):
    (home / "config").mkdir(exist_ok=True)
    (home / "config/keys.toml").write_text("this is [not toml")
    async with opened() as pilot:
        await until(pilot, lambda: told(pilot) and "keys.toml" in told(pilot)[0])


async def test_the_theme_is_remembered(home):
    async with opened() as pilot:
        pilot.app.theme = "nord"
        file = home / "config/dashboard.toml"
        await until(pilot, file.exists)
        assert tomllib.loads(file.read_text()) == {"theme": "nord"}
    assert Dashboard().theme == "nord"


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light", "jupyter-light"])
async def test_every_screen_can_be_drawn_in_other_themes(home, theme):
    (home / "config").mkdir(exist_ok=True)
    (home / "config/dashboard.toml").write_text(f'theme = "{theme}"\n')
    async with opened() as pilot:
        for key in ("1", "2", "4", "5", "question_mark"):
            await pilot.press(key)
        await shown(pilot, "Everywhere")


async def test_letters_where_glyphs_cannot_be_drawn(home):
    (home / "config").mkdir(exist_ok=True)
    (home / "config/dashboard.toml").write_text('glyphs = "ascii"\n')
    async with opened(size=(80, 24)) as pilot:
        text = await shown(pilot, "o stopped")
        assert text.isascii()
        await pilot.press("x")
        await pilot.press("2")
        await shown(pilot, "No runs yet")


async def test_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as pilot:
        await shown(pilot, "○ stopped")
        strips = pilot.app.screen._compositor.render_strips()
        filtered = [
            segment
            for strip in strips
            for segment in strip.apply_filter(pilot.app._filters[-1], pilot.app.screen.background_colors[1])
        ]
        colours = {segment.style.color.triplet for segment in filtered if segment.style and segment.style.color}
        assert all(len({colour.red, colour.green, colour.blue}) == 1 for colour in colours if colour)


@pytest.mark.parametrize(("size", "fits"), [((59, 20), False), ((60, 17), False), ((60, 18), True)])
async def test_too_small_says_what_is_needed(size, fits):
    async with opened(size=size) as pilot:
        if fits:
            await shown(pilot, "○ stopped")
        else:
            await shown(pilot, "needs 60 by 18")
            await pilot.resize_terminal(80, 24)
            await shown(pilot, "○ stopped")


async def test_a_failure_nobody_foresaw_is_a_message_and_no_crash():
    class Failing(Session):
        def start_server(self, name):
            raise KeyError("[/what]")

    async with opened(Failing) as pilot:
        await shown(pilot, "○ stopped")
        await pilot.press("s")
        failure = await until(pilot, lambda: isinstance(pilot.app.screen, Failure) and pilot.app.screen)
        assert "KeyError: '[/what]'" in failure.message
        assert "start_server" in failure.details
        await pilot.press("escape")
        await shown(pilot, "○ stopped")


async def test_a_place_that_hangs_keeps_nothing_else_from_going_on():
    from threading import Event

    never = Event()

    class Hanging(Session):
        def doctor(self, target=None):
            never.wait(20)
            yield from ()

    async with opened(Hanging) as pilot:
        for _ in range(10):
            await pilot.press("5", "r")
        await pilot.press("2")
        await shown(pilot, "No runs yet")
    never.set()


async def test_q_leaves_and_ctrl_c_says_how():
    async with opened() as pilot:
        await pilot.press("ctrl+c")
        assert "q leaves" in told(pilot)[-1]
        await pilot.press("q")
        await pilot.pause()
        assert pilot.app._exit


async def test_a_click_on_a_key_is_the_key():
    async with opened() as pilot:
        await shown(pilot, "○ stopped")
        bar = screen(pilot).splitlines()[-1]
        await pilot.click("KeyBar", offset=(bar.index("help"), 0))
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2)


async def test_the_doctor(here):
    async with opened() as pilot:
        await pilot.press("5")
        await shown(pilot, "papermill")
        await pilot.press("c")
        assert told(pilot)[-1] == "there is nothing to mend here"
        await pilot.press("p")
        await until(pilot, lambda: "papermill" not in screen(pilot))
        await pilot.press("p", "slash")
        await typed(pilot, "papermill")
        await until(pilot, lambda: "python" not in screen(pilot).splitlines()[2])


async def asked(pilot, **question):
    """A question that a thread puts, and waits for."""
    asking = asyncio.create_task(asyncio.to_thread(app._ask_person, pilot.app, Question(**question)))
    await until(pilot, lambda: isinstance(pilot.app.screen, Answer))
    return asking


async def test_a_password_is_asked_for_and_not_shown():
    async with opened() as pilot:
        asking = await asked(pilot, kind="password", text="password of [ada]@box")
        await shown(pilot, "password of [ada]@box")
        await typed(pilot, "s3cret")
        assert "s3cret" not in screen(pilot)
        await pilot.press("enter")
        assert await asking == "s3cret"


async def test_a_question_is_declined():
    async with opened() as pilot:
        asking = await asked(pilot, kind="prompt", text="Code:", secret=False)
        await pilot.press("escape")
        assert await asking is None


@pytest.mark.parametrize(("button", "answer"), [("#yes", "yes"), ("#no", "no")])
async def test_a_host_key_is_accepted_by_a_button(button, answer):
    async with opened() as pilot:
        asking = await asked(pilot, kind="host-key", text="SHA256:x", secret=False)
        await shown(pilot, "SHA256:x")
        await pilot.click(button)
        assert await asking == answer


async def test_what_is_to_be_done_elsewhere_is_told():
    async with opened() as pilot:
        notice = Question(kind="notice", text="Confirm user presence for key [1]", secret=False)
        assert await asyncio.to_thread(app._ask_person, pilot.app, notice) == ""
        await until(pilot, lambda: told(pilot) == ["Confirm user presence for key [1]"])
