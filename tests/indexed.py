"""A newer cluster's Indexed Jobs before an older cluster.

A fake, for no server that has them can be had here: the API is the real one's except for Jobs with `completionMode:
Indexed`. These are kept in the real one as Jobs that make no pods, and their pods are made here, as the Job controller
documents it: each gets its index, only so many live at a time, each index has its own retries, `podFailurePolicy` has
exit codes that fail an index at once, and conditions with which a pod does not count. The pods are real.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from jupyterctl.errors import TargetError
from jupyterctl.transport.kube import pods
from jupyterctl.transport.kube.api import ConflictError, MissingError

from .cluster import ADMIN, Owner
from .conftest import PATIENCE

INDEX = "batch.kubernetes.io/job-completion-index"
_JOB = re.compile(r"/apis/batch/v1/namespaces/(?P<space>[^/]+)/jobs(/(?P<name>[^/]+))?$")
_KEPT = ("completionMode", "parallelism", "backoffLimitPerIndex", "podFailurePolicy")
SECONDS = 0.1

Object = dict[str, Any]
Answer = tuple[int, Object]


class Indexed:
    """One Job, and its pods."""

    def __init__(self, cluster: Owner, made: Object, spec: Object) -> None:
        self.cluster, self.made, self.spec = cluster, made, spec
        self.name = made["metadata"]["name"]
        self.most = 0
        """How many pods lived at a time, at most."""
        self._seen: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._completed: set[int] = set()
        self._failed: set[int] = set()
        self._active = 0
        self._told: tuple[int, ...] = ()
        self.stopped = False
        """Whether its time was over before its indexes were."""

    def overlaid(self, job: Object) -> Object:
        """The Job as a newer server tells it."""
        job["spec"].update({key: self.spec[key] for key in _KEPT if key in self.spec})
        status = {"active": self._active, "succeeded": len(self._completed), "failed": len(self._failed)}
        written = {"completedIndexes": _written(self._completed), "failedIndexes": _written(self._failed)}
        over = {"type": "Failed" if self._failed or self.stopped else "Complete", "status": "True"}
        why = {"reason": "DeadlineExceeded"} if self.stopped else {}
        job["status"] = {**status, **written, "conditions": [{**over, **why}] if self.over or self.stopped else []}
        return job

    @property
    def over(self) -> bool:
        """Whether every index has come to its end."""
        return len(self._completed | self._failed) == self.spec["completions"]

    def step(self, job: Object) -> None:
        """See to the pods, once."""
        found = {pod["metadata"]["uid"]: pod for pod in self._pods()}
        limit = job["spec"].get("activeDeadlineSeconds")
        if limit and pods.age(job["metadata"]["creationTimestamp"]) > limit:
            for pod in found.values():
                self._delete(pod)
            self.stopped, self._active = True, 0
            return
        for uid, pod in found.items():
            self._see(uid, pod)
        for uid in self._seen.keys() - found.keys():
            self._failures[uid] = self._seen[uid]
        tried = Counter(self._failures.values())
        self._failed |= {index for index in tried if tried[index] > self.spec["backoffLimitPerIndex"]} - self._completed
        alive = {self._seen[uid] for uid, pod in found.items() if not pods.over(pod)}
        self._tell(len(alive))
        waiting = [index for index in range(self.spec["completions"]) if index not in self._ended | alive]
        for index in waiting[: max(0, self.spec["parallelism"] - len(alive))]:
            self._make(index)

    def _see(self, uid: str, pod: Object) -> None:
        """Take in how a pod is."""
        index = self._seen.setdefault(uid, int(pod["metadata"]["annotations"][INDEX]))
        if pods.phase(pod) == "Succeeded":
            self._completed.add(index)
        elif pods.phase(pod) == "Failed" and self._ignored(pod):
            del self._seen[uid]
        elif pods.phase(pod) == "Failed":
            self._failures[uid] = index
            if self._final(pod):
                self._failed.add(index)

    @property
    def _ended(self) -> set[int]:
        return self._completed | self._failed

    def _pods(self) -> list[Object]:
        listed = self.cluster.core.list_namespaced_pod
        found: list[Object] = self.cluster.ask(
            listed, self.cluster.namespace, label_selector=f"indexed-job={self.name}"
        )["items"]
        return found

    def _tell(self, alive: int) -> None:
        """Every change of a Job's status changes its version."""
        self.most = max(self.most, alive)
        status = (alive, len(self._completed), len(self._failed))
        if status != self._told:
            self._told, self._active = status, alive
            note = {"metadata": {"annotations": {"status": repr(status)}}}
            self.cluster.ask(self.cluster.batch.patch_namespaced_job, self.name, self.cluster.namespace, note)

    def _delete(self, pod: Object) -> None:
        if not pods.over(pod) and not pods.deleted(pod):
            with suppress(MissingError):
                self.cluster.ask(
                    self.cluster.core.delete_namespaced_pod, pod["metadata"]["name"], self.cluster.namespace
                )

    def _ignored(self, pod: Object) -> bool:
        rules = (self.spec.get("podFailurePolicy") or {}).get("rules", [])
        named = [one["type"] for rule in rules if rule["action"] == "Ignore" for one in rule["onPodConditions"]]
        return any(pods.condition(pod, name).get("status") == "True" for name in named)

    def _final(self, pod: Object) -> bool:
        code = (pods.main(pod).get("state", {}).get("terminated") or {}).get("exitCode")
        rules = (self.spec.get("podFailurePolicy") or {}).get("rules", [])
        return any(rule["action"] == "FailIndex" and code in rule["onExitCodes"]["values"] for rule in rules)

    def _make(self, index: int) -> None:
        template = deepcopy(self.spec["template"])
        for container in template["spec"]["containers"]:
            container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "value": str(index)})
        metadata = {
            "generateName": f"{self.name}-{index}-",
            "labels": {**template["metadata"].get("labels", {}), "indexed-job": self.name, INDEX: str(index)},
            "annotations": {INDEX: str(index)},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": self.name, "uid": self.made["metadata"]["uid"]}
            ],
        }
        template["spec"]["hostname"] = f"{self.name}-{index}"
        pod = {"metadata": metadata, "spec": template["spec"]}
        made = self.cluster.ask(self.cluster.core.create_namespaced_pod, self.cluster.namespace, pod)
        self._seen[made["metadata"]["uid"]] = index


