"""Sweeps in a cluster: one Indexed Job where it makes them, else one Job a run, so many at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from jupyterctl.core.runs import close, target_of
from jupyterctl.errors import TargetError, UnreachableError
from jupyterctl.model import Run, RunOptions, RunState
from jupyterctl.transport.kube import pods, together
from jupyterctl.transport.kube.podspec import selector
from tests.cluster import DEV
from tests.conftest import PATIENCE, kinds, notebook, wait_for
from tests.indexed import INDEX, Newer

from .conftest import Runs
from .test_ends import FOREVER

TOGETHER_SINCE = (1, 29)
"""The first server whose Indexed Jobs have retries for each index."""
PARAMETERS = "# parameters\nalpha = 1"


@pytest.fixture
def newer(runs: Runs, tmp_path: Path) -> Iterator[Newer]:
    """A profile `newer` whose cluster makes Indexed Jobs."""
    served = Newer(runs.space.cluster)
    runs.profile("newer", kubeconfig=served.kubeconfig(tmp_path / "newer.yaml"))
    yield served
    served.close()


class Sweeps:
    """Somebody who starts sweeps."""

    def __init__(self, runs: Runs) -> None:
        self.runs, self.session = runs, runs.session

    def prepared(self, target: str, *cells: str, **options: Any) -> Any:
        path = notebook(self.runs.folder / target / "nb.ipynb", PARAMETERS, *cells)
        return self.session.prepare(path, target, given={}, secrets={}, options=RunOptions(**options))

    def create(self, target: str, values: Sequence[int], at_once: int, *cells: str, **options: Any) -> str:
        """A sweep over alpha, not begun."""
        named = f"alpha={','.join(map(str, values))}"
        return self.session.create_sweep(self.prepared(target, *cells, **options), [named], at_once)

    def finish(self, name: str) -> dict[int, tuple[Run, list[dict[str, Any]]]]:
        """Follow it to its end: each run with its events, by its alpha."""
        told: dict[str, list[dict[str, Any]]] = {}
        for run, event in self.session.follow_sweep(name):
            if event is not None:
                told.setdefault(run.id, []).append(event)
        return {alpha: (run, told[run.id]) for alpha, run in self.points(name).items()}

    def points(self, name: str) -> dict[int, Run]:
        """Its runs by their alpha."""
        return {int(str(run.parameters["alpha"])): run for run in self.session.sweep(name)}

    def printed(self, run: Run) -> str:
        """What the last cell of a result has printed."""
        file = self.session.output(run)
        assert file is not None, (run.state, run.error, run.undelivered)
        return str(nbformat.read(file, as_version=4).cells[-1].outputs[0].text)

    def left(self, sweep: str) -> int:
        """How many Jobs, pods and Secrets of a sweep there are."""
        cluster = self.runs.space.cluster
        listings = (
            cluster.batch.list_namespaced_job,
            cluster.core.list_namespaced_pod,
            cluster.core.list_namespaced_secret,
        )
        own = selector(sweep=sweep)
        return sum(len(cluster.ask(listed, cluster.namespace, label_selector=own)["items"]) for listed in listings)


@pytest.fixture
def sweeps(runs: Runs) -> Sweeps:
    """Somebody who starts sweeps."""
    return Sweeps(runs)


def test_so_many_at_a_time(runs: Runs, sweeps: Sweeps) -> None:
    runs.profile()
    name = sweeps.create("there", (1, 2, 3, 4), 2, "print(alpha * 10)")
    ended = sweeps.finish(name)
    assert {alpha: sweeps.printed(run) for alpha, (run, _) in ended.items()} == {a: f"{a}0\n" for a in (1, 2, 3, 4)}
    jobs = {run.handle["job"] for run, _ in ended.values()}
    assert len(jobs) == (1 if runs.space.cluster.version >= TOGETHER_SINCE else 4)
    live = most = 0
    said = [event for _, events in ended.values() for event in events if event["event"] in {"started", "ended"}]
    for event in sorted(said, key=lambda event: str(event["time"])):
        live += 1 if event["event"] == "started" else -1
        most = max(most, live)
    assert most <= 2


def test_a_newer_one_has_one_for_all(newer: Newer, sweeps: Sweeps) -> None:
    name = sweeps.create("newer", range(6), 3, "assert alpha != 2, 'two'", "print(alpha * 10)")
    ended = sweeps.finish(name)
    (job,) = newer.jobs.values()
    assert job.most == 3
    assert ended[2][0].state is RunState.FAILED
    assert (error := ended.pop(2)[0].error)
    assert (error.name, error.value) == ("AssertionError", "two")
    for alpha, (run, events) in ended.items():
        assert (run.state, sweeps.printed(run)) == (RunState.SUCCEEDED, f"{alpha * 10}\n")
        numbers = [event["seq"] for event in events if "seq" in event]
        assert numbers == list(range(len(numbers)))


def test_nobody_here_need_wait_for_it(newer: Newer, sweeps: Sweeps) -> None:
    name = sweeps.create("newer", range(4), 1, "print(alpha)")
    sweeps.session.detach_sweep(name)
    (job,) = newer.jobs.values()
    wait_for(lambda: job.over, seconds=PATIENCE * 4)
    assert {run.state for run in sweeps.points(name).values()} == {RunState.SUBMITTED}
    assert {run.state for run in sweeps.session.runs()} == {RunState.SUCCEEDED}
    assert {alpha: sweeps.printed(run) for alpha, run in sweeps.points(name).items()} == {a: f"{a}\n" for a in range(4)}
    for run in sweeps.points(name).values():
        assert sweeps.left(name)
        sweeps.session.remove(run)
    wait_for(lambda: not sweeps.left(name))


def test_one_is_cancelled_and_the_others_go_on(newer: Newer, sweeps: Sweeps) -> None:
    name = sweeps.create("newer", range(4), 1, f"if alpha == 0:\n    exec({FOREVER!r})", "print(alpha)")
    sweeps.session.detach_sweep(name)
    points = sweeps.points(name)
    wait_for(lambda: sweeps.session.run(points[0].id).state is RunState.RUNNING, seconds=PATIENCE * 2)
    assert sweeps.session.run(points[2].id).waiting == "its turn has not come, 1 at a time"
    waited = sweeps.session.cancel(points[2])
    assert (waited.state, waited.started) == (RunState.CANCELLED, None)
    assert sweeps.session.cancel(points[0]).state is RunState.CANCELLED
    ended = sweeps.finish(name)
    assert [ended[alpha][0].state.value for alpha in range(4)] == ["cancelled", "succeeded", "cancelled", "succeeded"]
    (job,) = newer.jobs.values()
    wait_for(lambda: job.over, seconds=PATIENCE * 2)
    assert ended[2][0].started is None


def test_all_are_cancelled(newer: Newer, sweeps: Sweeps) -> None:
    name = sweeps.create("newer", range(6), 2, FOREVER)
    sweeps.session.detach_sweep(name)
    points = sweeps.points(name)
    wait_for(lambda: sweeps.session.run(points[1].id).state is RunState.RUNNING, seconds=PATIENCE * 2)
    target_of(points[0]).withhold([run.handle for run in points.values()])  # and then whoever cancels is held up
    assert sweeps.session.run(points[5].id).state is RunState.CANCELLED
    sweeps.session.cancel_sweep(name)
    ended = sweeps.finish(name)
    assert {run.state for run, _ in ended.values()} == {RunState.CANCELLED}
    assert [ended[alpha][0].started is None for alpha in range(6)] == [False, False, True, True, True, True]
    (job,) = newer.jobs.values()
    wait_for(lambda: job.over or job.stopped, seconds=PATIENCE * 3)
    wait_for(lambda: all(map(pods.over, runs_pods(sweeps, name))), seconds=PATIENCE)


def test_what_can_never_begin_is_left_without_a_pod(newer: Newer, runs: Runs, sweeps: Sweeps, tmp_path: Path) -> None:
    runs.profile("none", kubeconfig=newer.kubeconfig(tmp_path / "none.yaml"), image="none:1", run={"retries": 1})
    ended = sweeps.finish(name := sweeps.create("none", range(2), 2, "print(alpha)"))
    assert {(run.state, run.error.name if run.error else "") for run, _ in ended.values()} == {
        (RunState.FAILED, "ErrImageNeverPull")
    }
    (job,) = newer.jobs.values()
    wait_for(lambda: job.over or job.stopped, seconds=PATIENCE * 3)
    wait_for(lambda: all(map(pods.over, runs_pods(sweeps, name))), seconds=PATIENCE)


def test_a_pod_that_the_cluster_takes_is_no_end(newer: Newer, runs: Runs, sweeps: Sweeps) -> None:
    """What a node's shutdown does to a pod: it fails, with a condition that newer servers set, and is not deleted."""
    first = "import pathlib\nmark = pathlib.Path('/data/mark')\nif alpha and not mark.exists():\n    mark.touch()\n"
    folder = sweeps.runs.folder / "shared"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    claimed(runs, "shared", folder)
    runs.profile("newer", kubeconfig=newer.kubeconfig(folder.parent / "n.yaml"), volumes=["pvc:shared:/data"])
    name = sweeps.create("newer", range(2), 2, f"{first}    exec({FOREVER!r})", "print(alpha)")
    sweeps.session.detach_sweep(name)
    wait_for((folder / "mark").exists, seconds=PATIENCE * 2)
    (pod,) = [one for one in runs.space.pods(sweep=name) if one["metadata"]["annotations"][INDEX] == "1"]
    disrupted(runs, pod)
    ended = sweeps.finish(name)
    assert {run.state for run, _ in ended.values()} == {RunState.SUCCEEDED}
    assert sweeps.printed(ended[1][0]) == "1\n"
    assert kinds(ended[1][1]).count("retry") == 1


