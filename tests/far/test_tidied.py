"""A machine where somebody tidies up: what we keep there is gone while we are connected."""

from __future__ import annotations

import shutil
from pathlib import Path

from .box import NAME, Box


def test_commands_work_on_after_our_program_there_is_removed(box: Box, cli, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    assert cli("cp", "a.txt", f"{NAME}:a.txt", cwd=tmp_path).returncode == 0
    shutil.rmtree(box.home / ".cache/jupyterctl")
    checked = cli("profile", "check", NAME)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    started = cli("start", NAME, "--no-open")
    assert started.returncode == 0, started.stderr
    assert cli("stop", NAME).returncode == 0
    assert box.logins() == 1
