"""How a lab is, as the cluster knows it: its StatefulSet, its pod, what happened to them lately."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from ...errors import TargetError
from ...model import Server, ServerState
from . import lab_manifest, pods, podspec
from .api import Cluster, ConflictError, MissingError
from .lab_manifest import FOLDER, NAME, PORT

Object = dict[str, Any]
IDLE = "idle"
"""The last word of a container whose lab nobody used."""
_TRIES = 8
"""How often a change is tried that others change too."""


class Lab(Struct, frozen=True, kw_only=True):
    """One lab."""

    set: Object
    pod: Object | None
    """None where the cluster has not made it yet, or no longer has it."""

    @property
    def name(self) -> str:
        """The profile's."""
        return str(self.set["metadata"].get("annotations", {}).get(NAME, ""))

    @property
    def wanted(self) -> bool:
        """Whether it is to run: one that is stopped is a StatefulSet of none."""
        return bool(self.set["spec"].get("replicas", 1))

    @property
    def folder(self) -> str:
        """What it shows."""
        return str(self.set["metadata"].get("annotations", {}).get(FOLDER, ""))

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self.pod is not None and not self.ending and pods.condition(self.pod, "Ready").get("status") == "True"

    @property
    def ending(self) -> bool:
        """Whether its pod is on its way out."""
        return self.pod is not None and "deletionTimestamp" in self.pod["metadata"]

    @property
    def gone(self) -> bool:
        """Whether nothing of it runs: there is no pod, or one that is only to be put away."""
        if self.pod is None:
            return True
        state = pods.main(self.pod).get("state", {})
        return self.ending and "running" not in state

    @property
    def runs(self) -> bool:
        """Whether its container does, in a pod that stays."""
        return self.pod is not None and not self.ending and bool(pods.main(self.pod).get("state", {}).get("running"))

    @property
    def begun(self) -> bool:
        """Whether a container has run in the pod that it has, so that there may be something in it."""
        return self.runs or (not self.ending and self.restarts > 0)

    @property
    def restarts(self) -> int:
        """How often its container has been started again."""
        return int(pods.main(self.pod).get("restartCount", 0)) if self.pod else 0

    @property
    def rests(self) -> bool:
        """Whether it has ended because nobody used it, and could not say so to the cluster itself."""
        return self.died is not None and self.died.get("message") == IDLE

    @property
    def died(self) -> Object | None:
        """How its container ended last, None where it never did."""
        if self.pod is None:
            return None
        status = pods.main(self.pod)
        found = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        return found if isinstance(found, dict) else None


def look(cluster: Cluster, name: str) -> Lab | None:
    """A profile's lab, whether or not it is to run; None where the cluster has none."""
    try:
        found = cluster.ask(cluster.statefulsets.get, lab_manifest.called(name), cluster.namespace)
    except MissingError:
        return None
    pod = None
    with suppress(MissingError):
        pod = cluster.ask(cluster.pods.get, lab_manifest.pod_of(name), cluster.namespace)
    return Lab(set=found, pod=pod)


def everyone(cluster: Cluster) -> list[Lab]:
    """Every lab of the namespace."""
    label = next(iter(podspec.labels(server="").keys() - podspec.labels().keys()))
    sets = cluster.ask(cluster.statefulsets.get, namespace=cluster.namespace, label_selector=label)["items"]
    found = cluster.ask(cluster.pods.get, namespace=cluster.namespace, label_selector=label)["items"]
    by_name = {pod["metadata"]["name"]: pod for pod in found}
    return [Lab(set=one, pod=by_name.get(f"{one['metadata']['name']}-0")) for one in sets]


def scale(cluster: Cluster, name: str, replicas: int) -> None:
    """Have so many pods of a lab, 0 or 1; one that is not there has none."""
    with suppress(MissingError):
        change(cluster, name, lambda made: made["spec"].update(replicas=replicas))


def put_away(cluster: Cluster, pod: Object) -> None:
    """Have done with a pod in which nothing runs any more; where we may not, the cluster does it in its own time."""
    metadata = pod["metadata"]
    with suppress(TargetError):
        cluster.ask(
            cluster.pods.delete,
            metadata["name"],
            cluster.namespace,
            body={"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}},
        )


def change(cluster: Cluster, name: str, how: Callable[[Object], object]) -> None:
    """Change a lab's StatefulSet; somebody else's change in between is kept."""
    called = lab_manifest.called(name)
    for _ in range(_TRIES):
        made: Object = cluster.ask(cluster.statefulsets.get, called, cluster.namespace)
        how(made)
        with suppress(ConflictError):
            cluster.ask(cluster.statefulsets.replace, made, called, cluster.namespace)
            return
    raise TargetError(f"others change the lab of `{name}` all the time", "try again")


def describe(cluster: Cluster, lab: Lab, kind: str) -> Server:
    """The lab as the rest of the program knows it."""
    pod = lab.pod or {"metadata": {"name": lab_manifest.pod_of(lab.name)}, "status": {}}
    node = pod.get("spec", {}).get("nodeName", "")
    state = ServerState.RUNNING if lab.ready else ServerState.STARTING
    return Server(
        name=lab.name,
        kind=kind,
        state=state if lab.wanted else ServerState.STOPPING,
        place=f"pod {pod['metadata']['name']} in {cluster.namespace}{f', node {node}' if node else ''}",
        port=PORT,
        root=lab.folder,
        since=pod["status"].get("startTime"),
        handle={"pod": pod["metadata"]["name"], "uid": pod["metadata"].get("uid", ""), "node": node},
    )


def events(cluster: Cluster, *objects: Object | None) -> list[Object]:
    """What the cluster says of these objects, oldest first; nothing where it may not be asked."""
    with suppress(TargetError):
        wanted = {one["metadata"].get("uid") for one in objects if one}
        names = {one["metadata"]["name"] for one in objects if one}
        found: list[Object] = []
        for name in sorted(names):
            field = f"involvedObject.name={name}"
            found += cluster.ask(cluster.events.get, namespace=cluster.namespace, field_selector=field)["items"]
        mine = [event for event in found if event["involvedObject"].get("uid") in wanted]
        return sorted(mine, key=when)
    return []


def when(event: Object) -> str:
    """When it happened last."""
    told = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return str(next(filter(None, told), ""))


def waits_for(lab: Lab, told: Sequence[Object]) -> str:
    """Why a lab does not answer yet, in words, as far as the cluster says."""
    if lab.pod is None or lab.ending:
        refused = refusals(told)
        if refused:
            return f"its pod may not be made: {pods.refusal(refused[-1])}"
        return "its pod before this one is ending" if lab.ending else "its pod is being made"
    pod_uid = lab.pod["metadata"].get("uid")
    why = pods.pending(lab.pod, [event for event in told if event["involvedObject"].get("uid") == pod_uid])
    return why or "JupyterLab comes up in its pod"


def refusals(told: Sequence[Object]) -> list[Object]:
    """Those of the cluster's events by which it says that it makes no pod."""
    return [event for event in told if event.get("reason") == "FailedCreate"]


def mark(event: Object) -> tuple[str, ...]:
    """Tells an event from the same one told again: the cluster counts that in the object that there is."""
    return str(event["metadata"].get("uid")), str(event.get("count")), when(event)