def test_nobody_answers_while_it_is_handed_over(
    newer: Newer, runs: Runs, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Job is made, and then nobody says so: nothing runs that no run here knows of."""
    del newer
    monkeypatch.setattr(together.Together, "_own", staticmethod(cut_off))
    name = sweeps.create("newer", range(2), 2, FOREVER)
    with pytest.raises(UnreachableError):
        sweeps.session.detach_sweep(name)
    assert {run.state for run in sweeps.points(name).values()} == {RunState.FAILED}
    wait_for(lambda: not sweeps.left(name), seconds=PATIENCE)
    assert not runs.space.pods(sweep=name)


def test_one_is_cancelled_by_others_while_it_is_handed_over(
    newer: Newer, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = together.Together._create

    def late(there: together.Together, *made: Any) -> None:
        runs_of_all = sweeps.points(name)
        close(sweeps.session.store, runs_of_all[1], RunState.CANCELLED, "Cancelled", "by somebody else")
        create(there, *made)

    monkeypatch.setattr(together.Together, "_create", late)
    name = sweeps.create("newer", range(3), 1, "print(alpha)")
    ended = sweeps.finish(name)
    assert [ended[alpha][0].state.value for alpha in range(3)] == ["succeeded", "cancelled", "succeeded"]
    (job,) = newer.jobs.values()
    wait_for(lambda: job.over or job.stopped, seconds=PATIENCE * 2)
    one = [pod for pod in runs_pods(sweeps, name) if pod["metadata"]["annotations"][INDEX] == "1"]
    assert all(pods.main(pod)["state"]["terminated"]["exitCode"] == 4 for pod in one)


def runs_pods(sweeps: Sweeps, name: str) -> list[dict[str, Any]]:
    """The pods of a sweep."""
    return sweeps.runs.space.pods(sweep=name)


def cut_off(*_: object) -> None:
    """Nobody answers."""
    raise UnreachableError("nobody answers")


def claimed(runs: Runs, name: str, folder: Path) -> None:
    """A claim for a folder of the node."""
    runs.space.volume(name, folder)
    cluster = runs.space.cluster
    wanted = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": name}, "spec": wanted}
    cluster.ask(cluster.core.create_namespaced_persistent_volume_claim, cluster.namespace, claim)


def disrupted(runs: Runs, pod: dict[str, Any]) -> None:
    """Have a pod be as a node's shutdown leaves it; its container is killed."""
    cluster, name = runs.space.cluster, pod["metadata"]["name"]
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
    status = {"status": {"conditions": [condition]}}
    cluster.ask(cluster.core.patch_namespaced_pod_status, name, cluster.namespace, status)
    with suppress(TargetError):
        runs.space.execute(name, "import os, signal; os.kill(1, signal.SIGTERM)")


def test_each_has_its_own_retries(newer: Newer, sweeps: Sweeps) -> None:
    again = "import socket\nassert alpha == 0, socket.gethostname()"
    name = sweeps.create("newer", range(2), 2, again, retries=1)
    ended = sweeps.finish(name)
    assert ended[0][0].state is RunState.SUCCEEDED
    assert kinds(ended[0][1]).count("retry") == 0
    assert ended[1][0].state is RunState.FAILED
    assert kinds(ended[1][1]).count("retry") == 1
    assert [event["attempt"] for event in ended[1][1] if event["event"] == "started"] == [1, 2]
    assert ended[1][0].error
    assert ended[1][0].error.value.endswith("-1")  # each pod is called by its index


def test_one_runs_out_of_memory_alone(newer: Newer, runs: Runs, sweeps: Sweeps, tmp_path: Path) -> None:
    kubeconfig = newer.kubeconfig(tmp_path / "small.yaml")
    runs.profile("small", kubeconfig=kubeconfig, resources={"memory": "256Mi"})
    name = sweeps.create("small", range(2), 2, "taken = bytearray(alpha * 600 << 20)\nprint(len(taken))")
    ended = sweeps.finish(name)
    assert (ended[0][0].state, sweeps.printed(ended[0][0])) == (RunState.SUCCEEDED, "0\n")
    assert ended[1][0].state is RunState.KERNEL_DIED


def test_what_is_too_large_for_all_at_once_goes_to_each(newer: Newer, runs: Runs, sweeps: Sweeps) -> None:
    (runs.folder / "newer").mkdir(parents=True)
    (runs.folder / "newer/data.bin").write_bytes(os.urandom(5_000_000))
    read = "print(len(open('data.bin', 'rb').read()))"
    ended = sweeps.finish(sweeps.create("newer", range(2), 2, read))
    assert not newer.jobs
    assert {sweeps.printed(run) for run, _ in ended.values()} == {"5000000\n"}


def test_who_may_not_is_told_once(runs: Runs, sweeps: Sweeps) -> None:
    runs.profile(of=DEV)
    name = sweeps.create("there", range(3), 2, "print(alpha)")
    with pytest.raises(TargetError, match="`dev` may not create jobs"):
        sweeps.session.detach_sweep(name)
    for run, events in sweeps.finish(name).values():
        assert (run.state, kinds(events)[-1]) == (RunState.FAILED, "ended")


def test_a_rehearsal_shows_the_job_of_all(newer: Newer, runs: Runs, sweeps: Sweeps) -> None:
    runs.profile()
    grid = ["alpha=1,2,3"]
    shown = list(yaml.safe_load_all(sweeps.session.rehearse(sweeps.prepared("newer", timeout=60.0), grid, 2)))
    assert [one["kind"] for one in shown] == ["Secret", "Job"]
    spec = shown[1]["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 2)
    assert (spec["backoffLimitPerIndex"], "backoffLimit" in spec, "activeDeadlineSeconds" in spec) == (0, False, False)
    assert spec["template"]["spec"]["activeDeadlineSeconds"] > 60
    each = list(yaml.safe_load_all(sweeps.session.rehearse(sweeps.prepared("there"), grid, 2)))
    assert [one["kind"] for one in each] == ["Secret", "Job"] * 3
    assert not newer.jobs
