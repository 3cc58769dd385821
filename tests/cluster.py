"""A real cluster, as JUPYTERCTL_TEST_KUBECONFIG names it: a namespace for each test, and a way to it that can be cut.

JUPYTERCTL_TEST_IMAGE is an image that its nodes have, with jupyterlab, papermill and ipykernel;
JUPYTERCTL_TEST_DEV_KUBECONFIG a user's of the same cluster who has only the rights that a test grants.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import yaml

from jupyterctl.transport.kube.api import Cluster

from .conftest import PATIENCE, need, wait_for

STATE, UP = "JUPYTERCTL_TEST_CLUSTER", "JUPYTERCTL_TEST_CLUSTER_UP"
"""Where a cluster that tests may break keeps its processes' pids, and what starts those that are gone."""
ADMIN, DEV, IMAGE = "JUPYTERCTL_TEST_KUBECONFIG", "JUPYTERCTL_TEST_DEV_KUBECONFIG", "JUPYTERCTL_TEST_IMAGE"


class Calls:
    """A class of the SDK's, whose methods answer JSON as `Cluster.ask` wants it."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, serialize: bool, **named: Any) -> Any:
            return getattr(self._api, name)(*arguments, **named, _preload_content=serialize)

        return call


class Owner(Cluster):
    """Who may do everything, and says it by the SDK's names: the program itself asks for few kinds of objects."""

    @cached_property
    def core(self) -> Calls:
        """Pods, secrets, events, nodes, namespaces."""
        from kubernetes import client

        return Calls(client.CoreV1Api(self.client))

    @cached_property
    def batch(self) -> Calls:
        """Jobs."""
        from kubernetes import client

        return Calls(client.BatchV1Api(self.client))

    @cached_property
    def apps(self) -> Calls:
        """StatefulSets."""
        from kubernetes import client

        return Calls(client.AppsV1Api(self.client))

    @cached_property
    def rights(self) -> Calls:
        """Roles and their bindings."""
        from kubernetes import client

        return Calls(client.RbacAuthorizationV1Api(self.client))


