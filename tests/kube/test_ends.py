"""Every end of a run in a cluster has its own words and exit code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from jupyterctl.errors import TargetError
from jupyterctl.model import Run, RunState
from tests.cluster import DEV
from tests.conftest import kinds, wait_for

from .conftest import Runs

FOREVER = "import time\nfor second in range(600):\n    print(second, flush=True)\n    time.sleep(0.2)"


class End(NamedTuple):
    """What leads to an end, and what is said of it."""

    state: RunState
    code: int
    error: str
    said: str
    cell: str = "1"
    settings: Mapping[str, Any] = MappingProxyType({})
    options: Mapping[str, Any] = MappingProxyType({})


MISSING_KEY = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "x"}}}
ENDS = {
    "raises": End(RunState.FAILED, 1, "ValueError", "nope", cell="raise ValueError('nope')"),
    "memory": End(
        RunState.KERNEL_DIED, 6, "OutOfMemory", "memory",
        cell="x = bytearray(10**9)\nx[::4096] = b'x' * len(x[::4096])", settings={"resources": {"memory": "300Mi"}},
    ),
    "deadline": End(
        RunState.TIMED_OUT, 5, "DeadlineExceeded", "longer than it may",
        cell="import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n" + FOREVER,
        settings={
            "start_timeout": "30s", "keep": "1s", "run": {"timeout": "15s", "grace": "1s"},
            "template": {"terminationGracePeriodSeconds": 1},
        },
    ),
    "pull": End(
        RunState.FAILED, 3, "ImagePullBackOff", "connection refused",
        settings={"image": "127.0.0.1:1/none:1", "pull": "missing"},
    ),
    "never": End(RunState.FAILED, 3, "ErrImageNeverPull", "cannot be pulled", settings={"image": "none:1"}),
    "name": End(RunState.FAILED, 3, "InvalidImageName", "cannot be pulled", settings={"image": "Not/A Name"}),
    "config": End(
        RunState.FAILED, 3, "CreateContainerConfigError", "no-such-secret",
        settings={"template": {"containers": [{"env": [MISSING_KEY]}]}},
    ),
    "secret": End(
        RunState.FAILED, 3, "FailedMount", 'secret "no-such-secret" not found',
        settings={"volumes": ["secret:no-such-secret:/secret"]},
    ),
    "configmap": End(
        RunState.FAILED, 3, "FailedMount", 'configmap "no-such-map" not found',
        settings={"volumes": ["configmap:no-such-map:/map"]},
    ),
    "node": End(
        RunState.FAILED, 3, "Unschedulable", "no node takes it",
        settings={"node_selector": {"no": "where"}, "start_timeout": "3s"},
    ),
    "papermill": End(RunState.FAILED, 3, "NoPapermill", "papermill", settings={"python": "/usr/bin/python3"}),
    "python": End(RunState.FAILED, 3, "ContainerCannotRun", "no-python", settings={"python": "no-python"}),
}  # fmt: skip


def test_ends_are_told_apart(runs: Runs) -> None:
    """All at once: each takes as long as the cluster takes to believe it."""
    started: dict[str, Run] = {}
    for name, end in ENDS.items():
        runs.profile(name, **end.settings)
        started[name] = runs.start(name, end.cell, **end.options)
    said = {}
    for name, run in started.items():
        last, events = runs.finish(run)
        assert kinds(events)[-1] == "ended", name
        assert last.error is not None, name
        said[name] = (last.state, last.exit_code, last.error.name, ENDS[name].said in last.error.value, last.error)
    expected = {name: (end.state, end.code, end.error, True) for name, end in ENDS.items()}
    assert {name: found[:4] for name, found in said.items()} == expected, said


def test_a_pod_that_its_node_does_not_take(runs: Runs) -> None:
    """As happens between a scheduler and a node that do not know the same of it; here nobody has asked a scheduler."""
    cluster = runs.space.cluster
    node = cluster.ask(cluster.core.list_node)["items"][0]["metadata"]["name"]
    runs.profile(node_selector={"no": "where"}, template={"nodeName": node})
    run, _ = runs.finish(runs.start("there", "1"))
    assert (run.state, run.exit_code) == (RunState.FAILED, 3)
    assert run.error is not None
    assert run.error.name == "NodeAffinity"
    assert run.error.value.startswith("the node did not take the pod: ")


def test_a_deleted_job_is_lost(runs: Runs) -> None:
    run = runs.start(runs.profile(), FOREVER)
    wait_for(lambda: runs.session.run(run.id).started)
    cluster = runs.space.cluster
    cluster.ask(
        cluster.batch.delete_namespaced_job, run.handle["job"], cluster.namespace,
        body={"propagationPolicy": "Foreground", "gracePeriodSeconds": 0},
    )  # fmt: skip
    for pod in runs.space.pods(run=run.id):
        name = pod["metadata"]["name"]
        cluster.ask(cluster.core.delete_namespaced_pod, name, cluster.namespace, grace_period_seconds=0)
    last, events = runs.finish(run)
    assert (last.state, last.exit_code) == (RunState.LOST, 3)
    assert last.error is not None
    assert "deleted" in last.error.value
    assert [event["seq"] for event in events if "seq" in event] == list(range(len(events)))


def test_a_run_that_waits_is_cancelled_at_once(runs: Runs) -> None:
    """As Ctrl-C does, which only asks."""
    run = runs.start(runs.profile(node_selector={"no": "where"}), "1")
    wait_for(lambda: runs.space.pods(run=run.id))
    runs.session.request_cancel(run)
    last, _ = runs.finish(run)
    assert (last.state, last.exit_code) == (RunState.CANCELLED, 4)


def test_a_run_that_waits_for_a_quota_says_the_same_whatever_its_pod_would_be_called(runs: Runs) -> None:
    cluster, space = runs.space.cluster, runs.space.name
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    cluster.ask(cluster.core.create_namespaced_resource_quota, space, quota)
    wait_for(lambda: cluster.ask(cluster.core.read_namespaced_resource_quota, "none", space)["status"].get("hard"))
    run = runs.start(runs.profile(), "1")
    only = "reason=FailedCreate"

    def tried() -> int:
        return len(cluster.ask(cluster.core.list_namespaced_event, space, field_selector=only)["items"])

    waiting: list[str] = []
    wait_for(lambda: waiting.append(runs.session.run(run.id).waiting) or (waiting[-1] and tried() > 1))
    said = "the cluster makes no pod: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0"
    assert set(filter(None, waiting)) == {said}
    runs.session.cancel(runs.session.find_run(run.id))


def test_one_delete_removes_everything(runs: Runs) -> None:
    run = runs.start(runs.profile(), FOREVER)
    wait_for(lambda: runs.session.run(run.id).started)
    cluster = runs.space.cluster
    cluster.ask(
        cluster.batch.delete_namespaced_job, run.handle["job"], cluster.namespace,
        body={"propagationPolicy": "Background"},
    )  # fmt: skip

    def left() -> list[str]:
        lists = [cluster.core.list_namespaced_secret, cluster.core.list_namespaced_pod]
        found = [each for one in lists for each in cluster.ask(one, cluster.namespace)["items"]]
        return [each["metadata"]["name"] for each in found if "jupyterctl" in each["metadata"]["name"]]

    wait_for(lambda: not left(), 60)


def test_a_pod_killed_by_force_is_replaced(runs: Runs) -> None:
    """Kubernetes starts another; the journal tells so, and numbers its events on."""
    cell = "import os, time\nwhile not os.path.exists('/tmp/go'):\n    time.sleep(0.05)"
    run = runs.start(runs.profile(), "print('began')", cell)
    wait_for(lambda: "cell-done" in kinds(runs.session.events(runs.session.run(run.id))))
    cluster = runs.space.cluster
    (first,) = runs.space.pods(run=run.id)
    cluster.ask(
        cluster.core.delete_namespaced_pod, first["metadata"]["name"], cluster.namespace, grace_period_seconds=0
    )
    second = wait_for(
        lambda: [
            pod for pod in runs.space.pods(run=run.id)
            if pod["metadata"]["uid"] != first["metadata"]["uid"] and pod["status"]["phase"] == "Running"
        ], 60,
    )[0]  # fmt: skip
    wait_for(lambda: runs.session.run(run.id).attempt == 2)
    runs.space.execute(second["metadata"]["name"], "open('/tmp/go', 'w')")
    last, events = runs.finish(run)
    assert last.state is RunState.SUCCEEDED, last.error
    assert last.collected
    numbers = [event["seq"] for event in events if "seq" in event]
    assert numbers == sorted(set(numbers))
    assert kinds(events).count("started") == 2
    assert kinds(events)[-1] == "ended"
    (retry,) = [event for event in events if event["event"] == "retry"]
    assert retry["attempt"] == 2
    again = [event for event in runs.session.events(last) if "seq" in event]
    assert again == [event for event in events if "seq" in event]


def test_a_pod_that_is_taken_away_gently_is_replaced(runs: Runs) -> None:
    """As when its node is drained: it can save what it has, and says it was cancelled; nobody has cancelled the run."""
    cell = "import os, time\nwhile not os.path.exists('/tmp/go'):\n    time.sleep(0.05)"
    run = runs.start(runs.profile(), "print('began')", cell)
    wait_for(lambda: "cell-done" in kinds(runs.session.events(runs.session.run(run.id))))
    cluster = runs.space.cluster
    (first,) = runs.space.pods(run=run.id)
    name = first["metadata"]["name"]
    version = "policy/v1" if cluster.version >= (1, 22) else "policy/v1beta1"
    eviction = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": name}}
    cluster.ask(cluster.core.create_namespaced_pod_eviction, name, cluster.namespace, eviction)
    wait_for(lambda: runs.session.run(run.id).attempt == 2)
    second = runs.space.pods(run=run.id)[-1]["metadata"]
    assert second["uid"] != first["metadata"]["uid"]
    runs.space.execute(second["name"], "open('/tmp/go', 'w')")
    last, events = runs.finish(run)
    assert last.state is RunState.SUCCEEDED, last.error
    (retry,) = [event for event in events if event["event"] == "retry"]
    assert (retry["attempt"], retry["status"]) == (2, "lost")
    assert "deleted" in retry["error"]["value"] or "gone" in retry["error"]["value"]
    assert "cancelled" not in [event.get("status") for event in events]


def test_a_run_that_fails_is_tried_again_in_another_pod(runs: Runs) -> None:
    run = runs.start(runs.profile(), "print('tried')", "raise ValueError('again')", retries=1)
    last, events = runs.finish(run)
    assert (last.state, last.exit_code) == (RunState.FAILED, 1)
    assert last.attempt == 2
    assert len(runs.space.pods(run=run.id)) == 2
    assert [event["seq"] for event in events if "seq" in event] == list(
        range(len([event for event in events if "seq" in event]))
    )
    told = [kind for kind in kinds(events) if kind in {"started", "retry", "ended"}]
    assert told == ["started", "retry", "started", "ended"]
    (retry,) = [event for event in events if event["event"] == "retry"]
    assert (retry["attempt"], retry["of"], retry["status"]) == (2, 2, "failed")
    assert [event["text"] for event in events if event["event"] == "output" and "text" in event].count("tried\n") == 2


def test_what_is_forbidden_is_named_with_its_role(runs: Runs) -> None:
    runs.profile(of=DEV)
    with pytest.raises(TargetError, match="`dev` may not create secrets in the namespace") as refused:
        runs.start("there", "1")
    assert "\n" not in refused.value.message + refused.value.hint
    assert runs.space.apply(refused.value.hint.partition("to it: ")[2]) == "jupyterctl"
    wait_for(lambda: {finding.name: finding.state for finding in runs.session.doctor("there")}["runs"] == "ok")
    last, _ = runs.finish(runs.start("there", "print('allowed')"))
    assert last.state is RunState.SUCCEEDED, last.error
    runs.session.remove(last)


def test_the_doctors_role_is_enough(runs: Runs) -> None:
    """With exactly what the doctor asks for, a run works from its start to its removal."""
    import yaml

    runs.profile(of=DEV)
    checks = {finding.name: finding for finding in runs.session.doctor("there")}
    assert checks["runs"].state == "fail"
    role = yaml.safe_load(checks["runs"].fix.partition("to it: ")[2])
    runs.space.grant(
        *((",".join(rule["apiGroups"]), ",".join(rule["resources"]), ",".join(rule["verbs"])) for rule in role["rules"])
    )
    wait_for(lambda: {finding.name: finding.state for finding in runs.session.doctor("there")}["runs"] == "ok")
    last, _ = runs.finish(runs.start("there", "print('allowed')"))
    assert last.state is RunState.SUCCEEDED, last.error
    assert last.collected
    runs.session.remove(last)
