"""What a cluster says of a lab beside its state: its image, its pod and node, what it uses, what happened to it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...errors import TargetError
from ...model import Facts
from ..contained import use
from . import lab_state
from .api import CONNECT_SECONDS, Cluster
from .lab_state import Lab

EVENTS = 8
"""How many are shown."""
MEASURED_SECONDS = 2.0
"""How long the metrics API may take: what it knows is worth no wait."""
Object = dict[str, Any]
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def facts(cluster: Cluster, lab: Lab) -> Facts:
    """All of it; what the cluster does not know, or tell us, is left out."""
    pod = lab.pod
    template = lab.set["spec"]["template"]["spec"]["containers"][0]
    values = {"image": template["image"]}
    if pod is not None:
        values |= {"pod": pod["metadata"]["name"], "node": pod["spec"].get("nodeName", ""), "restarts": _restarts(lab)}
        values |= _used(_metrics(cluster, pod), template["resources"])
    claims = lab.set["spec"].get("volumeClaimTemplates") or []
    values |= {"volume": _volume(claims[0], lab)} if claims else {}
    told = lab_state.events(cluster, lab.set, pod)[-EVENTS:]
    return Facts(values={key: value for key, value in values.items() if value}, events=tuple(map(_event, told)))


def _restarts(lab: Lab) -> str:
    """How often its container has been started again, and why the last time."""
    how = lab.died or {}
    return use.restarts(lab.restarts, how.get("reason", "?"), how.get("exitCode", "?"))


def _volume(claim: Object, lab: Lab) -> str:
    name = f"{claim['metadata']['name']}-{lab.set['metadata']['name']}-0"
    return f"{name}, {claim['spec']['resources']['requests']['storage']}"


def _metrics(cluster: Cluster, pod: Object) -> Object:
    """What its container uses, as the metrics API has it; nothing where there is none."""
    with suppress(TargetError, StopIteration):
        measured = cluster.resource("pods", "metrics.k8s.io", "v1beta1")
        found = cluster.ask(
            measured.get,
            pod["metadata"]["name"],
            cluster.namespace,
            _request_timeout=(CONNECT_SECONDS, MEASURED_SECONDS),
        )
        used: Object = next(one["usage"] for one in found["containers"] if one["name"] == "main")
        return used
    return {}


def _used(usage: Object, asked: Object) -> dict[str, str]:
    """What is used of what may be.

    >>> _used({"cpu": "31250000n", "memory": "215040Ki"}, {"limits": {"memory": "512Mi"}, "requests": {"cpu": "500m"}})
    {'cpu': '0.03, 0.50 reserved', 'memory': '210 MiB of 512 MiB'}
    """
    limits, requests = asked.get("limits", {}), asked.get("requests", {})
    made = {}
    if "cpu" in usage:
        made["cpu"] = use.cpu(quantity(usage["cpu"]), _known(limits, "cpu"), _known(requests, "cpu"))
    if "memory" in usage:
        made["memory"] = use.memory(quantity(usage["memory"]), _known(limits, "memory"))
    return made


def _known(quantities: Object, name: str) -> float | None:
    return quantity(quantities[name]) if name in quantities else None


def quantity(text: str) -> float:
    """The number that the API writes with a unit.

    >>> quantity("31250000n"), quantity("2Gi"), quantity("1.5")
    (0.03125, 2147483648.0, 1.5)
    """
    if text[-2:] in _BINARY:
        return float(text[:-2]) * _BINARY[text[-2:]]
    if text[-1:] in _UNITS and not text[-1:].isdigit():
        return float(text[:-1]) * _UNITS[text[-1:]]
    return float(text)


def _event(event: Object) -> str:
    """When, what, and how often: `12:30:05 Warning FailedMount: …`."""
    count = event.get("count") or 1
    times = f" ({count} times)" if count > 1 else ""
    mood = "" if event.get("type") == "Normal" else f"{event.get('type')} "
    said = " ".join(str(event.get("message", "")).split())
    return f"{lab_state.when(event)[11:19]} {mood}{event.get('reason', '')}: {said}{times}"
