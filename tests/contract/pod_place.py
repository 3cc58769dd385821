"""Labs in pods of a real cluster, each in a namespace of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyterctl.errors import TargetError
from jupyterctl.transport.kube import lab_manifest, pods
from tests.cluster import Space

from .places import Kept, Who

STOP = "import os, signal, sys; os.kill(int(sys.argv[1]), getattr(signal, sys.argv[2]))"
LAB = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    command = open(f"/proc/{pid}/cmdline").read()
    if "/lab.py" in command:
        print(pid)
"""
MODE = "import os, sys; print(os.stat(sys.argv[1]).st_mode)"
PREFIX = "/opt/venv"


class PodServers:
    """A volume of the node is the test's folder, so that what a test writes there is what its lab shows."""

    here = False
    prefix = PREFIX
    adopts, revives, records, bare_shell = False, True, False, False

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.space = Space(folder / "cluster").open()
        self.work = folder / "work"
        self.work.mkdir(exist_ok=True)
        self.work.chmod(0o777)
        for name in ("there", "second"):
            self.space.volume(f"work-{lab_manifest.pod_of(name)}", self.work)

    def close(self) -> None:
        self.space.close()

    def profile(self, *, server: str = "", **settings: Any) -> str:
        made = self.space.profile(workdir=str(self.work), **settings)
        return f'{made}[server]\ndisk = "1Gi"\nstorage_class = ""\n{server}\n'

    def slow(self, server: str) -> str:
        return self.profile(server=server, template={"containers": [{"command": ["sleep", "600"]}]})

    def _pod(self, name: str) -> dict[str, Any]:
        found = self.space.pods(server=name)
        return found[0] if found else {}

    def identity(self, name: str) -> Who:
        """Its container: a pod that lives on may have another one."""
        return str(pods.main(self._pod(name)).get("containerID", ""))

    def gone(self, who: Who) -> bool:
        found = self.space.cluster.ask(self.space.cluster.core.list_namespaced_pod, self.space.name)["items"]
        running = [pods.main(pod) for pod in found if "running" in pods.main(pod).get("state", {})]
        return who not in [status["containerID"] for status in running]

    def _signal(self, who: Who, name: str) -> None:
        found = self.space.cluster.ask(self.space.cluster.core.list_namespaced_pod, self.space.name)["items"]
        pod = next(pod["metadata"]["name"] for pod in found if pods.main(pod).get("containerID") == who)
        self.space.execute(pod, STOP, self.space.execute(pod, LAB).split()[0], name)

    def kill(self, who: Who) -> None:
        self._signal(who, "SIGKILL")

    def children(self, who: Who) -> list[psutil.Process]:
        return []

    def begun(self, home: Path) -> Who:
        return self.identity("there")

    def kept(self, home: Path) -> Kept:
        """Its group is the pod's own user; what anybody sees of the namespace but for Secrets is shown."""
        space, cluster = self.space, self.space.cluster
        pod = lab_manifest.pod_of("there")
        mode = int(space.execute(pod, MODE, f"{lab_manifest.OWN}/{lab_manifest.TOKEN}"))
        log = cluster.raw(cluster.core.read_namespaced_pod_log, pod, space.name).data.decode()
        asked = (cluster.apps.list_namespaced_stateful_set, cluster.core.list_namespaced_pod)
        shown = json.dumps([cluster.ask(one, space.name) for one in (*asked, cluster.core.list_namespaced_event)])
        return Kept(space.token("there"), mode & 0o007, log, shown, None)

    def runtime(self) -> Path:
        raise NotImplementedError

    def by_hand(self, root: Path) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    @contextmanager
    def occupy(self, port: int) -> Iterator[int]:
        """The link's port, which is one of this machine."""
        with socket.create_server(("127.0.0.1", port)):
            yield os.getpid()

    @contextmanager
    def freeze(self, who: Who) -> Iterator[None]:
        self._signal(who, "SIGSTOP")
        try:
            yield
        finally:
            with suppress(StopIteration, IndexError, TargetError):  # it was ended meanwhile
                self._signal(who, "SIGCONT")
