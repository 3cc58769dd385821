"""What a profile's pods are: their spec, their names and labels, as the API wants them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import ConfigError
from ...model import Json
from .api import LABEL

_NAME = 52
"""Characters of a name that leave room for what a controller appends to it."""
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SOURCES = {
    "pvc": lambda name: {"persistentVolumeClaim": {"claimName": name}},
    "secret": lambda name: {"secret": {"secretName": name}},
    "configmap": lambda name: {"configMap": {"name": name}},
}
_PULLS = {"missing": "IfNotPresent", "always": "Always", "never": "Never"}


def name(*words: str) -> str:
    """A name that an object may have, the same for the same words; one that must be changed or cut gets a digest.

    >>> name("run", "hello-4yeb")
    'jupyterctl-run-hello-4yeb'
    """
    wanted = "-".join(["jupyterctl", *words])
    plain = re.sub(r"[^a-z0-9-]+", "-", wanted.lower()).strip("-")
    if plain == wanted and len(plain) <= _NAME:
        return plain
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:8]
    return f"{plain[: _NAME - 9].rstrip('-')}-{digest}"


def labels(**own: str) -> dict[str, str]:
    """Our labels, `run="a-1"` as `jupyterctl/run: a-1`, beside the one that everything of ours has."""
    return {"app.kubernetes.io/managed-by": LABEL, **{f"{LABEL}/{key}": label(value) for key, value in own.items()}}


def label(value: str) -> str:
    """A value as a label may have it, the same for the same value."""
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value):
        return value
    return hashlib.sha256(value.encode()).hexdigest()[:32]


def selector(**own: str) -> str:
    """The same as a label selector."""
    return ",".join(f"{key}={value}" for key, value in labels(**own).items())


def spec(
    settings: Any,
    container: Mapping[str, Json],
    *,
    env: Mapping[str, str],
    volumes: Sequence[tuple[Mapping[str, Json], str]] = (),
) -> dict[str, Json]:
    """A pod's spec of one container, as the profile describes it.

    `volumes` are our own: a volume without its name, and where it is mounted. ConfigError names a setting that cannot
    be understood.
    """
    mounted = [*volumes, *(volume(text) for text in settings.volumes)]
    named = [({"name": f"v{number}", **source}, path) for number, (source, path) in enumerate(mounted)]
    main = {
        "name": "main",
        "image": settings.image,
        "imagePullPolicy": _PULLS[settings.pull],
        "env": [{"name": key, "value": value} for key, value in {**settings.env, **env}.items()],
        "resources": resources(settings.resources),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": made["name"], "mountPath": path, **({"readOnly": True} if _read_only(made) else {})}
            for made, path in named
        ],
        **container,
    }
    made = {
        "containers": [main],
        "volumes": [{key: value for key, value in source.items() if key != "readOnly"} for source, _ in named],
        "securityContext": _security(settings.user),
        "automountServiceAccountToken": settings.service_account is not None,
        "enableServiceLinks": False,
        "nodeSelector": settings.node_selector,
        "tolerations": [toleration(text) for text in settings.tolerations],
        "imagePullSecrets": [{"name": secret} for secret in settings.pull_secrets],
        "serviceAccountName": settings.service_account,
        "priorityClassName": settings.priority_class,
    }
    whole: dict[str, Json] = patched(
        {key: value for key, value in made.items() if value not in (None, {}, [])}, settings.template
    )
    return whole


def _security(user: int) -> dict[str, Json]:
    return {
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "runAsNonRoot": user != 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _read_only(source: Mapping[str, Json]) -> bool:
    return bool(source.get("readOnly"))


def resources(wanted: Any) -> dict[str, Json]:
    """What is reserved, and the most that may be used; memory that is used beyond what is reserved would be a loan."""
    requests = {"cpu": wanted.cpu, "memory": wanted.memory, "ephemeral-storage": wanted.ephemeral_storage}
    limits = {"cpu": wanted.cpu_limit, "memory": wanted.memory}
    if wanted.gpu:
        limits[wanted.gpu_resource] = str(wanted.gpu)
    both = {"requests": requests, "limits": limits}
    kept = {key: {name: value for name, value in each.items() if value is not None} for key, each in both.items()}
    return {key: each for key, each in kept.items() if each}


def volume(text: str) -> tuple[dict[str, Json], str]:
    """A volume and where it is mounted, of `pvc:NAME:/PATH[:ro]` and its like.

    >>> volume("pvc:data:/data:ro")
    ({'persistentVolumeClaim': {'claimName': 'data'}, 'readOnly': True}, '/data')
    """
    kind, _, rest = text.partition(":")
    found = re.fullmatch(r"([a-z0-9.-]+):(/[^:]*)(:ro)?", rest)
    if kind not in _SOURCES or found is None:
        raise ConfigError(f"`{text}` in `volumes` is no volume", "write it like pvc:NAME:/PATH or secret:NAME:/PATH:ro")
    return {**_SOURCES[kind](found[1]), **({"readOnly": True} if found[3] else {})}, found[2]


def toleration(text: str) -> dict[str, Json]:
    """A toleration, of `KEY[=VALUE][:EFFECT]`.

    >>> toleration("gpu=yes:NoSchedule")
    {'key': 'gpu', 'operator': 'Equal', 'value': 'yes', 'effect': 'NoSchedule'}
    """
    head, _, effect = text.partition(":")
    key, equals, value = head.partition("=")
    if not key or (effect and effect not in _EFFECTS):
        raise ConfigError(
            f"`{text}` in `tolerations` is none", f"write it like KEY=VALUE:EFFECT; effects: {', '.join(_EFFECTS)}"
        )
    operator = {"operator": "Equal", "value": value} if equals else {"operator": "Exists"}
    return {"key": key, **operator, **({"effect": effect} if effect else {})}


_KEYS = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "imagePullSecrets": "name"}
_MOUNTS = {"volumeMounts": "mountPath", "ports": "containerPort"}


def patched(given: Any, patch: Any) -> Any:
    """A strategic merge: tables are merged key by key, the lists of a pod's spec item by item, others are replaced.

    A container that is patched without a name is ours.

    >>> patched({"a": {"b": 1}, "containers": [{"name": "main"}]}, {"a": {"c": 2}, "containers": [{"tty": True}]})
    {'a': {'b': 1, 'c': 2}, 'containers': [{'name': 'main', 'tty': True}]}
    """
    if not isinstance(given, Mapping) or not isinstance(patch, Mapping):
        return patch
    merged = dict(given)
    for key, value in patch.items():
        by = {**_KEYS, **_MOUNTS}.get(key)
        if by and isinstance(value, list):
            merged[key] = _items(list(given.get(key) or ()), value, by)
        else:
            merged[key] = patched(given[key], value) if key in given else value
    return merged


def _items(given: list[Any], patches: list[Any], by: str) -> list[Any]:
    for patch in patches:
        wanted = patch.get(by, "main" if by == "name" else None)
        place = next((number for number, item in enumerate(given) if item.get(by) == wanted), None)
        if place is None:
            given.append(patch)
        else:
            given[place] = patched(given[place], patch)
    return given
