"""What a lab is to the cluster: a Secret with its token and its first process, a StatefulSet of one, its volume.

A lab that is stopped is a StatefulSet of none: its token, its volume and what it was made of stay in the cluster, so
that any machine finds them and the next start, wherever, brings the same lab back. The volume is the StatefulSet's
claim, which the cluster itself makes, and keeps whatever becomes of the StatefulSet.
"""

from __future__ import annotations

import base64
from pathlib import PurePosixPath
from typing import Any

import msgspec

from ...model import duration
from ...remote import CONTAINED_LAB, LAB, POD_LAB
from ..contained import ROOT
from ..lab_flags import flags
from . import podspec
from .api import LABEL

Object = dict[str, Any]

OWN, WORK = f"{ROOT}/own", f"{ROOT}/work"
"""Where the Secret is in the pod, and the lab's folder where the profile names none."""
TOKEN = "token"  # noqa: S105 - the name of its file
NAME, FOLDER = f"{LABEL}/name", f"{LABEL}/folder"
"""Annotations: the profile's name, which need not be fit for a label, and the lab's folder."""
PORT, READY = 8888, 8889
"""Where the lab listens, on the pod's loopback, and where `remote.pod_lab` says that it does."""
GRACE_SECONDS = 20
"""How long a lab may take to end its kernels."""
STARTUP_TRIES = 8640
"""How often the cluster asks a lab that comes up, each time for ten seconds; who starts it is less patient."""
GO_WITH_POD = "files in it go with the pod"
A_DISK = "name a `disk` below [server] to keep them"
_VOLUME = "work"
_THE_PODS = {"emptyDir", "ephemeral", "secret", "configMap", "downwardAPI", "projected"}
"""Kinds of volumes that go with a pod, or that nothing can be written to."""


def called(name: str) -> str:
    """What everything of a profile's lab is called."""
    return podspec.name(name)


def pod_of(name: str) -> str:
    """Its pod."""
    return f"{called(name)}-0"


def metadata(name: str, **annotations: str) -> Object:
    """Of an object of a lab."""
    return {
        "name": called(name),
        "labels": podspec.labels(server=name),
        "annotations": {NAME: name, **annotations},
    }


def folder(settings: Any) -> str:
    """The one that the lab shows."""
    return settings.workdir or WORK


def secret(name: str, token: str) -> Object:
    """The token, and the files of the first process."""
    files = {TOKEN: token.encode(), **{file.name: file.read_bytes() for file in (LAB, CONTAINED_LAB, POD_LAB)}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name),
        "data": {key: base64.b64encode(data).decode() for key, data in files.items()},
    }


def stateful_set(name: str, settings: Any, *, account: str | None) -> Object:
    """The lab; `account` is the service account that may scale it, where it has one."""
    own = podspec.labels(server=name)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(name, **{FOLDER: folder(settings)}),
        "spec": {
            "replicas": 1,
            "serviceName": called(name),
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": podspec.labels(server=name)},
            "template": {
                "metadata": {"labels": own, "annotations": {NAME: name, FOLDER: folder(settings)}},
                "spec": _pod(name, settings, account),
            },
            **({"volumeClaimTemplates": [_claim(name, settings.server)]} if settings.server.disk else {}),
        },
    }


def outlives(made: Object) -> bool:
    """Whether the folder of a StatefulSet's lab is on something that is there when its pod is not."""
    at = PurePosixPath(made["metadata"].get("annotations", {}).get(FOLDER, WORK))
    spec = made["spec"]["template"]["spec"]
    container = next(one for one in spec["containers"] if one["name"] == "main")
    mounts = [one for one in container.get("volumeMounts") or () if at.is_relative_to(one["mountPath"])]
    if not mounts:
        return False
    nearest = max(mounts, key=lambda one: len(PurePosixPath(one["mountPath"]).parts))["name"]
    volume = next((one for one in spec.get("volumes") or () if one["name"] == nearest), None)
    return volume is None or not _THE_PODS & volume.keys()  # the one that is not among them is the claim's


def _pod(name: str, settings: Any, account: str | None) -> Object:
    ready, start = ({"httpGet": {"path": path, "port": READY}, "timeoutSeconds": 11} for path in ("/api", "/start"))
    container = {
        "command": [settings.python, f"{OWN}/{POD_LAB.name}", folder(settings), called(name), *_flags(settings)],
        "startupProbe": {**start, "periodSeconds": 1, "failureThreshold": STARTUP_TRIES},
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 3},
        "terminationMessagePolicy": "File",
    }
    env = {"JUPYTER_TOKEN_FILE": f"{OWN}/{TOKEN}", "JUPYTER_RUNTIME_DIR": f"{ROOT}/runtime", **_outliving(settings)}
    volumes: list[tuple[Object, str]] = [
        ({"emptyDir": {}}, ROOT),
        ({"secret": {"secretName": called(name), "defaultMode": 0o440}}, OWN),
    ]
    if account is not None:
        settings = msgspec.structs.replace(settings, service_account=account)
    made = podspec.spec(settings, container, env=env, volumes=volumes)
    if settings.server.disk:
        made["containers"][0]["volumeMounts"].append({"name": _VOLUME, "mountPath": folder(settings)})
    return {"terminationGracePeriodSeconds": GRACE_SECONDS, **made}


def _outliving(settings: Any) -> dict[str, str]:
    """Where JupyterLab keeps a person's settings and which tabs are open: beside the files, where these are kept."""
    if not settings.server.disk:
        return {}
    own = f"{folder(settings)}/.jupyter/lab"
    places = {"JUPYTERLAB_SETTINGS_DIR": f"{own}/user-settings", "JUPYTERLAB_WORKSPACES_DIR": f"{own}/workspaces"}
    return {name: place for name, place in places.items() if name not in settings.env}


def _flags(settings: Any) -> list[str]:
    own = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": PORT,
        "ServerApp.root_dir": folder(settings),
        **({} if settings.user else {"ServerApp.allow_root": True}),
    }
    return flags(settings.server, own)


def _claim(name: str, server: Any) -> Object:
    """The volume that outlives the pod."""
    return {
        "metadata": {"name": _VOLUME, "labels": podspec.labels(server=name), "annotations": {NAME: name}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": server.disk}},
            **({"storageClassName": server.storage_class} if server.storage_class is not None else {}),
        },
    }


def account(name: str, named: str | None) -> list[tuple[str, Object]]:
    """What lets a lab's pod scale its own StatefulSet and do nothing else, by kind, in the order to make it in.

    `named` is the profile's own service account, in the place of one that is made.
    """
    kind, group = "Role", "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": ["apps"],
        "resources": ["statefulsets/scale"],
        "resourceNames": [called(name)],
        "verbs": ["patch"],
    }
    subject = {"kind": "ServiceAccount", "name": named or called(name)}
    made: list[tuple[str, Object]] = [
        (kind, {"metadata": metadata(name), "rules": [rule]}),
        (
            "RoleBinding",
            {
                "metadata": metadata(name),
                "roleRef": {"apiGroup": group, "kind": kind, "name": called(name)},
                "subjects": [subject],
            },
        ),
    ]
    return made if named else [("ServiceAccount", {"metadata": metadata(name)}), *made]


def idles(settings: Any) -> bool:
    """Whether a lab ends by itself."""
    return settings.server.idle_stop is not None and duration(settings.server.idle_stop) > 0
