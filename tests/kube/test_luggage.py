"""What goes along and what comes back, whatever its size, and wherever it waits."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from jupyterctl.core import records, results
from jupyterctl.core.runs import target_of
from jupyterctl.core.session import Session
from jupyterctl.errors import TargetError
from jupyterctl.model import RunState
from jupyterctl.remote.runner import contained as first_process
from jupyterctl.transport import contained
from jupyterctl.transport.kube.watching import Watch
from tests import engine
from tests.conftest import Cli, notebook, wait_for

from .conftest import Runs

LARGE = 12_000_000
"""Bytes that do not fit into the Secrets of a run."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One of the node that has room for less than that."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=1777", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_large_bundle_arrives_whole(runs: Runs) -> None:
    data = os.urandom(LARGE)
    folder = runs.folder / "there"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(data)
    code = "import hashlib\nprint(hashlib.sha256(open('data.bin', 'rb').read()).hexdigest())"
    last, events = runs.finish(runs.start(runs.profile(), code))
    assert last.state is RunState.SUCCEEDED, last.error
    (printed,) = [event["text"].strip() for event in events if event["event"] == "output"]
    assert printed == hashlib.sha256(data).hexdigest()


def test_a_bundle_for_which_there_is_no_room_ends_the_run_and_leaves_nothing(runs: Runs, disk: Path) -> None:
    folder = runs.folder / "there"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(os.urandom(LARGE))
    mounts = [{"name": "small", "mountPath": contained.RUN}]
    volumes = [{"name": "small", "hostPath": {"path": str(disk)}}]
    small = {"volumes": volumes, "containers": [{"volumeMounts": mounts}]}
    with pytest.raises(TargetError, match=r"did not arrive: .*No space left on device"):
        runs.start(runs.profile(template=small), "open('data.bin')")
    (run,) = runs.session.runs()
    assert (run.state, run.exit_code) == (RunState.FAILED, 3)
    assert runs.space.pods(run=run.id) == []
    assert not list(disk.glob(".*.part"))


def test_a_large_result_arrives_whole_and_then_the_pod_ends(runs: Runs) -> None:
    """200 MB, which no log would hold: they wait in the pod until somebody has fetched them."""
    code = (
        "import base64, os\n"
        "from IPython.display import display\n"
        "display({'application/x-noise': base64.b64encode(os.urandom(150_000_000)).decode()}, raw=True)"
    )
    run = runs.start(runs.profile(), code)
    last, _ = runs.finish(run)
    assert last.state is RunState.SUCCEEDED, last.error
    assert last.collected, last.undelivered
    result = records.directory(run.id) / "out.ipynb"
    assert result.stat().st_size > 200_000_000
    assert results.sha256(result) == last.sha256
    wait_for(lambda: runs.space.pods(run=run.id)[0]["status"]["phase"] == "Succeeded")


def test_a_result_is_asked_for_just_as_the_pod_ends(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look shows what was true a moment ago: a pod that runs, and has printed nothing yet."""
    run = runs.start(runs.profile(), "print('to the end')")
    wait_for(lambda: [pod["status"]["phase"] for pod in runs.space.pods(run=run.id)] == ["Succeeded"])
    outdated = iter([contained.Printed()])
    printed = Watch.printed
    monkeypatch.setattr(Watch, "printed", lambda watch: next(outdated, None) or printed(watch))
    before = iter([True])
    monkeypatch.setattr(Watch, "running", lambda watch: watch.pod if next(before, False) else None)
    file = runs.folder / "out.ipynb"
    digest = target_of(run).collect(run.handle, file.name, file)
    assert next(outdated, None) is next(before, None) is None
    assert results.sha256(file) == digest == runs.session.run(run.id).sha256


def test_a_laptop_that_slept_through_the_run_still_gets_everything(runs: Runs) -> None:
    """Nobody looks until the pod is over: its log has the journal and the files."""
    run = runs.start(runs.profile(), "print('while nobody looked')", "1 + 1")
    wait_for(lambda: [pod["status"]["phase"] for pod in runs.space.pods(run=run.id)] == ["Succeeded"])
    last = Session(runs.folder).run(run.id)
    assert last.state is RunState.SUCCEEDED
    assert last.collected
    cells = nbformat.read(records.directory(run.id) / "out.ipynb", as_version=4).cells
    assert cells[0].outputs[0].text == "while nobody looked\n"
    assert (records.directory(run.id) / "runner.log").exists()


def test_what_is_missing_is_installed_where_the_profile_says_so(runs: Runs) -> None:
    """By pip, from wherever it is told: here from wheels in the image, for pods here reach no registry."""
    image = engine.without(runs.space.image, runs.folder / "image", "papermill")
    runs.profile("refused", image=image)
    refused, _ = runs.finish(runs.start("refused", "1"))
    assert refused.error is not None
    assert (refused.exit_code, refused.error.name) == (3, "NoPapermill")
    assert "install = true" in refused.error.value
    runs.profile("there", image=image, install=True, env=engine.FROM_WHEELS)
    last, _ = runs.finish(runs.start("there", "import papermill\nprint(papermill.__file__)"))
    assert last.state is RunState.SUCCEEDED, last.error


def test_a_dry_run_shows_what_would_be_made_and_makes_nothing(runs: Runs, cli: Cli) -> None:
    import yaml

    runs.profile(resources={"cpu": "500m", "memory": "1Gi", "gpu": 1}, tolerations=["gpu:NoSchedule"], queue="team")
    path = notebook(runs.folder / "nb.ipynb", "# parameters\nalpha = 1.0", "alpha")
    done = cli("run", path, "-t", "there", "-p", "alpha", "0.1", "--timeout", "1h", "--retries", "2", "--dry-run")
    assert done.returncode == 0, done.stderr
    *secrets, job = yaml.safe_load_all(done.stdout)
    assert {each["kind"] for each in secrets} == {"Secret"}
    spec = job["spec"]
    assert (job["kind"], spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == ("Job", 2, "Never")
    assert spec["activeDeadlineSeconds"] > 3600
    assert spec["ttlSecondsAfterFinished"] == 86400
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    (container,) = spec["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    assert runs.space.pods() == []
    assert runs.session.runs() == []


def test_a_result_waits_in_the_pod_after_a_long_journal(runs: Runs) -> None:
    """Nodes cut long logs: what is lost of one is to be had from the pod until all has been fetched."""
    cell = "from IPython.display import display\nfor number in range(1700):\n    display('x' * 3500 + str(number))"
    last, events = runs.finish(runs.start(runs.profile(), cell))
    assert last.state is RunState.SUCCEEDED, last.error
    assert last.collected
    numbers = [event["seq"] for event in events if "seq" in event]
    assert numbers == list(range(len(numbers)))
    cluster = runs.space.cluster
    (pod,) = runs.space.pods(run=last.id)
    log = cluster.raw(cluster.core.read_namespaced_pod_log, pod["metadata"]["name"], cluster.namespace).data
    assert len(log) > first_process.LONG
    assert b"=out.ipynb" not in log
    assert log.endswith(b"\n=86400\n")
