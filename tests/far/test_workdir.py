"""Where a notebook works at a machine whose profile names a folder."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import notebook

from .box import NAME, Box


def test_it_works_in_that_folder_with_what_is_there(box: Box, cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "import helper\nprint('it', helper.SAYS, 'in', open('data.txt').read())")
    for folder, where in ((tmp_path, "here"), (box.work, "there")):
        (folder / "helper.py").write_text(f"SAYS = {where!r}")
        (folder / "data.txt").write_text(where)
    done = cli("run", path, "-t", NAME, "--log-output")
    assert done.returncode == 0, done.stderr
    assert "it there in there" in done.stdout
    assert "`data.txt`, `helper.py`: what the target's own folder has" in done.stderr
    alone = cli("run", path, "-t", NAME, "--isolated", "--log-output")
    assert alone.returncode == 0, alone.stderr
    assert "it here in here" in alone.stdout
    assert "takes along" in alone.stderr
