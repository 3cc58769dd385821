"""Object storage between a run and whoever wants its result: moto's server takes the place of S3, over real HTTP."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyterctl.core import records
from jupyterctl.core.session import Session
from jupyterctl.model import RunState
from tests.conftest import PATIENCE, need, wait_for
from tests.indexed import Newer
from tests.sshd import free_port

from .conftest import Runs
from .test_luggage import LARGE
from .test_sweeps import Sweeps

SUM = "import hashlib\nprint(hashlib.sha256(open('data.bin', 'rb').read()).hexdigest())"
NAMES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A store that this machine and its pods reach; the variables by which they find it."""
    bridge = psutil.net_if_addrs().get("docker0")
    need("docker", bridge, "there is no bridge docker0, by which pods reach this machine")
    address = next(one.address for one in bridge or () if one.family is socket.AF_INET)
    port = free_port()
    server = subprocess.Popen(
        [moto_server(), "-H", address, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: socket.socket().connect_ex((address, port)) == 0)
    names = {**NAMES, "AWS_ENDPOINT_URL": f"http://{address}:{port}"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    yield names
    server.kill()
    server.wait(PATIENCE)


def moto_server() -> Path:
    """moto's server in an environment of its own, for it wants another botocore than s3fs; made once, and kept."""
    environment = Path("~/.cache/jupyterctl-tests/moto").expanduser()
    program = environment / "bin/moto_server"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True, timeout=PATIENCE)
        command = [environment / "bin/pip", "install", "--quiet", "moto[s3,server]>=5"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE * 3)
        need("moto", done.returncode == 0, "its packages cannot be installed")
    return program


def with_s3fs(image: str, folder: Path) -> str:
    """The same image with s3fs: made once."""
    tag = "jupyterctl-test/with-s3fs:1"
    if subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode:
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "-d", wheels]
        subprocess.run([*download, "s3fs"], check=True, timeout=PATIENCE * 3)
        install = "RUN python3 -m pip install --quiet --no-index --find-links /wheels s3fs"
        (folder / "Dockerfile").write_text(f"FROM {image}\nCOPY wheels /wheels\n{install}\n")
        subprocess.run(["docker", "build", "--quiet", "-t", tag, folder], check=True, timeout=PATIENCE * 3)
    return tag


def test_a_result_is_fetched_long_after_its_pod_is_gone(runs: Runs, store: dict[str, str]) -> None:
    """What goes along is large too, and comes by the same way."""
    image = with_s3fs(runs.space.image, runs.folder / "image")
    runs.profile(image=image, storage="s3://bucket/runs", env=store)
    data = os.urandom(LARGE)
    folder = runs.folder / "there"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(data)
    run = runs.start("there", SUM)
    wait_for(lambda: [pod["status"]["phase"] for pod in runs.space.pods(run=run.id)] == ["Succeeded"])
    cluster = runs.space.cluster
    cluster.ask(
        cluster.batch.delete_namespaced_job, run.handle["job"], cluster.namespace,
        body={"propagationPolicy": "Background"},
    )  # fmt: skip
    wait_for(lambda: not runs.space.pods(run=run.id))
    last = Session(runs.folder).run(run.id)
    assert last.state is RunState.SUCCEEDED, last.error
    assert last.collected
    printed = [event.get("text", "").strip() for event in runs.session.events(last) if event["event"] == "output"]
    assert printed == [hashlib.sha256(data).hexdigest()]
    assert (records.directory(run.id) / "out.ipynb").exists()
    import s3fs

    assert s3fs.S3FileSystem().ls(f"bucket/runs/{run.id}", refresh=True)
    runs.session.remove(last)
    assert not s3fs.S3FileSystem().exists(f"bucket/runs/{run.id}")


def test_the_runs_of_a_sweep_fetch_from_it_what_they_share(runs: Runs, store: dict[str, str], tmp_path: Path) -> None:
    import s3fs

    newer = Newer(runs.space.cluster)
    try:
        image, kubeconfig = (
            with_s3fs(runs.space.image, runs.folder / "image"),
            newer.kubeconfig(tmp_path / "newer.yaml"),
        )
        runs.profile("newer", image=image, storage="s3://bucket/runs", env=store, kubeconfig=kubeconfig)
        data, sweeps = os.urandom(LARGE), Sweeps(runs)
        (runs.folder / "newer").mkdir(parents=True)
        (runs.folder / "newer/data.bin").write_bytes(data)
        name = sweeps.create("newer", range(2), 2, SUM)
        ended = sweeps.finish(name)
        assert len(newer.jobs) == 1
        bodies = [path for path in s3fs.S3FileSystem().find("bucket/runs") if path.endswith("/body.tar.gz")]
        assert bodies == [f"bucket/runs/{name}/body.tar.gz"]
        for run, _ in ended.values():
            assert sweeps.printed(run).strip() == hashlib.sha256(data).hexdigest()
            sweeps.session.remove(run)
        assert not s3fs.S3FileSystem().find("bucket/runs", refresh=True)
    finally:
        newer.close()
