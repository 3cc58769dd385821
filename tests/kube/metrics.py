"""A metrics API, aggregated by the cluster's own API server, which also decides who may ask it.

What is feigned is metrics-server itself, which comes as an image of a registry that these tests cannot count on. It is
a small server of the test's own that answers in its words, with numbers that are real: they come from where it takes
them, the summary of the pod's kubelet.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jupyterctl.errors import TargetError
from jupyterctl.transport.kube.api import Cluster, ConflictError
from tests.cluster import STATE, Space
from tests.conftest import certified, need, wait_for

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
ROOT = f"/apis/{GROUP}/{VERSION}"
READ = (GROUP, "pods", "get")
"""The right to ask it."""


@contextmanager
def metrics(space: Space) -> Iterator[None]:
    """The API, for as long as this is open; a cluster has one at a time, so another test's is waited for."""
    need("kubernetes", os.environ.get(STATE), f"{STATE} names no cluster whose API server reaches this machine")
    certificate, key = certified(space.folder)
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Answer,), {"space": space}))
    server.socket = secured.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    services = space.cluster.resource("apiservices", "apiregistration.k8s.io", namespaced=False)
    port, name = server.server_address[1], f"{VERSION}.{GROUP}"
    at = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    wanted = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name},
        "spec": {
            "service": {"name": "metrics", "namespace": space.name, "port": port},
            "group": GROUP,
            "version": VERSION,
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics"}, "spec": at}
    space.cluster.ask(space.cluster.resource("services").create, made, space.name)
    wait_for(lambda: created(space.cluster, services, wanted))
    try:
        wait_for(lambda: available(space.cluster.ask(services.get, name)))
        yield
    finally:
        space.cluster.ask(services.delete, name)
        server.shutdown()
        server.server_close()


def created(cluster: Cluster, services: Any, wanted: dict[str, Any]) -> bool:
    """Whether there was none of that name, and is one now."""
    try:
        cluster.ask(services.create, wanted)
    except ConflictError:
        return False
    return True


def available(service: dict[str, Any]) -> bool:
    """Whether the API server passes questions on to it."""
    told = service.get("status", {}).get("conditions") or []
    return any(one["type"] == "Available" and one["status"] == "True" for one in told)


class Answer(BaseHTTPRequestHandler):
    """What is asked of it: what it knows at all, and of one pod."""

    space: Space
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Discovery, which the API server asks for, or a pod's metrics."""
        parts = self.path.partition("?")[0].removeprefix(f"{ROOT}/").split("/")
        if self.path.partition("?")[0] == ROOT:
            pods = {
                "name": "pods",
                "kind": "PodMetrics",
                "namespaced": True,
                "singularName": "",
                "verbs": ["get", "list"],
            }
            self._say(200, {"kind": "APIResourceList", "groupVersion": f"{GROUP}/{VERSION}", "resources": [pods]})
            return
        try:
            self._say(200, self._measured(parts[1], parts[3]))
        except (StopIteration, LookupError, TargetError) as error:
            told = {"status": "Failure", "message": f"podmetrics not found: {error}", "reason": "NotFound", "code": 404}
            self._say(404, {"kind": "Status", "apiVersion": "v1", **told})

    def _measured(self, namespace: str, name: str) -> dict[str, Any]:
        cluster = self.space.cluster
        node = cluster.ask(cluster.pods.get, name, namespace)["spec"]["nodeName"]
        path = f"/api/v1/nodes/{node}/proxy/stats/summary"
        summary = cluster.ask(cluster._connection.get, path)
        named = {"name": name, "namespace": namespace}
        pod = next(one for one in summary["pods"] if named.items() <= one["podRef"].items())
        used = [
            {
                "name": one["name"],
                "usage": {
                    "cpu": f"{one['cpu']['usageNanoCores']}n",
                    "memory": f"{one['memory']['workingSetBytes'] // 1024}Ki",
                },
            }
            for one in pod["containers"]
        ]
        taken = {"timestamp": summary["node"]["cpu"]["time"], "window": "10s"}
        return {
            "kind": "PodMetrics",
            "apiVersion": f"{GROUP}/{VERSION}",
            "metadata": named,
            **taken,
            "containers": used,
        }

    def _say(self, status: int, told: dict[str, Any]) -> None:
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""
