"""Sessions on this machine, in a tmux server of the test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from jupyterctl.transport import tmux
from tests.conftest import need, wait_for

SESSIONS = 60


def test_a_session_starts_while_the_server_of_the_last_one_ends(home: Path, tmp_path: Path) -> None:
    """tmux's server ends with its last session; whoever asks it for a new one at that moment is turned away."""
    need("tmux", shutil.which("tmux"), "sessions are tmux's")
    for number in range(SESSIONS):
        script, proof = tmp_path / f"{number}.sh", tmp_path / f"{number}.done"
        script.write_text(f"touch {proof}\n")
        tmux.spawn(f"short-{number}", ["/bin/sh", str(script)], tmp_path)
        wait_for(proof.exists)
