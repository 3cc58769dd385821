"""Somebody who has a lab in a namespace, and uses it through its link."""

from __future__ import annotations

import http.client
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websocket

from jupyterctl.core.session import Session
from jupyterctl.core.status import Status
from jupyterctl.transport.kube import lab_manifest, rights
from jupyterctl.transport.kube.carried import WAIT_SECONDS
from tests.cluster import ADMIN, Space
from tests.conftest import PATIENCE, wait_for

NAME = "there"
RIGHTS, TO_END_BY_ITSELF = (
    [(group, ",".join(resources), ",".join(verbs)) for group, resources, verbs in rules]
    for rules in (rights.LABS, rights.IDLE)
)
"""What a cluster's owner is asked for."""


class Lab:
    """One profile's, named NAME."""

    def __init__(self, space: Space, home: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.space, self.home = space, home
        self.session = Session(folder)
        self.pod = lab_manifest.pod_of(NAME)
        self._said = 0

    def profile(self, of: str = ADMIN, **settings: Any) -> None:
        """Write it; tables come from dicts."""
        folder = self.home / "config/profiles"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{NAME}.toml").write_text(self.space.profile(of, **settings), encoding="utf-8")

    def on_a_disk(self, folder: Path, **settings: Any) -> None:
        """The same, with a volume: a folder of the node's."""
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        self.space.volume(f"work-{self.pod}", folder)
        self.profile(server={"disk": "1Gi", "storage_class": ""}, **settings)

    def start(self) -> str:
        """Start it; its address with its token."""
        list(self.session.start_server(NAME))
        return self.session.server_url(NAME)

    def get(self, path: str = "/api/status", method: str = "GET") -> Any:
        """What it answers through its link, to who waits for it.

        Nobody is turned away before the time that a client waits for a pod; who is comes again, as told.
        """
        address = self.session.store.kept(NAME)[NAME].address
        deadline = time.monotonic() + PATIENCE
        while True:
            asked = time.monotonic()
            connection = http.client.HTTPConnection(urlsplit(address.url).netloc, timeout=PATIENCE)
            connection.request(method, path, headers={"Authorization": f"token {address.token}"})
            answer = connection.getresponse()
            data = answer.read()
            if answer.status < 300:
                return json.loads(data)
            waited = time.monotonic() - asked
            assert answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE, data
            assert waited > WAIT_SECONDS - 1, data
            assert time.monotonic() < deadline, data

    def channel(self) -> websocket.WebSocket:
        """A websocket to a kernel that it starts."""
        address = self.session.store.kept(NAME)[NAME].address
        kernel = self.get("/api/kernels", "POST")["id"]
        return websocket.create_connection(
            f"ws://{urlsplit(address.url).netloc}/api/kernels/{kernel}/channels",
            timeout=PATIENCE,
            header={"Authorization": f"token {address.token}"},
            suppress_origin=True,
        )

    def row(self) -> Status:
        """Its line of the overview."""
        return next(status for status in self.session.statuses() if status.name == NAME)

    def uid(self) -> str:
        """Which pod it has; empty where it has none."""
        return next((str(pod["metadata"]["uid"]) for pod in self.space.pods(server=NAME)), "")

    def replicas(self) -> int:
        """How many pods it is to have."""
        cluster = self.space.cluster
        found = cluster.ask(cluster.apps.read_namespaced_stateful_set, lab_manifest.called(NAME), self.space.name)
        return int(found["spec"]["replicas"])

    def without_pods(self) -> None:
        """From now on the cluster may make none."""
        cluster = self.space.cluster
        quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
        cluster.ask(cluster.core.create_namespaced_resource_quota, self.space.name, quota)
        asked = cluster.core.read_namespaced_resource_quota
        wait_for(lambda: cluster.ask(asked, "none", self.space.name)["status"].get("hard"))

    def say(self, of: dict[str, Any], reason: str, message: str) -> None:
        """An event of an object, as the cluster would tell it: later than all that it tells by itself."""
        self._said += 1
        cluster, space = self.space.cluster, self.space.name
        names = {"name": of["metadata"]["name"], "uid": of["metadata"]["uid"], "namespace": space}
        event = {
            "metadata": {"name": f"said-{self._said}"},
            "involvedObject": {"kind": of["kind"], "apiVersion": of["apiVersion"], **names},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": (datetime.now(UTC) + timedelta(hours=self._said)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        cluster.ask(cluster.core.create_namespaced_event, space, event)

    def delete_pod(self) -> str:
        """As anybody may; the one it was."""
        before, cluster = self.uid(), self.space.cluster
        cluster.ask(cluster.core.delete_namespaced_pod, self.pod, self.space.name)
        return before


def token(url: str) -> str:
    """Of an address."""
    return parse_qs(urlsplit(url).query)["token"][0]
