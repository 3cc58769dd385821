"""Finding a process again by its pid and its command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

from jupyterctl.transport import process
from tests.conftest import PATIENCE, wait_for


def test_a_process_in_the_middle_of_an_exec_is_there(tmp_path: Path) -> None:
    """For a moment it has no command line: whoever looks then must not take it for gone."""
    script = tmp_path / "again.sh"
    script.write_text(f"exec sh {script}\n")
    restless = subprocess.Popen(["sh", script])
    try:
        wait_for(lambda: process.named(restless.pid, str(script)))
        assert all(process.named(restless.pid, str(script)) for _ in range(3000))
        assert process.named(restless.pid, "another") is None
    finally:
        restless.kill()
        restless.wait(PATIENCE)
    assert process.named(restless.pid, str(script)) is None
