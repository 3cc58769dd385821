"""Sessions on this machine, in a tmux server of the test's own."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

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


def test_the_shell_of_a_session_is_shown_from_a_tmux_of_another_server(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("tmux", shutil.which("tmux"), "sessions are tmux's")

    def ask(*command: str, check: bool = True) -> str:
        done = subprocess.run(["tmux", *command], capture_output=True, text=True, check=check, timeout=30)
        return done.stdout.strip()

    tmux.spawn("kept", ["sleep", "1000"], tmp_path)
    other = ("-L", "other", "-f", "/dev/null")
    try:
        ask(*other, "new-session", "-d", "-s", "mine")
        monkeypatch.setenv("TMUX", ask(*other, "display-message", "-p", "-t", "mine", "#{socket_path},#{pid},0"))
        command = tmux.shell_command("kept", ["sh", "-c", f"touch {tmp_path}/shell; exec sleep 1000"], str(tmp_path))
        ask(*other, "respawn-pane", "-k", "-t", "mine", shlex.join(command))
        wait_for((tmp_path / "shell").exists)
        monkeypatch.delenv("TMUX")
        wait_for(lambda: ask("list-clients", "-t", "kept"))
    finally:
        monkeypatch.delenv("TMUX", raising=False)
        ask(*other, "kill-server", check=False)
        ask("kill-session", "-t", "kept", check=False)
