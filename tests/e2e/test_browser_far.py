"""JupyterLab in a browser, used through a link that is lost and comes back: the page, the kernel and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyterctl.model import LinkState
from tests.faults.conftest import machine, near  # noqa: F401 - fixtures
from tests.faults.machine import Machine
from tests.faults.near import NAME, Near

from .browser import IDLE, execute, idle, new_notebook, printed


@pytest.fixture
def page(near: Near) -> Iterator[Any]:  # noqa: F811
    """The lab with a notebook open, its kernel idle, by the address that `open` gives."""
    with new_notebook(near.command("open", NAME, "--url").stdout.strip(), near.folder) as page:
        yield page


def stop_sshd(machine: Machine) -> Callable[[], object]:  # noqa: F811
    machine.sshd.stop()
    return machine.start


def cut_line(machine: Machine) -> Callable[[], object]:  # noqa: F811
    machine.line.cut()
    return machine.line.mend


def test_a_cell_is_executed_after_each_loss_without_a_reload(near: Near, machine: Machine, page: Any) -> None:  # noqa: F811
    execute(page, "kept = 6 * 7; print('set', kept)")
    printed(page, "set 42")
    page.evaluate("window.stayed = true")
    for number, lose in enumerate((stop_sshd, cut_line)):
        bring_back = lose(machine)
        near.leaves(LinkState.UP)
        page.locator("#jp-main-statusbar").get_by_text(IDLE).wait_for(state="detached")
        bring_back()
        near.becomes(LinkState.UP)
        idle(page)
        execute(page, f"kept += 1; print('after {number}:', kept)")
        printed(page, f"after {number}: {43 + number}")
        assert page.evaluate("window.stayed")
    assert page.locator(".jp-Dialog").count() == 0
    assert near.get()[0]["execution_state"] == "idle"
