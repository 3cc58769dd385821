"""Stands in for libtmux: the tmux program, asked as that library asks it."""

from __future__ import annotations

import subprocess


class _Answer:
    def __init__(self, stdout, stderr, returncode):
        self.stdout = stdout.splitlines()
        self.stderr = stderr.splitlines()
        self.returncode = returncode


class Server:
    """The person's own tmux server."""

    def cmd(self, *command, target=None):
        """Execute one of tmux's commands."""
        aimed = [command[0], *(["-t", target] if target else []), *command[1:]]
        done = subprocess.run(["tmux", *aimed], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        return _Answer(done.stdout, done.stderr, done.returncode)
