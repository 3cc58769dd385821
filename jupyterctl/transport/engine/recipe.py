"""What a container is made of: from a profile's settings to what the engine is told."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ... import paths
from ...errors import ConfigError, TargetError
from ...model import RunSettings
from .where import Engine

if TYPE_CHECKING:
    from docker.types import Mount

OURS = "/jupyterctl"
"""Folder of the container that is ours."""
HOME = f"{OURS}/home"
WORK = "/work"
"""Where a volume is that notebooks work in."""
SERVER, OWNER, RUN, SETTINGS, ROOT, PORT = (
    f"jupyterctl/{name}" for name in ("server", "owner", "run", "settings", "root", "port")
)
"""Labels."""
ABOUT_USERS = ("SecurityOptions", "OperatingSystem", "Rootless")
"""What of an engine's own description says how it maps users."""


class Published(Protocol):
    """What of the `[server]` table matters here."""

    publish: str
    args: tuple[str, ...]
    idle_stop: str | None
    start_timeout: str


class Settings(Protocol):
    """What a kind's settings say about containers; each is explained where the kind declares it."""

    engine: str | None
    image: str
    pull: str
    python: str
    install: bool
    workdir: str | None
    mounts: tuple[str, ...]
    env: dict[str, str]
    user: str
    cpus: float | None
    memory: str | None
    gpus: int | str | None
    shm_size: str | None
    network: str | None
    owner: str | None
    server: Published
    run: RunSettings


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the engine's machine, or a volume of the engine, in a container."""

    source: str
    target: str
    read_only: bool = False

    @property
    def volume(self) -> bool:
        """Whether it is a volume, which the engine makes where there is none."""
        return not self.source.startswith("/")


def bind(text: str, base: Path) -> Bind:
    """`SOURCE`, `SOURCE:TARGET` or `SOURCE:TARGET:ro`; ConfigError for anything else.

    >>> bind("/data:/data:ro", Path("/"))
    Bind(source='/data', target='/data', read_only=True)
    >>> bind("models:/models", Path("/"))
    Bind(source='models', target='/models', read_only=False)
    """
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if target in {"ro", "rw"} and not mode:
        target, mode = "", target
    source = folder(source, base)
    target = target or source
    if mode not in {"", "ro", "rw"} or not source or not PurePosixPath(target).is_absolute():
        raise ConfigError(f"`{text}` is no mount", "write it like /data, ~/data:/data:ro or VOLUME:/data")
    return Bind(source=source, target=target, read_only=mode == "ro")


def folder(text: str, base: Path) -> str:
    """A folder's absolute path; the name of a volume as it is."""
    return os.path.normpath(base / Path(text).expanduser()) if text.startswith(("/", "~", ".")) else text


def binds(settings: Settings, base: Path) -> list[Bind]:
    """The profile's mounts."""
    return [bind(text, base) for text in settings.mounts]


def work(source: str, engine: Engine) -> Bind:
    """The folder to work in, at the same path in the container, so that paths mean the same; a volume at `/work`.

    TargetError where it is not there.
    """
    if not source.startswith("/"):
        return Bind(source=source, target=WORK)
    if engine.here and not Path(source).is_dir():
        raise TargetError(f"the folder `{source}` is not there", "make it, or correct `workdir`")
    return Bind(source=source, target=source)


def within(program: str, wanted: list[Bind]) -> bool:
    """Whether a program lies in something that is mounted, so that the image alone does not know it."""
    return any(PurePosixPath(program).is_relative_to(one.target) for one in wanted)


def mounts(wanted: list[Bind]) -> list[Mount]:
    """As the SDK wants them."""
    from docker.types import Mount

    return [
        Mount(one.target, one.source, type="volume" if one.volume else "bind", read_only=one.read_only)
        for one in wanted
    ]


def person() -> str:
    """The name of whoever this is."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def owner(settings: Settings) -> str:
    """Whose containers they are, among those of others on the engine."""
    return settings.owner or person()


def user(settings: Settings, engine: Engine, info: dict[str, Any]) -> str | None:
    """Whose processes run in the container, None for the image's own user.

    Files in mounted folders are to belong to the person: who that is in a container depends on how the engine maps
    users.
    """
    if settings.user != "auto":
        return None if settings.user == "image" else settings.user
    security = " ".join(info.get("SecurityOptions") or ())
    if "rootless" in security or info.get("Rootless"):
        return "0:0"
    if not engine.here or "Desktop" in str(info.get("OperatingSystem")):
        return None
    return f"{os.getuid()}:{os.getgid()}"


def options(settings: Settings, engine: Engine, info: dict[str, Any], wanted: list[Bind]) -> dict[str, Any]:
    """What every container of a profile is made with."""
    mapped = user(settings, engine, info)
    given: dict[str, Any] = {
        "mounts": mounts(wanted),
        "environment": environment(settings, mapped),
        "user": mapped,
        "mem_limit": settings.memory,
        "memswap_limit": settings.memory,
        "nano_cpus": round(settings.cpus * 1e9) if settings.cpus else None,
        "device_requests": devices(settings.gpus),
        "shm_size": settings.shm_size,
        "network_mode": settings.network,
    }
    if "name=userns" in " ".join(info.get("SecurityOptions") or ()) and mapped:
        given["userns_mode"] = "host"
    return {name: value for name, value in given.items() if value is not None}


def environment(settings: Settings, mapped: str | None) -> dict[str, str]:
    """Variables of a container; programs ask for the name of a user that the image does not know."""
    name = person()
    known = {"USER": name, "LOGNAME": name} if mapped and mapped.partition(":")[0] != "0" else {}
    return {**known, **settings.env}


def devices(gpus: int | str | None) -> list[Any] | None:
    """All, so many, or those of these numbers."""
    if gpus is None or gpus == 0:
        return None
    from docker.types import DeviceRequest

    capabilities = [["gpu"]]
    text = str(gpus)
    if text.startswith("device="):
        return [DeviceRequest(device_ids=text.removeprefix("device=").split(","), capabilities=capabilities)]
    return [DeviceRequest(count=-1 if text == "all" else int(text), capabilities=capabilities)]


def safe(name: str) -> str:
    """A name as engines allow it.

    >>> safe("jupyterctl-mein lab-jörg")
    'jupyterctl-mein-lab-j-rg'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)


def base(sources: dict[str, Path], key: str) -> Path:
    """Where relative paths of a setting start."""
    return paths.base(sources.get(key))


def fingerprint(made: dict[str, Any]) -> str:
    """Changes when a container would be made otherwise."""
    return hashlib.sha256(msgspec.json.encode(msgspec.to_builtins(made, str_keys=True))).hexdigest()[:16]