class Newer:
    """The API of a namespace, with Indexed Jobs; `port` is where it is served, without TLS and for anybody."""

    def __init__(self, cluster: Owner) -> None:
        self.cluster = cluster
        self.jobs: dict[str, Indexed] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._controller = threading.Thread(target=self._control, daemon=True)
        self._controller.start()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End both threads."""
        self._stopped.set()
        self._controller.join(PATIENCE)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def kubeconfig(self, file: Path) -> str:
        """Write the admin's, but that leads here."""
        content = yaml.safe_load(Path(os.environ[ADMIN]).read_text())
        for each in content["clusters"]:
            each["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        file.write_text(yaml.safe_dump(content))
        return str(file)

    def _control(self) -> None:
        while not self._stopped.wait(SECONDS):
            with self._lock, suppress(TargetError):
                for name, job in list(self.jobs.items()):
                    try:
                        real = self.cluster.ask(self.cluster.batch.read_namespaced_job, name, self.cluster.namespace)
                    except MissingError:
                        del self.jobs[name]
                    else:
                        job.step(real)

    # -- the API -----------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            head, _, rest = _until(client, b"\r\n\r\n").partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            while length and len(rest) < int(length[1]):
                rest += client.recv(1 << 16)
            answer = self._answer(method, target, rest)
            if answer is None:
                self._pass_on(client, head, rest)
            else:
                body = json.dumps(answer[1]).encode()
                said = f"HTTP/1.1 {answer[0]} Said\r\nConnection: close\r\nContent-Type: application/json\r\n"
                client.sendall(said.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def _answer(self, method: str, target: str, body: bytes) -> Answer | None:
        """What is answered here; None: the real one answers."""
        url = urlsplit(target)
        found = _JOB.fullmatch(url.path)
        if found is None:
            return None
        asked = json.loads(body) if body else {}
        if method == "POST" and asked.get("spec", {}).get("completionMode") == "Indexed":
            if "dryRun" in parse_qs(url.query):
                return self._rehearsed(asked)
            return self._told(lambda: self._create(asked), 201)
        if found["name"] not in self.jobs:
            return None
        batch, at = self.cluster.batch, (found["name"], self.cluster.namespace)
        asking = {
            "GET": lambda: self.cluster.ask(batch.read_namespaced_job, *at),
            "PATCH": lambda: self.cluster.ask(batch.patch_namespaced_job, *at, asked),
        }.get(method)
        return self._told(asking, 200) if asking else None

    def _rehearsed(self, asked: Object) -> Answer:
        """What the real one says of the rest of it."""
        batch, space = self.cluster.batch, self.cluster.namespace
        made = self.cluster.ask(batch.create_namespaced_job, space, deepcopy(asked), dry_run="All")
        made["spec"].update({key: asked["spec"][key] for key in _KEPT if key in asked["spec"]})
        return 201, made

    def _create(self, asked: Object) -> Object:
        upstream = deepcopy(asked)
        upstream["spec"]["parallelism"] = 0
        made: Object = self.cluster.ask(self.cluster.batch.create_namespaced_job, self.cluster.namespace, upstream)
        self.jobs[made["metadata"]["name"]] = Indexed(self.cluster, made, asked["spec"])
        return made

    def _told(self, ask: Callable[[], Object], status: int) -> Answer:
        with self._lock:
            try:
                job = ask()
            except ConflictError as error:
                return 409, {"message": error.message}
            except MissingError as error:
                return 404, {"message": error.message}
            return status, self.jobs[job["metadata"]["name"]].overlaid(job)

    def _pass_on(self, client: socket.socket, head: bytes, rest: bytes) -> None:
        """Everything else, to the real one and back, one request a connection."""
        if b"upgrade:" not in head.lower():
            head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close"
        with self._upstream() as there:
            there.sendall(head + b"\r\n\r\n" + rest)
            back = threading.Thread(target=_pump, args=(there, client), daemon=True)
            back.start()
            forth = threading.Thread(target=_pump, args=(client, there), daemon=True)
            forth.start()
            back.join()

    @contextmanager
    def _upstream(self) -> Iterator[socket.socket]:
        known = self.cluster.client.configuration
        at = urlsplit(known.host)
        context = ssl.create_default_context(cafile=known.ssl_ca_cert)
        if known.cert_file:
            context.load_cert_chain(known.cert_file, known.key_file)
        plain = socket.create_connection((at.hostname, at.port))
        with context.wrap_socket(plain, server_hostname=at.hostname) as there:
            yield there


def _until(client: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = client.recv(1 << 16)
        if not more:
            raise ConnectionError
        data += more
    return data


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _written(indexes: set[int]) -> str:
    """As the API writes them.

    >>> _written({0, 3, 4, 5, 9})
    '0,3-5,9'
    """
    spans: list[list[int]] = []
    for index in sorted(indexes):
        if spans and spans[-1][-1] == index - 1:
            spans[-1][1:] = [index]
        else:
            spans.append([index])
    return ",".join("-".join(map(str, span)) for span in spans)
