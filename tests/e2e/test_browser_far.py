"""JupyterLab in a browser, used through a link that is lost and comes back: the page, the kernel and what is in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyterctl.model import LinkState
from tests.conftest import need
from tests.faults.conftest import machine, near  # noqa: F401 - fixtures
from tests.faults.machine import Machine
from tests.faults.near import NAME, Near

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
IDLE = "Python 3 (ipykernel) | Idle"


@pytest.fixture
def page(near: Near) -> Iterator[Any]:  # noqa: F811
    """The lab with a notebook open, its kernel idle, by the address that `open` gives."""
    chromium = shutil.which("chromium")
    need("chromium", chromium, "apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    url = near.command("open", NAME, "--url").stdout.strip()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=FLAGS, env={**os.environ, "HOME": str(near.folder)}
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{url}&reset")
        page.locator('.jp-LauncherCard[title*="Python 3"]').first.click()
        page.locator("#jp-main-statusbar").get_by_text(IDLE).wait_for()
        yield page
        browser.close()


def execute(page: Any, code: str) -> None:
    """Type code into the last cell and execute it."""
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
    page.keyboard.type(code)
    page.keyboard.press("Shift+Enter")


def printed(page: Any, text: str) -> None:
    """Wait until a cell has printed this."""
    page.locator(".jp-OutputArea-output pre", has_text=text).wait_for()


def stop_sshd(machine: Machine) -> Callable[[], object]:  # noqa: F811
    machine.sshd.stop()
    return machine.start


def cut_line(machine: Machine) -> Callable[[], object]:  # noqa: F811
    machine.line.cut()
    return machine.line.mend


def test_a_cell_is_executed_after_each_loss_without_a_reload(near: Near, machine: Machine, page: Any) -> None:  # noqa: F811
    execute(page, "kept = 6 * 7; print('set', kept)")
    printed(page, "set 42")
    page.evaluate("window.stayed = true")
    for number, lose in enumerate((stop_sshd, cut_line)):
        bring_back = lose(machine)
        near.leaves(LinkState.UP)
        page.locator("#jp-main-statusbar").get_by_text(IDLE).wait_for(state="detached")
        bring_back()
        near.becomes(LinkState.UP)
        page.locator("#jp-main-statusbar").get_by_text(IDLE).wait_for()
        execute(page, f"kept += 1; print('after {number}:', kept)")
        printed(page, f"after {number}: {43 + number}")
        assert page.evaluate("window.stayed")
    assert page.locator(".jp-Dialog").count() == 0
    assert near.get()[0]["execution_state"] == "idle"
