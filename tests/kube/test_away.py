"""A cluster that does not answer: nothing is lost, nothing is doubled, and nobody says what nobody knows."""

from __future__ import annotations

import threading
from typing import Any

import yaml

from jupyterctl.model import Run, RunState
from tests.conftest import PATIENCE, kinds, wait_for

from .conftest import Runs

COUNTING = (
    "import os, time\nnumber = 0\nwhile not os.path.exists('/tmp/go'):\n"
    "    print(number, flush=True)\n    number += 1\n    time.sleep(0.02)"
)


class Following:
    """A run that is followed in the background."""

    def __init__(self, runs: Runs, run: Run) -> None:
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._follow, args=(runs, run), daemon=True)
        self._thread.start()

    def _follow(self, runs: Runs, run: Run) -> None:
        for _, event in type(runs.session)(runs.folder).follow(run):
            if event is not None:
                self.events.append(event)

    def printed(self) -> list[int]:
        """The numbers that the cell has printed."""
        texts = [event["text"] for event in self.events if event["event"] == "output" and "text" in event]
        return [int(number) for number in "".join(texts).split()]

    def end(self) -> None:
        """Wait until it has seen the last."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def go(runs: Runs, run: Run, on: str = "") -> None:
    """Let the counting end, or go on."""
    (pod,) = runs.space.pods(run=run.id)
    runs.space.execute(pod["metadata"]["name"], f"open('/tmp/go{on}', 'w')")


def complete(following: Following, last: Run) -> None:
    """Every number once, every event once."""
    assert last.state is RunState.SUCCEEDED, last.error
    numbers = following.printed()
    assert numbers == list(range(len(numbers)))
    told = [event["seq"] for event in following.events if "seq" in event]
    assert told == list(range(len(told)))
    assert kinds(following.events)[-1] == "ended"


def test_a_log_is_followed_through_every_loss_of_the_way(runs: Runs) -> None:
    proxy = runs.space.behind_a_proxy()
    run = runs.start(runs.profile(), COUNTING)
    following = Following(runs, run)
    for _ in range(3):
        seen = wait_for(following.printed)[-1]
        wait_for(lambda: following.printed()[-1] > seen)  # noqa: B023 - asked at once
        with proxy.cut():
            wait_for(lambda: runs.session.run(run.id).state is RunState.UNKNOWN)
        wait_for(lambda: runs.session.run(run.id).state is RunState.RUNNING)
    go(runs, run)
    following.end()
    complete(following, runs.session.find_run(run.id))


def test_an_api_server_that_is_killed_and_started_again(runs: Runs) -> None:
    with runs.space.without_api_server() as stopped:
        run = runs.start(runs.profile(), COUNTING)
        following = Following(runs, run)
        wait_for(following.printed)
        with stopped():
            wait_for(lambda: runs.session.run(run.id).state is RunState.UNKNOWN)
            assert runs.session.run(run.id).exit_code is None
        wait_for(lambda: runs.session.run(run.id).state is RunState.RUNNING)
        go(runs, run)
        following.end()
    complete(following, runs.session.find_run(run.id))


def test_a_token_that_has_expired(runs: Runs) -> None:
    """Unknown, with what to do; once it is renewed the run goes on where it was."""
    run = runs.start(runs.profile(), COUNTING)
    following = Following(runs, run)
    wait_for(following.printed)
    (file,) = runs.space.folder.glob("*.yaml")
    good = file.read_text()
    expired = yaml.safe_load(good)
    for user in expired["users"]:
        user["user"] = {"token": "expired"}
    file.write_text(yaml.safe_dump(expired))
    seen = runs.session.run(run.id)
    assert seen.state is RunState.UNKNOWN
    assert seen.error is not None
    assert "does not know you" in seen.error.value
    file.write_text(good)
    assert runs.session.run(run.id).state is RunState.RUNNING
    go(runs, run)
    following.end()
    complete(following, runs.session.find_run(run.id))
