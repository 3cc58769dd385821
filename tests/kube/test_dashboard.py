"""The dashboard tells why a run in a cluster has not started, for as long as that is so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyterctl.core.session import Session
from tests.tui.ground import SIZES, WIDE, opened, screen, shown, until

from .conftest import Runs


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
