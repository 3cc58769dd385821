"""The activation lines, run by real shells: what a program started after them sees."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from jupyterctl.environments import script, shell
from jupyterctl.environments.environment import read
from tests.conda_channel import make_environment
from tests.environment_fixtures import home, virtual

__all__ = ["home"]
ODD = "it's a $HOME `lab`"


def activated(prefix: Path, with_shell: str = shell(), **variables: str) -> dict[str, str]:
    """Variables that hold after activation in a strict shell, and `python`: the one that is then on PATH."""
    environment = read(prefix)
    assert environment is not None
    code = "import json, os, shutil; print(json.dumps(dict(os.environ, python=shutil.which('python'))))"
    text = f"set -eu\n{script(environment)}exec python -c {shlex.quote(code)}\n"
    done = subprocess.run(
        [with_shell], input=text, capture_output=True, text=True, check=True, timeout=60, env=os.environ | variables
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["sh", "bash", "dash"])
def test_a_virtual_environment(home: Path, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"this machine has no {name}")
    prefix = virtual(home / ODD)

    seen = activated(prefix, name, PYTHONHOME="/nowhere")

    assert seen["VIRTUAL_ENV"] == str(prefix)
    assert seen["python"] == f"{prefix}/bin/python"
    assert "PYTHONHOME" not in seen


def test_a_conda_environment_without_conda(home: Path) -> None:
    prefix = make_environment(home / ODD)
    (prefix / "conda-meta/state").write_text(json.dumps({"env_vars": {"MINE": "a 'b' $c", "bad name": "x"}}))

    seen = activated(prefix, VIRTUAL_ENV="/other")

    assert (seen["CONDA_PREFIX"], seen["CONDA_DEFAULT_ENV"]) == (str(prefix), ODD)
    assert seen["python"] == f"{prefix}/bin/python"
    assert seen["JUPYTERCTL_TEST_ACTIVATED"] == str(prefix)
    assert seen["JUPYTERCTL_TEST_VARIABLE"] == "from the package"
    assert seen["MINE"] == "a 'b' $c"
    assert "VIRTUAL_ENV" not in seen


def root(home: Path, body: str) -> Path:
    """A conda installation, as far as activation goes."""
    folder = home / "miniforge3"
    (folder / "etc/profile.d").mkdir(parents=True)
    (folder / "etc/profile.d/conda.sh").write_text(f"conda() {{\n{body}\n}}\n")
    return folder


def test_a_conda_environment_is_activated_by_its_installation(home: Path) -> None:
    folder = root(home, 'export CONDA_PREFIX="$2" ACTIVATED_BY="conda $1" PATH="$2/bin:$PATH"')
    prefix = make_environment(folder / "envs/lab")

    seen = activated(prefix)

    assert (seen["CONDA_PREFIX"], seen["ACTIVATED_BY"]) == (str(prefix), "conda activate")
    assert seen["python"] == f"{prefix}/bin/python"


def test_where_its_installation_fails_it_is_activated_all_the_same(home: Path) -> None:
    prefix = make_environment(root(home, 'echo "$UNSET"; return 1') / "envs/lab")

    seen = activated(prefix)

    assert (seen["CONDA_PREFIX"], seen["python"]) == (str(prefix), f"{prefix}/bin/python")
    assert seen["JUPYTERCTL_TEST_ACTIVATED"] == str(prefix)
