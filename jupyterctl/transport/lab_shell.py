"""A shell for a person, with the environment of a server active."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..environments import Environment, script, shell
from ..model import Server
from . import multiplexer

_RC = "shell.sh"


def command(
    server: Server | None, environment: Environment, before: Sequence[str], root: Path, directory: Path
) -> list[str]:
    """What to execute; the user's own shell, started in `root`. `directory` keeps the lines it begins with."""
    own = _interactive(environment, before, root, directory / _RC)
    session = server.handle.get("session") if server else None
    return multiplexer.shell_command(session, own, str(root)) if session else own


def _interactive(environment: Environment, before: Sequence[str], root: Path, file: Path) -> list[str]:
    """Bash activates after its own start-up file, which may activate another environment; other shells before."""
    lines = [*before, script(environment), f"cd {shlex.quote(str(root))}"]
    mine = os.environ.get("SHELL") or shell()
    if Path(mine).name == "bash":
        file.write_text("\n".join(["[ -f ~/.bashrc ] && . ~/.bashrc", *lines]) + "\n", encoding="utf-8")
        return [mine, "--rcfile", str(file), "-i"]
    file.write_text("\n".join([*lines, f"exec {shlex.quote(mine)} -i"]) + "\n", encoding="utf-8")
    return [shell(), str(file)]
