"""A lab at a machine of its own, linked to us by a keeper: the ground of what a link does when things happen to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyterctl.model import LinkState
from tests.conftest import end_all
from tests.faults.machine import Machine
from tests.faults.near import Near

from .lines import temporary
from .timing import NOT_OURS


@contextmanager
def somebody() -> Iterator[Near]:
    """Somebody with a home of their own and a profile of the machine."""
    with temporary() as name:
        folder = Path(name)
        home = folder / "n/home"
        home.mkdir(parents=True)
        os.environ |= {"JUPYTERCTL_HOME": str(home), "HOME": str(home.parent)}
        for variable in ("SSH_AUTH_SOCK", *NOT_OURS):
            os.environ.pop(variable, None)
        (folder / "m").mkdir()
        machine = Machine(folder / "m")
        try:
            yield Near(home.parent, home, machine)
        finally:
            end_all("JUPYTERCTL_HOME", home.parent)
            machine.close()


def begin(near: Near, transport: str) -> None:
    """Have the lab, and a new keeper whose way goes by that transport."""
    near.machine.restore()
    near.describe(f'transport = "{transport}"\n')
    for each in near.keepers():
        each.kill()
        each.wait()
    near.start()
    near.becomes(LinkState.UP)


def ssh(near: Near, *words: str) -> list[str]:
    """The ssh program with the machine's configuration, ending with the machine's name."""
    return ["ssh", "-F", str(near.machine.config), *words, near.machine.sshd.name]


def fresh(near: Near) -> list[str]:
    """`ssh host true`."""
    return [*ssh(near), "true"]


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group."""
    os.killpg(process.pid, 9)
    process.wait()
