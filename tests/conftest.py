"""What the tests share: a home of their own, a tmux of their own, the installed command, notebooks made in place."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest_plugins = ["tests.again"]
COMMAND = Path(sys.executable).with_name("jupyterctl")
PATIENCE = 120.0
"""Seconds that a test waits for what must come."""

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # programs that are tried keep their bytecode, as they do for people


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """JUPYTERCTL_HOME, Jupyter's runtime files and tmux's sockets below the test's own folder.

    Whatever runs there is ended afterwards.
    """
    folder = tmp_path / "home"
    folder.mkdir()
    sockets = tmp_path / "tmux"
    sockets.mkdir(mode=0o700)
    monkeypatch.setenv("JUPYTERCTL_HOME", str(folder))
    monkeypatch.setenv("TMUX_TMPDIR", str(sockets))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.delenv("TMUX", raising=False)
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    if shutil.which("tmux"):
        subprocess.run(["tmux", "kill-server"], capture_output=True, check=False)
    end_all("JUPYTERCTL_HOME", tmp_path)


def end_all(variable: str, folder: Path) -> None:
    """Kill every process but this one in whose environment a variable names a folder, or one in it."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            where = Path(process.environ().get(variable, "/"))
            if process.pid != os.getpid() and where.is_relative_to(folder):
                process.kill()


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine's loopback address and its key, signed by itself."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(home: Path, tmp_path: Path) -> Cli:
    """The installed command, run to its end: `cli("run", "nb.ipynb", env={…}, cwd=…)`."""

    def run(*arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None, **kw: Any):
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            env={**os.environ, **(env or {})},
            cwd=cwd or tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=kw.pop("timeout", 120),
            check=False,
            **kw,
        )

    return run


def notebook(path: Path, *cells: str | dict[str, Any], **metadata: Any) -> Path:
    """Write a notebook: a text is a code cell, tagged `parameters` where it begins with `# parameters`."""
    made = []
    for number, cell in enumerate(cells):
        given = {"source": cell} if isinstance(cell, str) else cell
        tags = given.get("tags", ["parameters"] if given["source"].startswith("# parameters") else [])
        kind = given.get("cell_type", "code")
        entry: dict[str, Any] = {
            "cell_type": kind,
            "id": f"c{number}",
            "metadata": {"tags": tags},
            "source": given["source"],
        }
        if kind == "code":
            entry |= {"execution_count": None, "outputs": []}
        made.append(entry)
    kernelspec = {"name": "someone-elses", "display_name": "x", "language": "python"}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernelspec, **metadata}, "cells": made}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def need(part: str, present: object, reason: str) -> None:
    """Skip the test that calls this where a part of the machine is absent, or fail it if that part must be there.

    JUPYTERCTL_TESTS_REQUIRE names those that must, with commas: `tmux,r,conda,root`.
    """
    if present:
        return
    if part in os.environ.get("JUPYTERCTL_TESTS_REQUIRE", "").split(","):
        pytest.fail(f"`{part}` must be here: {reason}", pytrace=False)
    pytest.skip(f"no {part}: {reason}", allow_module_level=True)


def journal(text: str) -> list[dict[str, Any]]:
    """The events of a `--json` stream."""
    return [json.loads(line) for line in text.splitlines()]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The names of events, in order, without the signs of life of a run that takes long here."""
    return [event["event"] for event in events if event["event"] != "alive"]


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true value of a condition; the test fails when it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {condition}")


def end(process: subprocess.Popen[Any], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process and wait for its end."""
    process.send_signal(number)
    process.wait(PATIENCE)
