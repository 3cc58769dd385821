"""Connections to clusters: one for a context and process, until its kubeconfig changes or its login is refused."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from jupyterctl.errors import TargetError, UnreachableError
from jupyterctl.model import Needs, Profile
from jupyterctl.targets.kubernetes import Settings, create
from jupyterctl.transport.kube import connections
from jupyterctl.transport.kube.api import Cluster

UNAUTHORIZED = 401
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a kubeconfig of contexts `one` and `two` of a cluster; its path."""

    def write(name: str = "config", host: str = "https://127.0.0.1:1") -> str:
        described = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "clusters": [{"name": "c", "cluster": {"server": host}}],
            "users": [{"name": "u", "user": {"token": "x"}}],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("one", "two")],
        }
        (tmp_path / name).write_text(yaml.safe_dump(described))
        return str(tmp_path / name)

    return write


def test_threads_and_targets_share_one(write: Write) -> None:
    file = write()
    with ThreadPoolExecutor(8) as pool:
        clients = {id(client) for client in pool.map(lambda _: Cluster(file).client, range(32))}
    assert len(clients) == 1
    assert Cluster(file, "two").client is not Cluster(file).client
    assert Cluster(file, namespace="other").client is Cluster(file).client


def test_a_kubeconfig_that_has_changed_is_read_again(write: Write) -> None:
    file = write()
    before = Cluster(file)
    assert before.client.configuration.host == "https://127.0.0.1:1"
    os.utime(write(host="https://127.0.0.1:2"), (1, 1))
    assert Cluster(file).client.configuration.host == "https://127.0.0.1:2"
    assert before.anew().client is Cluster(file).client
    assert before.client.configuration.host == "https://127.0.0.1:1", "who works goes on where they are"


def test_a_refused_login_is_made_anew(write: Write) -> None:
    file = write()
    cluster, beside = Cluster(file), Cluster(file)
    refused = beside.client
    assert cluster.client is refused
    assert isinstance(cluster.refused(UNAUTHORIZED, ""), UnreachableError)
    assert cluster.client is not refused
    assert Cluster(file).client is cluster.client


def test_what_nobody_asks_for_any_more_is_let_go(write: Write) -> None:
    first = weakref.ref(Cluster(write("0")).client)
    for number in range(1, connections.CONTEXTS + 1):
        assert Cluster(write(str(number))).client
    gc.collect()
    assert first() is None


def test_a_context_that_is_not_there_is_told_with_those_that_are(write: Write) -> None:
    with pytest.raises(TargetError) as refused:
        _ = Cluster(write(), "three").client
    assert "no context `three`" in refused.value.message
    assert refused.value.hint == "it has: one, two"


@pytest.mark.parametrize(
    ("version", "said"),
    [((1, 20), "until they are removed: jupyterctl runs remove"), ((1, 21), "for 1d after"), (None, "for 1d after")],
    ids=["before the clearing away", "since", "it does not answer"],
)
def test_a_run_says_how_long_its_cluster_keeps_it(
    write: Write, tmp_path: Path, version: tuple[int, int] | None, said: str
) -> None:
    there = create(Profile(name="there", kind="kubernetes", settings=Settings(kubeconfig=write())))
    if version is not None:
        there.cluster.__dict__["version"] = version
    (notice,) = there.plan(Needs(notebook=tmp_path / "nb.ipynb")).notices
    assert said in notice
