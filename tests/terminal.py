"""The installed command on a terminal, with somebody who answers its questions."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

from tests.conftest import COMMAND, PATIENCE


def conversation(arguments: list[str], answers: dict[str, list[str]], cwd: Path) -> tuple[int, str]:
    """Run the command on a terminal; each question gets the next answer for its first word, or an empty line."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, start_new_session=True
    )
    os.close(theirs)
    left = {question: list(given) for question, given in answers.items()}
    seen = ""
    while select.select([ours], [], [], PATIENCE)[0]:
        try:
            seen += os.read(ours, 4096).decode()
        except OSError:  # the other end is closed
            break
        question = seen.rpartition("\n")[2]
        if question.endswith(": "):
            given = left.get(question.split()[0].rstrip(":"), [])
            os.write(ours, (given.pop(0) if given else "").encode() + b"\n")
    os.close(ours)
    assert not any(left.values()), f"never asked for {left}: {seen}"
    return process.wait(PATIENCE), seen
