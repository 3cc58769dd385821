"""A pod that the node throws out: the kubelet's own doing, for more of the node's disk than the profile allows."""

from __future__ import annotations

from jupyterctl.model import Run, RunState
from tests.conftest import kinds, wait_for

from .conftest import Runs

FILL = (
    "import time\nwith open('much', 'wb') as file:\n    for _ in range(64):\n        file.write(bytes(1 << 20))\n"
    "print('written', flush=True)\ntime.sleep(600)"
)
EVICTION_SECONDS = 90.0
"""A kubelet looks at its disks every ten seconds, and at what pods use of them once a minute."""


def evict(runs: Runs, run: Run) -> None:
    """Say of the pod what a kubelet says: some never measure what a pod takes of a disk that has much room."""
    cluster = runs.space.cluster
    (pod,) = runs.space.pods(run=run.id)
    message = "Pod ephemeral local storage usage exceeds the total limit of containers 16Mi."
    status = {"phase": "Failed", "reason": "Evicted", "message": message}
    cluster.ask(
        cluster.core.patch_namespaced_pod_status, pod["metadata"]["name"], cluster.namespace, {"status": status}
    )


def test_an_evicted_pod_is_lost_and_says_what_it_took(runs: Runs) -> None:
    limited = {"containers": [{"resources": {"limits": {"ephemeral-storage": "16Mi"}}}]}
    run = runs.start(runs.profile(template=limited), FILL)
    wait_for(lambda: "output" in kinds(runs.session.events(runs.session.run(run.id))))
    try:
        wait_for(lambda: runs.session.run(run.id).state.ended, EVICTION_SECONDS)
    except AssertionError:
        evict(runs, run)
    last, events = runs.finish(run)
    assert (last.state, last.exit_code) == (RunState.LOST, 3)
    assert last.error is not None
    assert last.error.name == "Evicted"
    assert "the node evicted the pod: " in last.error.value
    assert "ephemeral" in last.error.value
    assert kinds(events)[-1] == "ended"
