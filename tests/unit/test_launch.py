"""Handing an environment over to a script that may not come for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from jupyterctl.errors import TargetError
from jupyterctl.transport import launch


def test_one_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    file = launch.prepare(tmp_path, launch.lines(tmp_path.as_posix(), (launch.MARK, "a-1"), []))
    (tmp_path / "starter").write_text("nobody")
    subprocess.run(["sh", file], check=False, timeout=60)
    assert (tmp_path / launch.PID).exists()
    with pytest.raises(TargetError, match="ended at once"):
        launch.hand_over(tmp_path, launch.exports({}, "a-1"))


def test_one_that_never_comes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch.prepare(tmp_path, "")
    monkeypatch.setattr(launch, "HANDOVER_SECONDS", 0.01)
    with pytest.raises(TargetError, match="did not come up"):
        launch.hand_over(tmp_path, launch.exports({}, "a-1"))
