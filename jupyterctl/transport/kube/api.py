"""Asking a cluster's API, and what it refuses in words.

Objects come and go as the API writes them, as JSON: the newest client speaks with the oldest servers that way, whatever
either thinks must be there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import TargetError, UnreachableError
from . import rights
from .connections import Connection, connection, forget

LABEL = "jupyterctl"
"""Prefix of our labels and annotations: `jupyterctl/run`, `jupyterctl/server`."""
CONNECT_SECONDS, READ_SECONDS = 4.0, 30.0
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
)
_NO_NAMESPACE = re.compile(r"^namespaces \"(?P<name>[^\"]+)\" not found$")
TTL_SINCE = (1, 21)
"""Before it, a server keeps runs that have ended until somebody removes them."""
_UNAUTHORIZED, _FORBIDDEN_STATUS, _MISSING, _CONFLICT, _TOO_MANY, _SERVER = 401, 403, 404, 409, 429, 500


class MissingError(TargetError):
    """There is no such object."""


class ConflictError(TargetError):
    """There is one of that name already, or it has changed meanwhile."""


class ForbiddenError(TargetError):
    """The user may not do this."""


def no_namespace(name: str) -> MissingError:
    """Nothing can be made in a namespace that is not there."""
    return MissingError(f"there is no namespace `{name}`", f"make it: kubectl create namespace {name}")


class Cluster:
    """A cluster as the kubeconfig tells it; nothing is asked of it before the first call."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None) -> None:
        self._kubeconfig = str(Path(kubeconfig).expanduser()) if kubeconfig else None
        self._wanted = context
        self._namespace = namespace
        self._known: Connection | None = None
        self.purpose = rights.RUNS
        """What a missing right is needed for where several things need it."""

    @property
    def named(self) -> tuple[str | None, ...]:
        """What tells this cluster and namespace from others, without looking at any file."""
        return self._kubeconfig, self._wanted, self._namespace

    def anew(self) -> Cluster:
        """The same with nothing known: a kubeconfig that has changed is read again."""
        return Cluster(*self.named)

    def contexts(self) -> list[str]:
        """Names of the kubeconfig's contexts; none where there is no kubeconfig."""
        from kubernetes import config
        from kubernetes.config import ConfigException

        try:
            return [one["name"] for one in config.list_kube_config_contexts(self._kubeconfig)[0]]
        except ConfigException:
            return []

    @property
    def _connection(self) -> Connection:
        """The process's connection to it; one that was refused is made anew."""
        if self._known is None:
            self._known = connection(self._kubeconfig, self._wanted)
        return self._known

    @property
    def client(self) -> Any:
        """The SDK's client."""
        return self._connection.client

    @property
    def context(self) -> str:
        """Name of the context."""
        return str(self._connection.context["name"])

    @property
    def namespace(self) -> str:
        """The namespace that everything happens in."""
        return self._namespace or str(self._connection.context["context"].get("namespace") or "default")

    def resource(self, name: str, group: str = "", version: str = "v1", *, namespaced: bool = True) -> Any:
        """The objects of a kind, by its plural, to `get`, `create`, `patch`, `replace` and `delete`."""
        return self._connection.resource(name, group, version, namespaced=namespaced)

    @property
    def pods(self) -> Any:
        """Pods; their logs are `pods.log`."""
        return self.resource("pods")

    @property
    def secrets(self) -> Any:
        """Secrets."""
        return self.resource("secrets")

    @property
    def events(self) -> Any:
        """What happened to objects."""
        return self.resource("events")

    @property
    def jobs(self) -> Any:
        """Jobs."""
        return self.resource("jobs", "batch")

    @property
    def statefulsets(self) -> Any:
        """StatefulSets."""
        return self.resource("statefulsets", "apps")

    @cached_property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the server."""
        told = self.ask(self._connection.get, "/version")["gitVersion"]
        found = re.match(r"v?(\d+)\.(\d+)", told)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    @property
    def keeps(self) -> bool:
        """Whether it keeps what has ended for ever; one that does not say how old it is is as new as others."""
        try:
            return self.version < TTL_SINCE
        except (TargetError, KeyError, TypeError):
            return False

    def ask(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The JSON that a method of a resource answers; see `raw` for what is raised."""
        data = self.read(method, *arguments, **named)
        return json.loads(data) if data else None

    def read(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> bytes:
        """All that it answers."""
        with self._words():
            return bytes(self._response(method, *arguments, **named).data)

    def raw(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The response itself, whose body is still to be read.

        MissingError, ConflictError, ForbiddenError; UnreachableError where the API does not answer, or does not know
        us any more; TargetError with its own words for anything else that it refuses.
        """
        with self._words():
            return self._response(method, *arguments, **named)

    def _response(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._connection.refresh()
        named.setdefault("_request_timeout", (CONNECT_SECONDS, READ_SECONDS))
        return method(*arguments, **named, serialize=False)

    @contextmanager
    def _words(self) -> Iterator[None]:
        """Ours for what the SDK raises."""
        import urllib3
        from kubernetes.client.exceptions import ApiException

        try:
            yield
        except ApiException as error:
            raise self.refused(error.status or 0, _words(error.body) or str(error.reason)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self.silent(error) from error

    def refused(self, status: int, said: str) -> TargetError:
        """What an answer that is none means."""
        if status == _UNAUTHORIZED:
            context = self.context
            forget(self._connection)
            self._known = None
            return UnreachableError(
                f"the cluster `{context}` does not know you (any more)",
                "log in to it again: a token may have expired",
            )
        if status == _FORBIDDEN_STATUS:
            return self._forbidden(said)
        if status == _MISSING:
            absent = _NO_NAMESPACE.match(said)
            return no_namespace(absent["name"]) if absent else MissingError(said)
        if status == _CONFLICT:
            return ConflictError(said)
        if status == _TOO_MANY or status >= _SERVER or not status:
            return UnreachableError(f"the cluster `{self.context}` does not answer: {said}", "try again in a while")
        return TargetError(f"the cluster refuses it: {said}", "correct the profile, or what it names")

    def silent(self, error: Exception) -> UnreachableError:
        """No answer at all."""
        host = self.client.configuration.host
        reason = getattr(error, "reason", None) or error
        text = str(reason).rpartition(": ")[2] or type(error).__name__
        return UnreachableError(f"the cluster `{self.context}` does not answer: {text}", f"can you reach {host}?")

    def _forbidden(self, said: str) -> ForbiddenError:
        """Which right is missing, and the Role that has it."""
        found = _FORBIDDEN.search(said)
        if found is None:
            return ForbiddenError(f"the cluster `{self.context}` forbids it: {said}", "ask its owner")
        what, verb = found["resource"], found["verb"]
        return ForbiddenError(
            f"`{found['user']}` may not {verb} {what} in the namespace `{self.namespace}` of `{self.context}`",
            rights.ask_for(rights.needed(found["group"], what, verb, self.purpose), self.namespace),
        )


def _words(body: Any) -> str:
    """What a refusal says."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        return str(json.loads(text).get("message") or text)
    except (json.JSONDecodeError, AttributeError):
        return text.strip()
