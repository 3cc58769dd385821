"""Make the two screenshots of the README from the real dashboard, over a real lab and real runs.

    python docs/screenshots.py

Needs an environment with JupyterLab, such as the one for development. Everything is made in a folder of its own, which
is removed afterwards.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
IMAGES = HERE / "pages" / "images"
SIZE = (134, 26)
PATIENCE = 60.0


def prepare(folder: Path) -> None:
    """A project with notebooks and profiles; jupyterctl's home beside it."""
    project = folder / "lab"
    shutil.copytree(HERE / "examples", project)
    os.environ["JUPYTERCTL_HOME"] = str(folder / "home")
    os.environ["HOME"] = str(folder)
    os.environ["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    os.environ.pop("NO_COLOR", None)
    profiles = folder / "home" / "config" / "profiles"
    profiles.mkdir(parents=True)
    venv.create(project / ".venv", symlinks=True)
    site = next((project / ".venv").glob("lib/python*/site-packages"))
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    for name, extra in (("lab", ""), ("overnight", '[run]\ntimeout = "8h"\nretries = 2\n'), ("teaching", "")):
        text = f'kind = "local"\nenvironment = "venv:~/lab/.venv"\nworkdir = "~/lab"\n{extra}'
        (profiles / f"{name}.toml").write_text(text, encoding="utf-8")
    os.chdir(project)


def work() -> None:
    """Runs that succeeded, failed and go on, and a lab."""
    from jupyterctl.core.session import Session
    from jupyterctl.model import RunOptions

    session = Session()
    for notebook, target, typed in (
        ("fails.ipynb", "lab", [("broken", "22.4")]),
        ("hello.ipynb", "lab", [("name", "Ada")]),
        ("fails.ipynb", "overnight", []),
        ("hello.ipynb", "overnight", [("steps", "400"), ("pause", "0.5")]),
    ):
        given = session.given(typed, [], [], [])
        prepared = session.prepare(Path(notebook), target, given=given, secrets={}, options=RunOptions())
        run = session.submit(session.create_run(prepared))
        if ("steps", "400") not in typed:
            for _ in session.follow(run):
                pass
    for _ in session.start_server("lab"):
        pass


async def take() -> None:
    """Open the dashboard, and keep what it shows of servers and of a failed run."""
    from jupyterctl.tui.app import Dashboard

    board = Dashboard()
    async with board.run_test(size=SIZE) as pilot:
        await until(lambda: board.servers and any(one.state == "running" for one in board.servers.values()))
        await pilot.pause(1.0)
        board.save_screenshot("servers.svg", path=str(IMAGES))
        await pilot.press("2")
        await until(lambda: bool(board.runs))
        await pilot.press("down")
        await pilot.pause(1.5)
        board.save_screenshot("runs.svg", path=str(IMAGES))


async def until(condition: Callable[[], object]) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        await asyncio.sleep(0.1)


def clean() -> None:
    """End the lab and the run that goes on."""
    from jupyterctl.core.session import Session

    session = Session()
    session.stop_server("lab", force=True)
    for run in session.runs(live=True):
        session.cancel(run, 0.0)


def main() -> None:
    """Make both."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ada-"))
    try:
        prepare(folder)
        work()
        asyncio.run(take())
        clean()
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
