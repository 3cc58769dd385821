"""The oldest and the newest release of the Python client that jupyterctl takes, whatever is installed beside the tests.

Other packages may hold the newest back in one environment, and a user's may have it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.cluster import Space
from tests.conftest import COMMAND, Cli, notebook

from .lab_ground import NAME, Lab

(LOWEST,) = (found[1] for one in requires("jupyterctl") or () if (found := re.match(r"kubernetes>=(\d+)", one)))


@pytest.fixture(params=[f"kubernetes=={LOWEST}.*", f"kubernetes>{LOWEST}"], ids=["oldest", "newest"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An environment in which jupyterctl finds that one."""
    folder = tmp_path / "client"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder, request.param]
    subprocess.run(install, check=True, capture_output=True, timeout=200)
    made = {"PYTHONPATH": str(folder)}
    ask = [sys.executable, "-c", "import kubernetes; print(kubernetes.__file__)"]
    told = subprocess.run(ask, env={**os.environ, **made}, check=True, capture_output=True, text=True, timeout=60)
    assert Path(told.stdout).is_relative_to(folder)
    return made


def test_a_run_and_a_lab(client: dict[str, str], space: Space, home: Path, cli: Cli, tmp_path: Path) -> None:
    Lab(space, home, tmp_path / "work").profile()
    told = cli("run", notebook(tmp_path / "nb.ipynb", "print(6 * 7)"), "--target", NAME, "--json", env=client)
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert (told.returncode, events[-1]["status"]) == (0, "succeeded"), told.stderr
    assert "42\n" in [event.get("text") for event in events]
    assert cli("doctor", NAME, env=client).returncode == 0
    assert cli("start", NAME, "--no-open", env=client).returncode == 0
    (server,) = json.loads(cli("status", NAME, "--json", env=client).stdout)["servers"]
    assert (server["state"], server["link"]["state"], server["health"]["http"]) == ("running", "up", "ok")
    shell = subprocess.run(
        [COMMAND, "shell", NAME],
        input="echo $PWD",
        env={**os.environ, **client},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shell.stdout == "/jupyterctl/work\n"
    assert cli("logs", NAME, env=client).stdout.count("Jupyter Server")
    assert cli("stop", NAME, "--yes", env=client).returncode == 0
