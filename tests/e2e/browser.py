"""JupyterLab in a real Chromium without a screen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need, wait_for

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
IDLE = "Python 3 (ipykernel) | Idle"


@contextmanager
def new_notebook(url: str, home: Path) -> Iterator[Any]:
    """The page of a lab with a notebook open, its kernel idle."""
    chromium = shutil.which("chromium")
    need("chromium", chromium, "apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS, env={**os.environ, "HOME": str(home)})
        page = browser.new_page()
        page.set_default_timeout(60_000)
        visit(page, f"{url}&reset")
        page.locator('.jp-LauncherCard[title*="Python 3"]').first.click()
        idle(page)
        yield page
        browser.close()


def visit(page: Any, url: str) -> None:
    """Open an address; Chromium breaks off what it loads while the network interface of a container comes or goes."""
    from playwright.sync_api import Error

    def opened() -> bool:
        try:
            page.goto(url)
        except Error as error:
            if "ERR_NETWORK_CHANGED" in error.message:
                return False
            raise
        return True

    wait_for(opened)


def idle(page: Any) -> None:
    """Wait until the kernel is."""
    page.locator("#jp-main-statusbar").get_by_text(IDLE).wait_for()


def execute(page: Any, code: str) -> None:
    """Type code into the last cell and execute it."""
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
    page.keyboard.type(code)
    page.keyboard.press("Shift+Enter")


def printed(page: Any, text: str) -> None:
    """Wait until a cell has printed this."""
    page.locator(".jp-OutputArea-output pre", has_text=text).wait_for()
