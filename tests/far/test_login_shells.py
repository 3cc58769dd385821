"""Machines whose login shell is another one, and whose start-up files print things: labs, runs, files and shells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import COMMAND, need, notebook

from .box import NAME
from .conftest import Boxes

NOISE = "echo Welcome to the machine; echo 'no newline' | tr -d '\\n'; echo grumble 1>&2\n"
SHELLS = {
    "bash": (".bashrc", ".bash_profile"),
    "zsh": (".zshenv", ".zprofile", ".zshrc"),
    "fish": (".config/fish/config.fish",),
    "tcsh": (".cshrc", ".login"),
}
FORCE = """#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in internal-sftp*) exec /usr/lib/openssh/sftp-server;; esac
SHELL={shell}
export SHELL
exec {shell} -c "$SSH_ORIGINAL_COMMAND"
"""


@pytest.mark.parametrize("name", SHELLS)
def test_all_is_done_there(name: str, boxes: Boxes, cli, tmp_path: Path) -> None:
    shell = Path("/usr/bin") / name
    need("shells", shell.exists(), f"apt install {name}")
    need("sshd", Path("/usr/lib/openssh/sftp-server").exists(), "no sftp-server")
    force = tmp_path / "force"
    force.write_text(FORCE.format(shell=shell))
    force.chmod(0o755)
    box = boxes(sshd=f"ForceCommand {force}\n")
    for file in SHELLS[name]:
        (box.home / file).parent.mkdir(parents=True, exist_ok=True)
        (box.home / file).write_text(NOISE)
    started = cli("start", NAME, "--no-open")
    assert started.returncode == 0, started.stderr
    path = notebook(tmp_path / "nb.ipynb", "import os; print('shell', os.environ.get('SHELL'))")
    ran = cli("run", path, "-t", NAME, "--log-output")
    assert ran.returncode == 0, ran.stderr
    (tmp_path / "it's $HOME.txt").write_text("here")
    assert cli("cp", tmp_path / "it's $HOME.txt", f"{NAME}:.").returncode == 0
    assert (box.work / "it's $HOME.txt").read_text() == "here"
    assert cli("stop", NAME).returncode == 0
    done = subprocess.run(
        [COMMAND, "shell", NAME], input="echo at $PWD; echo in $VIRTUAL_ENV\n", capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert f"at {box.work}" in done.stdout, done.stdout + done.stderr
    assert "in /" in done.stdout
