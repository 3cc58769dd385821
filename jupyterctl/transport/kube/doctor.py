"""Looking at a cluster step by step, each with its fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import TargetError
from ...model import Check, CheckState
from .api import Cluster


def look(cluster: Cluster, settings: Any) -> Iterator[Check]:
    """The kubeconfig, the API server, the namespace, and the rights that runs and labs need."""
    try:
        context = cluster.context
        yield Check(name="kubeconfig", state=CheckState.OK, detail=f"context {context}")
        major, minor = cluster.version
    except TargetError as error:
        yield Check(name="cluster", state=CheckState.FAIL, detail=error.message, fix=error.hint)
        return
    yield Check(name="cluster", state=CheckState.OK, detail=f"Kubernetes {major}.{minor}, {settings.image}")
