"""What happens to the lab and its machine while the way is there: it is told from a way that is down."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from jupyterctl.errors import JupyterctlError
from jupyterctl.model import LinkState
from tests.conftest import notebook, wait_for

from .machine import Machine
from .near import NAME, Near, two_lines


def kill_lab(near: Near) -> None:
    """Jupyter and what it runs, with -9."""
    pid = near.session.status(NAME).pid
    (lab,) = [each for each in near.machine.programs("jupyter") if each.pid == pid]
    for process in [*lab.children(recursive=True), lab]:
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: not lab.is_running())


@pytest.mark.parametrize("end", [lambda near: near.machine.kill_tmux(), kill_lab], ids=["tmux", "jupyter"])
def test_the_lab_is_killed_and_started_again(near: Near, end) -> None:
    before, reconnects = near.url, near.said().reconnects
    end(near)
    link = near.becomes(LinkState.GONE)
    assert link.error
    assert link.hint == f"start it: jupyterctl start {NAME}"
    assert near.row().state == "stopped"
    assert near.session.status(NAME).state == "stopped"
    failed = near.command("reconnect", NAME)
    assert failed.returncode == 3
    assert link.hint in failed.stderr
    near.start()
    assert near.url == before
    assert near.row().link.state == LinkState.UP
    assert near.said().reconnects == reconnects
    assert near.kernel().intact()


def test_it_is_started_again_after_a_reboot(near: Near, machine: Machine) -> None:
    """The reboot is made by ending everything of that home, tmux, Jupyter and sshd's sessions, at once."""
    near.describe('on_reboot = "restart"\n')
    near.start()
    before, token = near.session.status(NAME).pid, near.token
    machine.kill_all()
    near.leaves(LinkState.UP)
    wait_for(lambda: near.row().health.http == "ok")
    assert near.session.status(NAME).pid != before
    near.learn()
    assert near.token == token
    assert near.kernel().intact()


def test_after_a_reboot_it_is_only_told(near: Near, machine: Machine) -> None:
    """As for the one before, with `on_reboot` as it is by itself."""
    near.describe()
    near.start()
    machine.kill_all()
    assert near.becomes(LinkState.GONE).hint == f"start it: jupyterctl start {NAME}"
    assert not machine.programs("jupyterlab")
    near.start()
    assert near.kernel().intact()


def test_one_that_was_ended_on_purpose_is_not_started_again(near: Near) -> None:
    """Without a reboot, `on_reboot` says nothing: whoever shuts the lab down in the browser means it.

    When somebody starts it there it is found, for it is looked for as long as anybody looks at it.
    """
    near.describe('on_reboot = "restart"\n')
    near.start()
    kill_lab(near)
    near.becomes(LinkState.GONE)
    assert near.session.status(NAME).state == "stopped"
    at = near.session._place(NAME).target
    for _ in at.broker.items("start", spec=at._spec(None)):
        near.row()
    near.becomes(LinkState.UP)
    near.learn()
    assert near.kernel().intact()


def test_the_disk_there_is_full(near: Near, machine: Machine) -> None:
    kernel = near.kernel()
    with full(machine.state / "local"):
        failed = near.command("run", notebook(near.folder / "nb.ipynb", "print(1)"), "-t", NAME)
        assert failed.returncode == 3
        assert said(failed, "disk there full")
        assert kernel.intact()
    kill_lab(near)
    near.becomes(LinkState.GONE)
    with full(machine.state / "servers"):
        failed = near.command("start", NAME, "--no-open")
        assert failed.returncode == 3
        assert said(failed, "no space left")
        with pytest.raises(JupyterctlError) as raised:
            near.start()
        assert two_lines(raised.value)
    near.start()
    assert near.kernel().intact()


def said(failed: subprocess.CompletedProcess[str], words: str) -> bool:
    """Whether a command ended with an error of two lines that has these words."""
    error, hint = failed.stderr.strip().splitlines()[-2:]
    return error.startswith("error: ") and hint.startswith("hint: ") and words in error + hint


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """A disk of its own below a folder, with no room left."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", folder], check=True)
    try:
        with suppress(OSError):
            (folder / "rest").write_bytes(bytes(1 << 20))
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
