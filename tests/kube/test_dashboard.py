"""The dashboard tells why a run in a cluster has not started, and what goes with a lab's pod that is to be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterctl.core.session import Session
from jupyterctl.tui.screens.dialogs import Confirm
from jupyterctl.tui.widgets.table import Table
from tests.cluster import Space
from tests.tui.ground import SIZES, WIDE, opened, screen, shown, told, until

from .conftest import Runs
from .lab_ground import NAME, Lab


@pytest.fixture
def label(runs: Runs) -> Iterator[str]:
    """A label that no node has; it is taken from those that a test has given it to."""
    made = f"{runs.space.name}/wanted"
    yield made
    give(runs, made, None)


def give(runs: Runs, label: str, value: str | None) -> None:
    """Let the first node have a label, or take it away."""
    cluster = runs.space.cluster
    node = cluster.ask(cluster.core.list_node)["items"][0]["metadata"]["name"]
    cluster.ask(cluster.core.patch_node, node, {"metadata": {"labels": {label: value}}})


@pytest.mark.asyncio
@pytest.mark.parametrize(("size", "said"), [(SIZES[1], "no node takes"), (WIDE, "waits")], ids=["80x24", "120x40"])
async def test_a_run_tells_why_it_waits_until_it_starts(
    runs: Runs, label: str, size: tuple[int, int], said: str
) -> None:
    """Beside the wide list stands the run in full; the narrow one has room for the reason itself."""
    runs.profile(node_selector={label: "yes"})
    run = runs.start("there", "print('at last')", retries=2)  # a node may refuse it until it has heard of its own label
    async with opened(lambda: Session(runs.folder), size) as pilot:
        await pilot.press("2")

        def row() -> str:
            lines = [line.partition("│")[0] for line in screen(pilot).splitlines()]
            return next((line for line in lines if run.id in line), "")

        await until(pilot, lambda: said in row())
        assert "submitted" in row()
        await pilot.press("enter")
        await shown(pilot, "waits")
        await shown(pilot, "no node takes it: 0/")
        assert runs.session.find_run(run.id).waiting.startswith("no node takes it: 0/")
        give(runs, label, "yes")
        await shown(pilot, "succeeded")
        assert "no node takes" not in screen(pilot)
    assert runs.session.find_run(run.id).waiting == ""


@pytest.mark.asyncio
async def test_what_goes_with_a_pod_is_named_before_it_is_stopped(space: Space, home: Path, tmp_path: Path) -> None:
    lab = Lab(space, home, tmp_path / "work")
    lab.profile()
    lab.start()
    before = lab.uid()
    async with opened(lambda: Session(tmp_path / "work")) as pilot:
        await until(pilot, lambda: NAME in pilot.app.servers)
        pilot.app.screen.query_one("#table", Table).go(NAME)
        await shown(pilot, "● running")
        for key, verb in (("x", "Stop"), ("R", "Restart")):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
            await shown(pilot, f"{verb} `{NAME}`?")
            await shown(pilot, "lost: the files in /jupyterctl/work; files in it go with the pod")
            await shown(pilot, "Name a `disk` below [server] to keep them.")
            await pilot.press("escape")
        assert lab.uid() == before
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: any("is stopped" in message for message in told(pilot)))
    assert lab.replicas() == 0
