"""Which engine: the profile's, else what DOCKER_HOST, a context or a socket of this machine says, as docker goes by.

A context is one folder of the user's configuration, named after the digest of its name; it has an endpoint for each
kind of client, and keys and certificates beside it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...errors import ConfigError

USUAL = "/var/run/docker.sock"
_ADDRESSES = ("unix://", "tcp://", "http://", "https://", "ssh://")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's address, and how it is proved."""

    url: str
    """`unix:///PATH`, `tcp://HOST:PORT` or `ssh://HOST`."""
    source: str
    """Who says so, in words."""
    tls: str = ""
    """Folder with `ca.pem`, `cert.pem` and `key.pem`; empty: no TLS."""
    verify: bool = True
    """Whether the engine's certificate is looked at."""

    @property
    def socket(self) -> Path | None:
        """Its socket on this machine, if that is where it listens."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def here(self) -> bool:
        """Whether it is on this machine, or in a virtual machine that passes for it."""
        return self.socket is not None or urlsplit(self.url).hostname in _LOOPBACK

    @property
    def host(self) -> str:
        """The machine's name, as this machine knows it."""
        return "127.0.0.1" if self.here else urlsplit(self.url).hostname or ""

    def handle(self) -> dict[str, str]:
        """What finds it again whatever the environment is then."""
        return {"engine": self.url, "tls": self.tls, "verify": "yes" if self.verify else ""}


def of_handle(handle: dict[str, str]) -> Engine:
    """The engine that a handle was made for."""
    return Engine(url=handle["engine"], source="the run", tls=handle["tls"], verify=bool(handle["verify"]))


def engine(wanted: str | None, kind: str) -> Engine:
    """The engine that a profile means; ConfigError where a context that is named is not there or makes no sense.

    `kind` is what the endpoint of a context is called that is ours.
    """
    if wanted:
        return _named(wanted, kind, "the profile")
    if os.environ.get("DOCKER_HOST"):
        return _by_environment()
    if os.environ.get("DOCKER_CONTEXT"):
        return _named(os.environ["DOCKER_CONTEXT"], kind, "DOCKER_CONTEXT")
    current = str(_read(_config() / "config.json").get("currentContext", ""))
    if current and current != "default":
        return _named(current, kind, "the current context")
    socket = next(filter(_is_socket, _sockets()), Path(USUAL))
    return Engine(url=f"unix://{socket}", source="the usual socket")


def _named(name: str, kind: str, source: str) -> Engine:
    """A URL, or a context by its name."""
    if "://" in name:
        return _url(name, source)
    if name == "default":
        return Engine(url=f"unix://{USUAL}", source=source)
    folder = hashlib.sha256(name.encode()).hexdigest()
    endpoints = _read(_config() / "contexts/meta" / folder / "meta.json").get("Endpoints", {})
    endpoint = endpoints.get(kind, {})
    if not endpoint.get("Host"):
        known = ", ".join(sorted(contexts())) or "there is none"
        raise ConfigError(f"there is no context `{name}`, which {source} names", f"contexts: {known}")
    tls = _config() / "contexts/tls" / folder / kind
    return Engine(
        url=endpoint["Host"],
        source=f"context `{name}`",
        tls=str(tls) if (tls / "ca.pem").exists() or (tls / "cert.pem").exists() else "",
        verify=not endpoint.get("SkipTLSVerify", False),
    )


def _url(url: str, source: str) -> Engine:
    if not url.startswith(_ADDRESSES):
        raise ConfigError(
            f"`{url}` is no engine's address", "write it like unix:///path, tcp://host:2376 or ssh://host"
        )
    certificates = os.environ.get("DOCKER_CERT_PATH", "")
    secured = url.startswith("tcp") and bool(certificates and os.environ.get("DOCKER_TLS_VERIFY"))
    return Engine(url=url, source=source, tls=certificates if secured else "")


def _by_environment() -> Engine:
    return _url(os.environ["DOCKER_HOST"], "DOCKER_HOST")


def _config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def contexts() -> Iterator[str]:
    """Names of the user's own contexts."""
    for file in (_config() / "contexts/meta").glob("*/meta.json"):
        yield str(_read(file).get("Name", ""))


def _read(file: Path) -> dict[str, Any]:
    """A JSON file of the user's, empty where there is none that can be read."""
    try:
        found = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _sockets() -> Iterator[Path]:
    """Where engines listen, the usual one first: Docker's own, rootless, of a desktop's virtual machine, Podman's."""
    run = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    yield Path(USUAL)
    yield run / "docker.sock"
    yield Path.home() / ".docker/run/docker.sock"
    yield run / "podman/podman.sock"
    yield Path("/run/podman/podman.sock")


def _is_socket(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISSOCK(path.stat().st_mode)
    return False
