"""Logs are followed by streams of their own, and only while somebody asks."""

from __future__ import annotations

import threading

from tests.conftest import kinds, wait_for

from .conftest import Runs

TALKING = "import time\nfor second in range(6000):\n    print(second, flush=True)\n    time.sleep(0.05)"


def streams() -> list[threading.Thread]:
    """Those that are open."""
    return [thread for thread in threading.enumerate() if thread.name == "pod-log"]


def test_looking_at_a_run_leaves_no_stream_behind(runs: Runs) -> None:
    run = runs.start(runs.profile(), TALKING)
    wait_for(lambda: "output" in kinds(runs.session.events(runs.session.run(run.id))))
    for _ in range(5):
        runs.session.run(run.id)
    wait_for(lambda: not streams(), 5)
    following = runs.session.follow(run)
    wait_for(lambda: next(following) and streams())
    following.close()
    wait_for(lambda: not streams(), 5)
    runs.session.cancel(runs.session.find_run(run.id))
