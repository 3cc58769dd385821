"""The script that starts a run or a server where it lives, and the handing over of its environment.

The environment that it inherits may hold secrets, so it is never written to a disk nor put on a command line: the
script reads it from a named pipe, which the process that starts it fills. A starter that died in between cannot leave
the script waiting: it looks whether its starter lives before it reads, and refuses an environment that is not whole.
"""

from __future__ import annotations

import errno
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import TargetError
from ..remote import RUNNER

MARK = "JUPYTERCTL_RUN"
"""Variable that every process of a run carries: the run's id."""
SERVER_MARK = "JUPYTERCTL_SERVER"
"""Variable that a server and all its processes carry: the profile's name."""
SERVER_DIRECTORY = "JUPYTERCTL_SERVER_DIRECTORY"
"""Variable beside it: where the server's token, log and pid are kept."""

HANDOVER_SECONDS = 60.0
"""For a login shell may first read its files from a slow disk."""
PID, PIPE, SCRIPT = "pid", "environment", "launch.sh"

_OF_THE_TERMINAL = {"_", "OLDPWD", "PWD", "SHLVL", "TMUX", "TMUX_PANE", "STY", "WINDOW"}


def script(run_id: str, directory: str, python: str, before: Sequence[str], activation: str) -> str:
    """Shell lines that end as the runner: pid, environment, the profile's own lines, activation, exec.

    >>> script("a-1", "/r/a b", "/usr/bin/python3", ["module load x"], "").splitlines()[-2:]
    ['module load x', "exec /usr/bin/python3 '/r/a b/runner.pyz' 2>>runner.log"]
    """
    command = f"exec {shlex.quote(python)} {shlex.quote(directory + '/' + RUNNER)} 2>>runner.log"
    return lines(directory, (MARK, run_id), [*before, activation, command])


def lines(directory: str, mark: tuple[str, str], own: Sequence[str]) -> str:
    """Shell lines that take the environment over, see by its mark that it is whole, and go on with their own."""
    name, value = mark
    whole = [
        f"# Starts {value}; written by jupyterctl.",
        f"cd {shlex.quote(directory)} || exit 1",
        f"echo $$ >{PID}",
        'kill -0 "$(cat starter)" || exit 1',
        f'eval "$(cat {PIPE})"',
        f"rm -f {PIPE} starter",
        f'[ "${name}" = {shlex.quote(value)} ] || exit 1',
        *own,
    ]
    return "\n".join(line for line in whole if line) + "\n"


def exports(environment: Mapping[str, str], value: str, mark: str = MARK) -> str:
    r"""The environment as shell lines; the mark comes last and proves that nothing was cut.

    >>> exports({"A": "it's", "TMUX": "x", "not-a-name": "y"}, "a-1")
    'export A=\'it\'"\'"\'s\'\nexport JUPYTERCTL_RUN=a-1\n'
    """
    names = [name for name in environment if name.isidentifier() and name.isascii() and name not in _OF_THE_TERMINAL]
    exported = [f"export {name}={_literal(environment[name])}" for name in names if name not in {MARK, mark}]
    return "\n".join([*exported, f"export {mark}={_literal(value)}"]) + "\n"


def _literal(text: str) -> str:
    """Quoted as `shlex.quote` does, and where zsh would look for a program of that name.

    >>> _literal("=ls"), _literal("a")
    ("'=ls'", 'a')
    """
    return f"'{text}'" if text.startswith("=") and shlex.quote(text) == text else shlex.quote(text)


def prepare(directory: Path, text: str) -> Path:
    """Write the script and make the pipe; returns the script's path."""
    file = directory / SCRIPT
    for left in (PIPE, PID):
        (directory / left).unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8")
    (directory / "starter").write_text(f"{os.getpid()}\n", encoding="ascii")
    os.mkfifo(directory / PIPE, 0o600)
    return file


def hand_over(directory: Path, text: str) -> None:
    """Fill the pipe once the script has opened it; TargetError where it does not come for it."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while True:
        try:
            pipe = os.open(directory / PIPE, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            ended = _ended(directory)
            if error.errno != errno.ENXIO or ended or time.monotonic() > deadline:
                message = f"the process {'ended at once' if ended else 'did not come up'}"
                raise TargetError(message, f"`sh -x {directory / SCRIPT}` may say why") from error
        time.sleep(0.002)
    os.set_blocking(pipe, True)
    with os.fdopen(pipe, "wb") as file:
        file.write(os.fsencode(text))


def _ended(directory: Path) -> bool:
    """Whether the script has begun and is gone."""
    try:
        os.kill(int((directory / PID).read_text(encoding="ascii")), 0)
    except (ProcessLookupError, PermissionError):
        return True  # its pid is nobody's, or somebody else's by now
    except (FileNotFoundError, ValueError):
        return False  # it has not begun, or is just writing its pid
    return False
