"""Looking at a cluster step by step, each with its fix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import ConfigError, TargetError
from ...model import Check, CheckState
from . import podspec
from .api import TTL_SINCE, Cluster, MissingError, no_namespace
from .rights import IDLE, LABS, RUNS, Rule, ask_for


def look(cluster: Cluster, settings: Any) -> Iterator[Check]:
    """What the profile says of pods, the kubeconfig, the API server, the namespace, what one may do there."""
    try:
        podspec.spec(settings, {}, env={})
    except ConfigError as error:
        yield Check(name="pods", state=CheckState.FAIL, detail=error.message, fix=error.hint)
    try:
        yield Check(name="kubeconfig", state=CheckState.OK, detail=f"context {cluster.context}")
        version = cluster.version
        yield _version(cluster, version)
        yield _namespace(cluster)
        rights = _rights(cluster)
    except TargetError as error:
        yield Check(name="cluster", state=CheckState.FAIL, detail=error.message, fix=error.hint)
        return
    yield _may(cluster, "runs", RUNS, rights, CheckState.FAIL)
    yield _may(cluster, "labs", LABS, rights, CheckState.WARN)
    if settings.server.idle_stop:
        yield _may(cluster, "idle labs", IDLE, rights, CheckState.WARN)
    yield Check(name="image", state=CheckState.OK, detail=f"{settings.image}, pulled when {settings.pull}")


def _version(cluster: Cluster, version: tuple[int, int]) -> Check:
    detail = f"Kubernetes {version[0]}.{version[1]} at {cluster.client.configuration.host}"
    if version >= TTL_SINCE:
        return Check(name="cluster", state=CheckState.OK, detail=detail)
    return Check(
        name="cluster",
        state=CheckState.OK,
        detail=f"{detail}; it keeps runs that have ended until they are removed",
    )


def _namespace(cluster: Cluster) -> Check:
    """Whether it is there; who may not look at namespaces may well work in one."""
    try:
        cluster.ask(cluster.resource("namespaces", namespaced=False).get, cluster.namespace)
    except MissingError:
        fix = no_namespace(cluster.namespace).hint
        return Check(name="namespace", state=CheckState.FAIL, detail=f"there is no `{cluster.namespace}`", fix=fix)
    except TargetError:
        return Check(name="namespace", state=CheckState.OK, detail=f"{cluster.namespace}, which may not be looked at")
    return Check(name="namespace", state=CheckState.OK, detail=cluster.namespace)


def _rights(cluster: Cluster) -> list[dict[str, Any]]:
    """The rules that hold for us in the namespace."""
    reviews = cluster.resource("selfsubjectrulesreviews", "authorization.k8s.io", namespaced=False)
    body = {"spec": {"namespace": cluster.namespace}}
    told = cluster.ask(reviews.create, body)
    return list(told["status"].get("resourceRules") or ())


def _may(
    cluster: Cluster, name: str, wanted: Sequence[Rule], rights: Sequence[dict[str, Any]], lacking: CheckState
) -> Check:
    """Whether all of these rights are there."""
    missing = [
        f"{verb} {resource}"
        for group, resources, verbs in wanted
        for resource in resources
        for verb in verbs
        if not any(_covers(right, group, resource, verb) for right in rights)
    ]
    if not missing:
        return Check(name=name, state=CheckState.OK, detail="you may do all that they need")
    fix = ask_for(wanted, cluster.namespace)
    return Check(name=name, state=lacking, detail=f"you may not {', '.join(missing)}", fix=fix)


def _covers(right: dict[str, Any], group: str, resource: str, verb: str) -> bool:
    """Whether a rule grants it; one for named objects alone does not."""
    asked = (("apiGroups", group), ("resources", resource), ("verbs", verb))
    return not right.get("resourceNames") and all({"*", value} & set(right.get(key) or ()) for key, value in asked)
