"""What a lab uses, as a cluster's metrics API tells it, and clusters that do not tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyterctl.core.session import Session
from tests.cluster import DEV, Space
from tests.conftest import Cli, wait_for
from tests.tui.ground import opened, screen, shown

from .lab_ground import NAME, RIGHTS, Lab
from .metrics import READ, metrics

RESOURCES = {"cpu": "200m", "memory": "512Mi"}
JUPYTERLAB_MIB = 20
"""It takes more than that."""
MEMORY, CPU = r"\d+ MiB of 512 MiB", r"\d+\.\d\d, 0\.20 reserved"


@pytest.fixture
def lab(space: Space, home: Path, tmp_path: Path) -> Lab:
    """One that is not started yet."""
    return Lab(space, home, tmp_path / "work")


def tells_all_but_what_it_uses(lab: Lab) -> bool:
    """Whether nothing is wrong, and nothing else is missing."""
    status = lab.session.status(NAME)
    assert (status.state, status.error, status.facts["pod"]) == ("running", None, lab.pod)
    return not {"cpu", "memory"} & status.facts.keys()


def whole(facts: dict[str, str]) -> dict[str, str] | None:
    """What is told once the kubelet has measured the whole of JupyterLab, which it does every few seconds."""
    told = facts.get("memory", "")
    return facts if re.fullmatch(MEMORY, told) and int(told.split()[0]) > JUPYTERLAB_MIB else None


@pytest.mark.asyncio
async def test_what_a_lab_uses_is_shown_where_the_cluster_knows(lab: Lab, cli: Cli) -> None:
    lab.profile(resources=RESOURCES)
    lab.start()
    assert tells_all_but_what_it_uses(lab)
    assert cli("status", NAME).returncode == 0
    async with opened(lambda: Session(lab.home)) as pilot:
        await shown(pilot, NAME)
        await pilot.press("enter")
        assert "memory" not in await shown(pilot, lab.pod)
    with metrics(lab.space):
        used = wait_for(lambda: whole(lab.session.status(NAME).facts))
        assert re.fullmatch(CPU, used["cpu"])
        told = cli("status", NAME)
        assert re.search(rf"memory\s+{MEMORY}", told.stdout)
        assert re.search(rf"cpu\s+{CPU}", told.stdout)
        async with opened(lambda: Session(lab.home)) as pilot:
            await shown(pilot, NAME)
            await pilot.press("enter")
            await shown(pilot, "MiB of 512 MiB")
            assert re.search(rf"cpu\s+{CPU}", screen(pilot))


def test_who_may_not_ask_is_shown_none(lab: Lab) -> None:
    lab.space.grant(*RIGHTS)
    lab.profile(DEV, resources=RESOURCES)
    lab.start()
    with metrics(lab.space):
        assert tells_all_but_what_it_uses(lab)
        lab.space.grant(READ, name="measured")
        wait_for(lambda: not tells_all_but_what_it_uses(lab))
