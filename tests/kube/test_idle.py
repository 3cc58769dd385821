"""A proxy before the API server that forgets connections which were silent for a while, and tells nobody.

Both ends go on believing in such a connection, and what they say is lost.
"""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest
import websocket

from jupyterctl.model import RunState
from jupyterctl.transport.kube import streams
from jupyterctl.transport.kube.api import Cluster
from tests.cluster import Proxy, Space
from tests.conftest import PATIENCE, wait_for
from tests.faults.near import execute

from .conftest import Runs
from .lab_ground import Lab
from .test_away import Following, complete, go

PATIENT, BUSY, IMPATIENT = 15.0, 6.0, 2.0
"""Longer than a link is silent, on a machine that is loaded; shorter than a run is; shorter than a link is."""
THREE = (
    "import os, time\nfor number in range(9):\n    print(number, flush=True)\n"
    "    while number % 3 == 2 and not os.path.exists(f'/tmp/go{number if number < 8 else str()}'):\n"
    "        time.sleep(0.02)"
)
"""Prints three numbers at a time, and waits then."""
WAITING = "import os, time\nwhile not os.path.exists('/tmp/go'): time.sleep(0.02)\nprint('at last')"


@pytest.fixture
def lab(space: Space, home: Path, tmp_path: Path) -> Lab:
    """One that is not started yet."""
    return Lab(space, home, tmp_path / "work")


def started(lab: Lab, seconds: float) -> Proxy:
    """Start it by way of a proxy that forgets."""
    proxy = forgetful(lab.space, seconds)
    lab.profile()
    lab.start()
    return proxy


def forgetful(space: Space, seconds: float) -> Proxy:
    """Kubeconfigs lead through it from now on."""
    proxy = space.behind_a_proxy()
    proxy.patience = seconds
    return proxy


def test_a_kernel_is_used_again_after_a_silence(lab: Lab) -> None:
    proxy = started(lab, PATIENT)
    with closing(lab.channel()) as channel:
        execute(channel, "kept = 6 * 7")
        proxy.forget_one()
        assert execute(channel, "print(kept)") == "42\n"
        assert lab.get()["connections"] == 1


def test_a_connection_that_is_forgotten_nonetheless_ends(lab: Lab) -> None:
    """JupyterLab makes a new one then; it would wait for an answer for ever."""
    proxy = started(lab, IMPATIENT)
    with closing(lab.channel()) as channel:
        execute(channel, "kept = 6 * 7")
        proxy.forget_one()
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            execute(channel, "print(kept)")
    assert lab.get()["kernels"] == 1


def test_a_log_is_followed_through_silences(runs: Runs) -> None:
    """The stream is forgotten each time; what is printed then is seen while the run goes on."""
    proxy = forgetful(runs.space, BUSY)
    run = runs.start(runs.profile(), THREE)
    following = Following(runs, run)
    for number in (2, 5):
        wait_for(lambda: following.printed()[-1:] == [number])  # noqa: B023 - asked at once
        proxy.forget_one()
        assert runs.session.run(run.id).state is RunState.RUNNING
        go(runs, run, str(number))
    wait_for(lambda: following.printed()[-1:] == [8])
    go(runs, run)
    following.end()
    complete(following, runs.session.find_run(run.id))


def test_who_asks_seldom_is_answered(space: Space) -> None:
    """No question goes by a connection that has been silent since the last one."""
    proxy = forgetful(space, BUSY)
    cluster = Cluster(str(space.kubeconfig()), None, space.name)
    for _ in range(2):
        assert cluster.ask(cluster.pods.get, namespace=space.name)["items"] == []
        proxy.forget_one()
    assert len(proxy.forgotten) == 4, "those that were silent were forgotten, the asking ones among them"
    assert cluster.ask(cluster.pods.get, namespace=space.name)["items"] == []


def test_a_command_in_a_pod_may_be_silent(runs: Runs) -> None:
    proxy = forgetful(runs.space, PATIENT)
    run = runs.start(runs.profile(), WAITING)
    (pod,) = wait_for(lambda: [one for one in runs.space.pods(run=run.id) if one["status"]["phase"] == "Running"])
    cluster = Cluster(str(runs.space.kubeconfig()), None, runs.space.name)
    said: list[bytes] = []
    ask = lambda: said.append(streams.run(cluster, pod["metadata"]["name"], ["python3", "-c", WAITING]))  # noqa: E731
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    proxy.forget_one()
    go(runs, run)
    asking.join(PATIENCE)
    assert said == [b"at last\n"]
    assert runs.finish(run)[0].state is RunState.SUCCEEDED
