"""Start-up is a feature: what each command may import by the time it ends, seen in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyterctl.model import Cells, Run, RunState, now
from jupyterctl.store import Store
from tests.conftest import notebook

DRIVER = """
import sys
loaded = sys.argv.pop(1)
try:
    from jupyterctl.__main__ import main
    main()
finally:
    names = [name for name, module in sys.modules.items() if module is not None]
    with open(loaded, "w") as file:
        file.write("\\n".join(names))
"""
HEAVY = {
    "IPython", "aiohttp", "asyncio", "boto3", "docker", "httpx", "jinja2", "jupyter_client", "jupyter_core", "keyring",
    "kubernetes", "nbclient", "nbconvert", "nbdime", "nbformat", "numpy", "papermill", "paramiko", "rattler",
    "requests", "rich", "sshtunnel", "textual", "zmq",
}  # fmt: skip
"""What no command needs that shows something or follows a run where stdout is no terminal."""
FOR_RUNS = {"libtmux", "psutil", "hashlib", "zipfile"}
"""What takes a run to be needed."""


@pytest.fixture
def work(home: Path, tmp_path: Path) -> Path:
    """A folder with a notebook, profiles to read, and a home of its own."""
    folder = home / "config/profiles"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"place-{number}.toml").write_text('kind = "local"\nenvironment = "auto"\n')
    return notebook(tmp_path / "work/nb.ipynb", "# parameters\nn = 1", "import json\nprint(n)").parent


def imported(folder: Path, *arguments: str, code: int = 0) -> set[str]:
    """Every module that a command has imported by its end."""
    loaded = folder / "loaded.txt"
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(loaded), *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return set(loaded.read_text().splitlines())


def packages(modules: set[str]) -> set[str]:
    """Their top-level names."""
    return {module.partition(".")[0] for module in modules}


def ours(modules: set[str]) -> set[str]:
    """Modules of jupyterctl, without its name."""
    return {module.removeprefix("jupyterctl.") for module in modules if module.startswith("jupyterctl.")}


def keep(number: int, state: RunState = RunState.SUCCEEDED) -> None:
    """A run in the store that is over and brought home."""
    run = Run(
        id=f"nb-{number:04d}",
        state=state,
        target="somewhere",
        notebook="/nb.ipynb",
        created=now(),
        seconds=1.0,
        cells=Cells(done=1, total=1),
        collected=True,
    )
    store = Store()
    store.add(run)
    store.close()


def test_the_version_takes_nothing_but_the_package(work: Path) -> None:
    modules = imported(work, "--version")
    assert ours(modules) == {"__main__"}
    assert not packages(modules) & {"click", "msgspec", "re", "pathlib", "typing"}


def test_help_takes_no_command(work: Path) -> None:
    modules = imported(work, "--help")
    assert ours(modules) == {"__main__", "cli", "cli.main", "cli.diagnostics", "errors"}
    assert not packages(modules) & (HEAVY | FOR_RUNS | {"msgspec", "sqlite3", "subprocess"})


@pytest.mark.parametrize("arguments", [["status", "--json"], ["status"], ["profile", "list", "--json"]], ids=" ".join)
def test_reading_profiles_takes_no_part_of_a_run(work: Path, arguments: list[str]) -> None:
    modules = imported(work, *arguments)
    assert not packages(modules) & (HEAVY | FOR_RUNS | {"yaml", "sqlite3"})
    assert not {module for module in ours(modules) if module.startswith(("environments.", "cli.run", "core.run"))}


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize("arguments", [["runs", "--json"], ["runs"]], ids=" ".join)
def test_listing_runs_takes_only_the_store(work: Path, arguments: list[str], filled: bool) -> None:
    if filled:
        for number in range(3):
            keep(number, RunState.FAILED if number else RunState.SUCCEEDED)
    modules = imported(work, *arguments)
    assert "jupyterctl.store" in modules
    assert not packages(modules) & (HEAVY | {"libtmux", "psutil", "yaml"})


def test_one_run_is_shown_from_the_store(work: Path) -> None:
    keep(1)
    assert not packages(imported(work, "runs", "show", "nb-0001", "--json")) & (HEAVY | {"libtmux", "psutil", "yaml"})


@pytest.mark.parametrize("arguments", [["inspect", "nb.ipynb"], ["inspect", "nb.ipynb", "--json"]], ids=" ".join)
def test_inspecting_reads_a_notebook_without_nbformat(work: Path, arguments: list[str]) -> None:
    assert not packages(imported(work, *arguments)) & (HEAVY | {"libtmux", "psutil", "sqlite3"})


def test_a_run_is_followed_to_its_end_without_what_executes_it(work: Path) -> None:
    modules = imported(work, "run", "nb.ipynb", "-p", "n", "2", "-o", "out.ipynb", "--json")
    assert (work / "out.ipynb").exists()
    assert not packages(modules) & HEAVY


def test_an_error_takes_no_traceback_machinery(work: Path) -> None:
    assert not packages(imported(work, "run", "missing.ipynb", code=2)) & (HEAVY | {"libtmux", "psutil", "sqlite3"})
