"""`profile remove`: which file goes, and what stands against it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.terminal import conversation


@pytest.fixture
def file(home: Path) -> Path:
    """The profile `lab`."""
    made = home / "config/profiles/lab.toml"
    made.parent.mkdir(parents=True)
    made.write_text(f'kind = "local"\nenvironment = "venv:{sys.prefix}"\n')
    return made


def test_it_asks_names_the_file_and_removes_it(file: Path, cli: Cli, tmp_path: Path) -> None:
    refused = cli("profile", "remove", "lab")
    assert refused.returncode == 2
    assert "add --yes" in refused.stderr
    code, seen = conversation(["profile", "remove", "lab"], {"Remove": ["n"]}, tmp_path)
    assert code == 1
    assert "nothing was removed" in seen
    assert file.exists()
    code, seen = conversation(["profile", "remove", "lab"], {"Remove": ["y"]}, tmp_path)
    assert code == 0, seen
    assert f"removed {file}" in seen.replace("\r\n", "")
    assert not file.exists()
    gone = cli("profile", "remove", "lab", "--yes")
    assert gone.returncode == 2
    assert gone.stderr == "error: there is no profile `lab`\nhint: there are none yet\n"


def test_the_nearest_file_goes_and_the_other_holds(file: Path, cli: Cli, tmp_path: Path) -> None:
    near = tmp_path / ".jupyterctl/lab.toml"
    near.parent.mkdir()
    near.write_text('workdir = "/x"\n')
    done = cli("profile", "remove", "lab", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"removed": str(near), "left": [str(file)]}
    assert f"`lab` now is what {file} says" in done.stderr
    assert (near.exists(), file.exists()) == (False, True)


def test_a_broken_one_can_be_removed(file: Path, cli: Cli) -> None:
    file.write_text("kind = ")
    assert cli("profile", "remove", "lab", "--yes").returncode == 0
    assert not file.exists()


def test_never_from_under_a_lab_that_runs(file: Path, cli: Cli) -> None:
    assert cli("start", "lab", "--no-open").returncode == 0
    refused = cli("profile", "remove", "lab", "--yes")
    assert refused.returncode == 2
    assert refused.stderr == "error: the lab of `lab` is running\nhint: end it first: jupyterctl stop lab\n"
    assert file.exists()
    assert cli("stop", "lab", "--yes").returncode == 0
    assert cli("profile", "remove", "lab", "--yes").returncode == 0
    assert not file.exists()