class Space:
    """A namespace of its own, seen as the cluster's admin; `open` makes it and `close` deletes it."""

    def __init__(self, folder: Path) -> None:
        need("kubernetes", os.environ.get(ADMIN), f"{ADMIN} names no kubeconfig of a test cluster")
        need("image", os.environ.get(IMAGE), f"{IMAGE} names no image")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = f"jupyterctl-test-{uuid.uuid4().hex[:8]}"
        self.image = os.environ[IMAGE]
        self.proxy: Proxy | None = None
        self._volumes: list[str] = []
        self.cluster = Owner(os.environ[ADMIN], None, self.name)

    def open(self) -> Space:
        """Make the namespace, and wait for the account that its pods have."""
        self._use = (Path(tempfile.gettempdir()) / "jupyterctl-test-cluster.lock").open("w")
        fcntl.flock(self._use, fcntl.LOCK_SH)
        self.cluster.ask(self.cluster.core.create_namespace, {"metadata": {"name": self.name}})
        wait_for(lambda: self.cluster.ask(self.cluster.core.list_namespaced_service_account, self.name)["items"])
        return self

    def close(self) -> None:
        """Delete it and all that is in it; the cluster does so by itself."""
        if self.proxy is not None:
            self.proxy.close()
        self.cluster.ask(self.cluster.core.delete_namespace, self.name, grace_period_seconds=0)
        for volume in self._volumes:
            self.cluster.ask(self.cluster.core.delete_persistent_volume, volume)
        self._use.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else uses the cluster meanwhile."""
        fcntl.flock(self._use, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._use, fcntl.LOCK_SH)

    @contextmanager
    def without_api_server(self) -> Iterator[Callable[[], AbstractContextManager[None]]]:
        """A cluster of this test alone, and what kills its API server for as long as that is open."""
        state, up = os.environ.get(STATE), os.environ.get(UP)
        need("kubernetes", state and up, f"{STATE} and {UP} name no cluster that tests may break")
        record = Path(str(state)) / "kube-apiserver.pid"
        outlives = {name: value for name, value in os.environ.items() if name != "JUPYTERCTL_HOME"}

        @contextmanager
        def stopped() -> Iterator[None]:
            server = psutil.Process(int(record.read_text()))
            server.kill()
            server.wait(PATIENCE)  # until then it has its port
            record.unlink()
            try:
                yield
            finally:
                command = ["bash", str(up)]
                subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE * 3, env=outlives)

        with self.alone():
            yield stopped

    def kubeconfig(self, of: str = ADMIN) -> Path:
        """A kubeconfig of a user, through a proxy that can be cut where there is one."""
        need("kubernetes", os.environ.get(of), f"{of} names no kubeconfig")
        read = yaml.safe_load(Path(os.environ[of]).read_text())
        if self.proxy is not None:
            for each in read["clusters"]:
                each["cluster"]["server"] = f"https://127.0.0.1:{self.proxy.port}"
        file = self.folder / f"{of.lower()}.yaml"
        file.write_text(yaml.safe_dump(read))
        return file

    def behind_a_proxy(self) -> Proxy:
        """From now on kubeconfigs lead through a proxy."""
        at = urlsplit(str(self.cluster.client.configuration.host))
        self.proxy = Proxy((at.hostname or "127.0.0.1", at.port or 443))
        return self.proxy

    def profile(self, of: str = ADMIN, **settings: Any) -> str:
        """A profile of it, as TOML; tables come from dicts."""
        import tomli_w

        own = {"kind": "kubernetes", "kubeconfig": str(self.kubeconfig(of)), "namespace": self.name}
        return tomli_w.dumps({**own, "image": self.image, "pull": "never", **settings})

    def grant(self, *rules: tuple[str, str, str], name: str = "granted") -> None:
        """Give the user `dev` rights, each a group, resources and verbs with commas between."""
        given = [
            {"apiGroups": [group], "resources": resources.split(","), "verbs": verbs.split(",")}
            for group, resources, verbs in rules
        ]
        self.cluster.ask(
            self.cluster.rights.create_namespaced_role, self.name, {"metadata": {"name": name}, "rules": given}
        )
        self.bind(name)

    def apply(self, printed: str) -> str:
        """Have kubectl apply a Role as it was printed, and bind `dev` to it; its name."""
        need("kubectl", shutil.which("kubectl"), "apt install kubernetes-client")
        command = ["kubectl", "--kubeconfig", os.environ[ADMIN], "apply", "-f", "-"]
        done = subprocess.run(command, input=printed, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        name = str(yaml.safe_load(printed)["metadata"]["name"])
        self.bind(name)
        return name

    def bind(self, name: str) -> None:
        """Give the user `dev` what a Role has."""
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "User", "name": "dev"}],
        }
        self.cluster.ask(self.cluster.rights.create_namespaced_role_binding, self.name, binding)

    def volume(self, claim: str, folder: Path) -> None:
        """A folder of the cluster's one node as a volume for a claim of the namespace."""
        self.cluster.ask(
            self.cluster.core.create_persistent_volume,
            {
                "metadata": {"name": f"{self.name}-{claim}"},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "",
                    "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"},
                    "claimRef": {"namespace": self.name, "name": claim},
                },
            },
        )
        self._volumes.append(f"{self.name}-{claim}")

    def token(self, name: str) -> str:
        """A lab's, out of its Secret."""
        import base64

        from jupyterctl.transport.kube import lab_manifest

        called = lab_manifest.called(name)
        data = self.cluster.ask(self.cluster.core.read_namespaced_secret, called, self.name)["data"]
        return base64.b64decode(data[lab_manifest.TOKEN]).decode()

    def pods(self, **labels: str) -> list[dict[str, Any]]:
        """The pods with our labels, the oldest first."""
        from jupyterctl.transport.kube import podspec

        found = self.cluster.ask(
            self.cluster.core.list_namespaced_pod, self.name, label_selector=podspec.selector(**labels)
        )["items"]
        return sorted(found, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def execute(self, pod: str, code: str, *arguments: str) -> str:
        """What some Python prints in a pod."""
        from jupyterctl.transport.kube import streams

        return streams.run(self.cluster, pod, ["python3", "-c", code, *arguments]).decode()


class Proxy:
    """Passes connections on to an address; while it is cut it drops those there are, and takes none."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self.patience: float | None = None
        """Seconds that a connection may be silent before it is forgotten: it stays open, and nothing passes."""
        self.forgotten: set[Any] = set()
        """The addresses of clients whose connections were."""
        self._open: set[socket.socket] = set()
        self._heard: dict[socket.socket, float] = {}
        """When something last passed to or from a client that is not forgotten."""
        self._listener = self._listen(0)
        self.port = self._listener.getsockname()[1]

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._to) as there:
            self._open |= {client, there}
            try:
                self._pass(client, there)
            finally:
                self._heard.pop(client, None)

    def _pass(self, client: socket.socket, there: socket.socket) -> None:
        """Until one of them ends."""
        other = {client: there, there: client}
        self._heard[client] = time.monotonic()
        passes = True
        while ready := select.select([client, there], [], [], self.patience if passes else None)[0] or [None]:
            for side in ready:
                if side is None:
                    passes = False
                    self.forgotten.add(client.getpeername())
                    del self._heard[client]
                elif not (data := side.recv(1 << 16)):
                    return
                elif passes:
                    self._heard[client] = time.monotonic()
                    other[side].sendall(data)

    def forget_one(self) -> None:
        """Wait until a connection that says nothing has been forgotten, and with it all that fell silent before."""
        now = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port)) as silent:
            wait_for(lambda: silent.getsockname() in self.forgotten)
            wait_for(lambda: all(heard > now for heard in list(self._heard.values())))

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Nobody answers."""
        self.close()
        try:
            yield
        finally:
            self._listener = self._listen(self.port)

    def close(self) -> None:
        """Drop everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()
