"""What cannot work is said in two lines before anything starts, with what to do about it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli, notebook

from .ground import none_made, two_lines


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not json", "is not a notebook"),
        (b"", "is empty"),
        (b"{}", "but not a notebook"),
        (b'{"nbformat": 9, "cells": []}', "format 9"),
        (b'{"cells": [', "ends in the middle"),
    ],
)
def test_what_is_no_notebook(cli: Cli, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "nb.ipynb"
    path.write_bytes(content)
    assert words in two_lines(cli("run", path), 2)
    assert none_made(cli)


def test_a_directory_and_nothing(cli: Cli, tmp_path: Path) -> None:
    assert "is a folder" in two_lines(cli("run", tmp_path), 2)
    notebook(tmp_path / "analysis.ipynb", "1")
    assert "did you mean `analysis.ipynb`" in two_lines(cli("run", "analysys.ipynb"), 2)
    assert none_made(cli)


def test_an_unknown_kernel_lists_those_there_are(cli: Cli, tmp_path: Path) -> None:
    told = two_lines(cli("run", notebook(tmp_path / "nb.ipynb", "1"), "--kernel", "nope"), 2)
    assert "no kernel `nope`" in told
    assert "python3 (python)" in told
    assert none_made(cli)


def test_a_language_nobody_speaks_here(cli: Cli, tmp_path: Path) -> None:
    spec = {"name": "forth", "language": "forth", "display_name": "Forth"}
    path = notebook(tmp_path / "nb.ipynb", "1 2 +", kernelspec=spec)
    told = two_lines(cli("run", path), 2)
    assert "no kernel for forth" in told
    assert "python3 (python)" in told
    assert none_made(cli)


def test_an_environment_without_ipykernel(cli: Cli, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True, timeout=60)
    told = two_lines(cli("run", notebook(tmp_path / "nb.ipynb", "1"), "-e", f"venv:{bare}"), 3)
    assert "`ipykernel`" in told
    assert f"{bare}/bin/python -m pip install ipykernel" in told
    assert none_made(cli)


def test_a_missing_import(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "import nothing_of_the_kind", "import json, yaml_of_nobody.x as y")
    told = two_lines(cli("run", path), 3)
    assert "`nothing_of_the_kind`, `yaml_of_nobody`" in told
    assert "install nothing_of_the_kind yaml_of_nobody" in told
    assert none_made(cli)
    assert cli("run", path, "--lenient").returncode == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-p", "alhpa", "1"], "did you mean `alpha`"),
        (["-p", "alpha", "much"], "`alpha`"),
        (["-s", "token=hunter2"], "not given by reference"),
        (["-s", "token=env:NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"),
        (["-o", "{beta}.ipynb"], "{alpha}"),
        (["-o", "nb.ipynb"], "would overwrite the notebook"),
        (["-o", "."], "would overwrite the notebook"),
        (["-o", "no/such/folder/out.ipynb"], "mkdir -p"),
        (["-t", "nowhere"], "`nowhere`"),
        (["--timeout", "soon"], "soon"),
        (["--sweep", "alpha=1,2", "-o", "out.ipynb"], "every run of the sweep would write"),
        (["-f", "absent.yaml"], "absent.yaml"),
    ],
)
def test_a_request_that_does_not_fit(cli: Cli, tmp_path: Path, flags: list[str], words: str) -> None:
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha: int = 1")
    told = two_lines(cli("run", path, *flags), 2)
    assert words in told
    assert "hunter2" not in told
    assert none_made(cli)


def test_an_output_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "1")
    two_lines(cli("run", path, "-o", "/proc/out.ipynb"), 2)
    assert json.loads(cli("runs", "--json").stdout) == {"runs": []}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["nb.ipynb", "-p", "lr=0.5"], "-p lr 0.5"),
        (["nb.ipynb", "-p", "lr=0.5", "--detach"], "-p lr 0.5"),
        (["nb.ipynb", "-r", "word=two words", "-o", "out.ipynb"], "-r word 'two words'"),
        (["-p", "lr=0.5", "nb.ipynb"], "-p lr 0.5"),
        (["nb.ipynb", "out.ipynb"], "-o out.ipynb"),
        (["nb.ipynb", "-p", "lr"], "jupyterctl run --help"),
        (["nb.ipynb", "--nonesuch"], "jupyterctl run --help"),
    ],
)
def test_what_papermill_and_others_are_used_to(cli: Cli, tmp_path: Path, arguments: list[str], hint: str) -> None:
    notebook(tmp_path / "nb.ipynb", "# parameters\nlr = 1.0\nword = ''")
    assert hint in two_lines(cli("run", *arguments), 2).splitlines()[1]
    assert none_made(cli)
