"""A run in a cluster against kubectl and bare papermill in the same image, from the command to its end.

Ours brings the result home; theirs has its notebook in a ConfigMap beforehand, and leaves the result in the pod.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import yaml

from tests.cluster import ADMIN, IMAGE, Space

from .run import cells
from .timing import JUPYTERCTL, Ground, ground, machine, pairs_asked

TARGET = 1.15
PAIRS = 7
SCRIPT = """\
set -e
name=papermill-$$
sed "s/NAME/$name/" job.yaml | kubectl create -f -
kubectl wait --for=condition=complete --timeout=120s job/$name
kubectl logs job/$name
"""


def peer(space: Space, folder: Path) -> None:
    """What kubectl needs: a ConfigMap, a Job to create, and its kubeconfig."""
    content = {"in.ipynb": (folder / "in.ipynb").read_text("utf-8")}
    space.cluster.ask(
        space.cluster.core.create_namespaced_config_map, space.name, {"metadata": {"name": "in"}, "data": content}
    )
    container = {
        "name": "main",
        "image": space.image,
        "imagePullPolicy": "Never",
        "workingDir": "/tmp",
        "command": ["papermill", "/in/in.ipynb", "out.ipynb"],
        "volumeMounts": [{"name": "in", "mountPath": "/in"}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "in", "configMap": {"name": "in"}}],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "NAME", "namespace": space.name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job), "utf-8")
    (folder / "by-hand.sh").write_text(SCRIPT.replace("kubectl", f"kubectl -n {space.name}"), "utf-8")


def compare(at: Ground, space: Space, pairs: int) -> None:
    """Both in turn, in a namespace of its own."""
    cells(at.folder / "in.ipynb", 1)
    peer(space, at.folder)
    profiles = at.folder / "home/config/profiles"
    profiles.mkdir(parents=True)
    (profiles / "k8s.toml").write_text(space.profile(), "utf-8")
    at.environment["KUBECONFIG"] = os.environ[ADMIN]
    ours = [JUPYTERCTL, "run", "in.ipynb", "--target", "k8s", "-o", "out.ipynb"]
    at.compare("run in a cluster", ours, ["sh", "by-hand.sh"], target=TARGET, pairs=pairs)


def main(pairs: int | None = None) -> None:
    """`jupyterctl run --target` a cluster against `kubectl create`, `wait` and `logs`."""
    if not (os.environ.get(ADMIN) and os.environ.get(IMAGE) and shutil.which("kubectl")):
        sys.exit(f"there is no kubectl, or {ADMIN} and {IMAGE} name no cluster")
    with ground() as at:
        space = Space(at.folder / "space").open()
        try:
            compare(at, space, pairs or PAIRS)
        finally:
            space.close()


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
