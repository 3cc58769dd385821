"""A machine whose environments have no papermill: `run` offers to make one that has."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import COMMAND, notebook
from tests.e2e.test_dashboard import Pane, panes  # noqa: F401 - a fixture

from .box import NAME
from .conftest import Boxes
from .test_shell import PROMPT, line


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a kernel, and a package of its own, that has no papermill."""
    prefix = tmp_path_factory.mktemp("e") / "bare"
    subprocess.run([sys.executable, "-m", "venv", prefix], check=True)
    subprocess.run([prefix / "bin/pip", "install", "-q", "ipykernel"], check=True)
    return prefix


def test_it_is_made_after_asking_and_the_notebook_s_own_stays_as_it_is(
    boxes: Boxes,
    cli,
    home: Path,
    bare: Path,
    panes,  # noqa: F811
) -> None:
    box = boxes(without=("uv",))
    box.profile(home, environment=f"venv:{bare}")
    path = notebook(home.parent / "nb.ipynb", "import sys; print('by', sys.prefix)")
    refused = cli("run", path, "-t", NAME)
    assert refused.returncode == 3
    assert "has papermill" in refused.stderr
    assert "add --yes" in refused.stderr
    pane: Pane = panes("declined")
    pane.shows(PROMPT)
    line(pane, f"{shlex.quote(str(COMMAND))} run {path} -t {NAME}; echo ended with $?")
    pane.shows("Make the environment `runner` there for it?")
    line(pane, "n")
    pane.shows("ended with")
    made = cli("run", path, "-t", NAME, "--yes", "--log-output", timeout=300)
    assert made.returncode == 0, made.stderr
    assert f"by {bare}" in made.stdout + made.stderr
    again = cli("run", path, "-t", NAME)
    assert again.returncode == 0, again.stderr
    assert not list((bare / "lib").rglob("papermill"))
