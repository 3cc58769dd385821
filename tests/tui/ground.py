"""What the dashboard's tests share: an open dashboard over the real session, and waiting for what must come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from jupyterctl.core.session import Session
from jupyterctl.tui.app import Dashboard
from tests.conftest import PATIENCE

SIZES = ((60, 20), (80, 24), (120, 40))
WIDE = SIZES[-1]


@asynccontextmanager
async def opened(make: Callable[[], Session] = Session, size: tuple[int, int] = WIDE) -> AsyncIterator[Pilot[None]]:
    """A dashboard of that size, its first look at servers and runs done."""
    board = Dashboard(make)
    async with board.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: board.servers is not None and board.runs is not None)
        yield pilot


async def until(pilot: Pilot[None], condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true value of a condition."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            await pilot.pause()
            return value
        await asyncio.sleep(0.02)
        await pilot.pause()
    raise AssertionError(f"waited {seconds} s in vain; on screen:\n{screen(pilot)}")


def screen(pilot: Pilot[None]) -> str:
    """What stands on the screen, as plain text."""
    app = pilot.app
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


async def shown(pilot: Pilot[None], text: str) -> str:
    """Wait for a text on the screen; returns all of it."""
    return await until(pilot, lambda: screen(pilot) if text in screen(pilot) else "")


async def typed(pilot: Pilot[None], text: str) -> None:
    """Press the keys of a text."""
    for char in text:
        await pilot.press(char if char.isalnum() else _NAMES.get(char, char))


_NAMES = {
    " ": "space", ".": "full_stop", "/": "slash", "-": "minus", "_": "underscore", "=": "equals_sign", ":": "colon",
}  # fmt: skip


def burst(pilot: Pilot[None], text: str) -> None:
    """Type a text faster than anything is done about it, as a slow line delivers it."""
    for letter in text:
        pilot.app.post_message(events.Key(_NAMES.get(letter, letter), letter))


def told(pilot: Pilot[None]) -> list[str]:
    """The messages that were shown, the last one last."""
    return [message.message for message in pilot.app._notifications]


def text_of(pilot: Pilot[None], selector: str) -> str:
    """What a text widget says."""
    return str(pilot.app.screen.query_one(selector, Static).render())
