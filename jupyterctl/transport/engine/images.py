"""Having an image on the engine, and knowing what is in it.

What Python there can import is asked of the image itself, once: a container of it answers, and the answer is kept by
the image's digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ... import paths
from ...errors import TargetError
from .client import client, said, words
from .where import Engine

if TYPE_CHECKING:
    from docker.models.images import Image

PULL_SECONDS = 300.0
"""How long a registry may say nothing while an image is pulled."""
PROBE_SECONDS = 60
BAR = 20
_NO_PROGRAM = ("executable file not found", "exec format error", "no such file or directory")
_MARK = "jupyterctl-image "
_PROBE = """
import json, os, sys
from importlib import metadata
found = set(sys.builtin_module_names) | set(getattr(sys, "stdlib_module_names", ()))
for folder in filter(None, sys.path):
    try:
        names = os.listdir(folder)
    except OSError:
        continue
    found.update(name.partition(".")[0] for name in names if not name.endswith(("-info", ".pth", ".txt")))
versions = {}
for name in ("jupyterlab", "papermill", "ipykernel"):
    try:
        versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
version = ".".join(map(str, sys.version_info[:3]))
names = sorted(name for name in found if name.isidentifier())
print("MARK" + json.dumps({"python": version, "prefix": sys.prefix, "versions": versions, "modules": names}))
""".replace("MARK", _MARK)

Report = Callable[[str], object]
"""Hears how far a pull is."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What an image's Python is and has."""

    python: str
    """Its version."""
    prefix: str
    versions: dict[str, str]
    """Of those packages that we need."""
    modules: frozenset[str]
    """All that can be imported, by top-level name."""

    @property
    def summary(self) -> str:
        """In a few words: `Python 3.12.1, jupyterlab 4.5.0, papermill 2.7.0`."""
        return ", ".join([f"Python {self.python}", *(f"{name} {told}" for name, told in self.versions.items())])


def here(engine: Engine, name: str) -> Image | None:
    """The image, where the engine has it."""
    from docker.errors import ImageNotFound

    with words(engine):
        try:
            return client(engine).images.get(name)
        except ImageNotFound:
            return None


def have(engine: Engine, name: str, policy: str, report: Report) -> Image:
    """The image, pulled where the policy says so; TargetError where it cannot be had."""
    found = here(engine, name)
    if policy == "always" or (found is None and policy != "never"):
        _pull(engine, name, report)
        found = here(engine, name)
    if found is None:
        raise TargetError(f"the engine has no image `{name}`", f'pull it (docker pull {name}), or set pull = "missing"')
    return found


def _pull(engine: Engine, name: str, report: Report) -> None:
    from docker.errors import APIError
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(name)
    api = client(engine, PULL_SECONDS).api
    with words(engine):
        try:
            layers: dict[str, tuple[int, int]] = {}
            for line in api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                _heard(name, line, layers)
                report(bar(layers) or str(line.get("status", "")))
        except APIError as error:
            raise _not_had(name, said(error)) from error


def _heard(name: str, line: dict[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    """Take a line of a pull in; one that tells of an error ends it."""
    if "error" in line:
        raise _not_had(name, str(line["error"]))
    detail = line.get("progressDetail") or {}
    layer = str(line.get("id", ""))
    if line.get("status") == "Downloading" and detail.get("total"):
        layers[layer] = detail["current"], detail["total"]
    elif line.get("status") in {"Download complete", "Pull complete"} and layer in layers:
        layers[layer] = layers[layer][1], layers[layer][1]


def bar(layers: dict[str, tuple[int, int]]) -> str:
    """How far a pull is.

    >>> bar({"a": (50_000_000, 100_000_000), "b": (100_000_000, 100_000_000)})
    '███████████████░░░░░  75 %, 150 of 200 MB'
    """
    done, total = (sum(side) for side in zip(*layers.values(), strict=True)) if layers else (0, 0)
    if not total:
        return ""
    full = BAR * done // total
    return f"{'█' * full}{'░' * (BAR - full)} {100 * done // total:3d} %, {done // 10**6} of {total // 10**6} MB"


def _not_had(name: str, why: str) -> TargetError:
    registry = name.partition("/")[0] if "/" in name and set(name.partition("/")[0]) & set(".:") else ""
    login = f"docker login {registry}".strip()
    return TargetError(
        f"the image `{name}` cannot be pulled: {' '.join(why.split())}",
        f"correct `image`, or log in where it comes from: {login}",
    )


def contents(engine: Engine, image: Image, python: str, options: dict[str, Any] | None = None) -> Contents:
    """What is in an image; `options` are what its container needs beside it, and make the answer hold only now.

    TargetError where it has no such Python.
    """
    known = kept(image.id or "", python) if options is None else None
    if known is not None:
        return known
    found = msgspec.json.decode(_ask(engine, image, python, options or {}), type=Contents)
    if options is None:
        file = _file(image.id or "", python)
        paths.write(paths.private(file.parent) / file.name, msgspec.json.encode(found))
    return found


def kept(image_id: str, python: str) -> Contents | None:
    """What was found in it before."""
    try:
        return msgspec.json.decode(_file(image_id, python).read_bytes(), type=Contents)
    except (OSError, msgspec.DecodeError):
        return None


def _file(image_id: str, python: str) -> Any:
    return paths.cache() / "images" / f"{hashlib.sha256(f'{image_id} {python}'.encode()).hexdigest()}.json"


def _ask(engine: Engine, image: Image, python: str, options: dict[str, Any]) -> bytes:
    """The line that the probe prints in a container of the image, which is gone afterwards."""
    name = next(iter(image.tags), image.short_id)
    with words(engine):
        made = client(engine).containers.create(
            image.id or "", ["-c", _PROBE], entrypoint=[python], network_mode="none", **options
        )
        try:
            start(made, name, python)
            ended = made.wait(timeout=PROBE_SECONDS)
            output = made.logs()
        finally:
            made.remove(force=True, v=True)
    for line in reversed(output.splitlines()):
        if line.startswith(_MARK.encode()):
            return bytes(line.removeprefix(_MARK.encode()))
    last = (output.decode("utf-8", "replace").strip().splitlines() or ["it says nothing"])[-1]
    raise TargetError(
        f"`{python}` of `{name}` ends with {ended['StatusCode']}: {last}", "name the image's Python in `python`"
    )


def start(container: Any, image: str, python: str) -> None:
    """Start a container; TargetError where the image has no such Python."""
    from docker.errors import APIError

    try:
        container.start()
    except APIError as error:
        if any(part in said(error) for part in _NO_PROGRAM):
            raise TargetError(
                f"`{image}` has no `{python}`", "take an image with Python, or name its Python in `python`"
            ) from error
        raise
