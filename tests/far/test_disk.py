"""A machine whose disk is full: what could not be copied leaves nothing behind, and works once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import notebook
from tests.link.far import blob

from .box import NAME, Box

MIB = 1 << 20


@pytest.fixture
def small(box: Box) -> Iterator[Path]:
    """A disk of 2 MiB for the runs of the machine."""
    folder = box.state / "local"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_run_that_does_not_fit_leaves_nothing_of_its_file(cli, small: Path, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "print(len(open('data.bin', 'rb').read()))")
    data = tmp_path / "data.bin"
    data.write_bytes(blob(4 * MIB))
    failed = cli("run", path, "-t", NAME, "--isolated")
    assert failed.returncode == 3, failed.stderr
    assert "cannot copy" in failed.stderr
    assert "free some space there" in failed.stderr
    assert not list(small.rglob("*.part"))
    assert not list(small.rglob("data.bin"))
    data.write_bytes(blob(MIB // 2))
    again = cli("run", path, "-t", NAME, "--isolated")
    assert again.returncode == 0, again.stderr


def test_a_copy_that_does_not_fit_leaves_nothing(cli, small: Path, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(blob(4 * MIB))
    failed = cli("cp", tmp_path / "data.bin", f"{NAME}:{small}/data.bin")
    assert failed.returncode == 3
    assert "free some space there" in failed.stderr
    assert not list(small.iterdir())
