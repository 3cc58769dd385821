"""Connections to clusters, one for each context of a kubeconfig, which everybody in this process shares.

So a dashboard with many runs reads a kubeconfig, and logs in, once.

What is asked for is told to the SDK by its path, through its dynamic client. Its classes for the API's groups would
import a model of every kind of object that there is, which takes version 37 a second, to build objects of them that
nobody here looks at.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import TargetError

KEPT_SECONDS = 5.0
"""How long a connection that nobody uses is trusted: a proxy may have dropped it since, without a word."""
AT_ONCE = 32
"""Connections that are kept for those who ask at the same time."""
CONTEXTS = 8
"""Contexts that are remembered."""
_SUBRESOURCES = {"pods": {"log": {"kind": "Pod", "name": "pods/log", "namespaced": True}}}
Stamp = tuple[tuple[str, int, int], ...]
"""What tells that a kubeconfig's files are as they were."""


class Connection:
    """A context of a kubeconfig, with its login; threads may share it."""

    def __init__(self, client: Any, context: dict[str, Any]) -> None:
        from kubernetes.dynamic import DynamicClient

        self.client = client
        """The SDK's."""
        self.context = context
        """As the kubeconfig has it: `name`, and under `context` the `namespace`."""
        self._dynamic = DynamicClient(client, discoverer=lambda *_: None)  # what is asked for is known
        self._renewed = time.monotonic()

    def resource(self, name: str, group: str, version: str, *, namespaced: bool) -> Any:
        """Objects of one kind, as the SDK's dynamic client has them."""
        from kubernetes.dynamic import Resource

        return Resource(
            prefix="apis" if group else "api",
            group=group,
            api_version=version,
            kind=name,
            name=name,
            namespaced=namespaced,
            client=self._dynamic,
            subresources=_SUBRESOURCES.get(name),
        )

    def get(self, path: str, **named: Any) -> Any:
        """What stands at a path that is no object's."""
        return self._dynamic.request("get", path, **named)

    def refresh(self) -> None:
        """Before every request: trust no connection that may have been quiet for long."""
        now = time.monotonic()
        if now - self._renewed > KEPT_SECONDS:
            self._renewed = now
            self.close()

    def close(self) -> None:
        """Let go of the connections that nobody uses now; whoever asks again has new ones."""
        self.client.rest_client.pool_manager.clear()


class _Place:
    """Where the connection of one context is made once, however many ask for it at the same time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made: tuple[Stamp, Connection] | None = None

    def close(self) -> None:
        """Let go of it; whoever has it may go on."""
        if self.made is not None:
            self.made[1].close()


_PLACES: dict[tuple[str | None, ...], _Place] = {}
_LOCK = threading.Lock()


def connection(kubeconfig: str | None, context: str | None) -> Connection:
    """The one that there is, or a new one where the kubeconfig has changed; None: the SDK's default."""
    place = _place(kubeconfig, context)
    with place.lock:
        stamp = _stamp(kubeconfig)
        if place.made is not None and place.made[0] == stamp:
            return place.made[1]
        made = _connect(kubeconfig, context)
        place.close()
        place.made = stamp, made
        return made


def _place(*named: str | None) -> _Place:
    """A context's own; of those that were not asked for lately, connections that nobody uses are closed."""
    late = []
    with _LOCK:
        place = _PLACES[named] = _PLACES.pop(named) if named in _PLACES else _Place()
        while len(_PLACES) > CONTEXTS:
            late.append(_PLACES.pop(next(iter(_PLACES))))
    for each in late:
        each.close()
    return place


def forget(which: Connection) -> None:
    """Have whoever asks next log in anew."""
    with _LOCK:
        places = list(_PLACES.values())
    for place in places:
        if place.made is None or place.made[1] is not which:  # another one's lock may be held for a whole login
            continue
        with place.lock:
            if place.made is not None and place.made[1] is which:
                place.close()
                place.made = None


@atexit.register
def close() -> None:
    """Let go of all of them."""
    with _LOCK:
        places = list(_PLACES.values())
        _PLACES.clear()
    for place in places:
        place.close()


def _stamp(kubeconfig: str | None) -> Stamp:
    """How the files of a kubeconfig are; those that are not there are left out."""
    from kubernetes.config import KUBE_CONFIG_DEFAULT_LOCATION

    found = []
    for name in (kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).split(os.pathsep):
        with suppress(OSError):
            status = Path(name).expanduser().stat()
            found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _connect(kubeconfig: str | None, context: str | None) -> Connection:
    """Read the kubeconfig; in a pod without one, take the login of its service account."""
    from kubernetes import client, config
    from kubernetes.config import ConfigException

    configuration = client.Configuration()
    try:
        contexts, current = config.list_kube_config_contexts(kubeconfig)
        chosen = next((one for one in contexts if one["name"] == context), None) if context else current
        if chosen is None:
            names = ", ".join(one["name"] for one in contexts)
            raise TargetError(f"the kubeconfig has no context `{context}`", f"it has: {names}")
        config.load_kube_config(kubeconfig, chosen["name"], client_configuration=configuration)
    except ConfigException as error:
        try:
            config.load_incluster_config(configuration)
        except ConfigException:
            raise TargetError(
                f"there is no cluster to be found: {error}", "name its kubeconfig in the profile, or set KUBECONFIG"
            ) from error
        chosen = {"name": "in-cluster", "context": {}}
    configuration.retries = False
    configuration.connection_pool_maxsize = AT_ONCE
    return Connection(client.ApiClient(configuration), chosen)
