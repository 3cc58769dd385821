"""Speaking with an engine through its SDK, and its failures in words.

An engine that cannot be spoken to is `UnreachableError`, whatever the reason: what runs there goes on or not.
"""

from __future__ import annotations

import grp
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from ...errors import TargetError, UnreachableError
from .where import Engine

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.errors import APIError
    from docker.models.containers import Container

ACT_SECONDS = 60.0
"""How long an answer may take where something is done."""
LOOK_SECONDS = 5.0
"""And where an engine is only looked at."""
_NOT_FOUND = 404
MOST = 8
"""Clients that are kept."""
_kept: dict[tuple[Engine, float], DockerClient] = {}
"""The one that was used last is the last."""
_keeping = threading.Lock()


class LoginError(UnreachableError):
    """The engine's machine lets nobody in: trying again changes nothing."""


def client(engine: Engine, seconds: float = ACT_SECONDS) -> DockerClient:
    """A client, kept for all threads: its connections are pooled. UnreachableError where the engine does not answer."""
    with _keeping:
        found = _kept.pop((engine, seconds), None)
        if found is not None:
            _kept[engine, seconds] = found
            return found
    made = _connect(engine, seconds)
    with _keeping:
        _kept[engine, seconds] = made
        over = [_kept.pop(next(iter(_kept))) for _ in range(len(_kept) - MOST)]
    for one in over:
        one.close()
    return made


def forget(engine: Engine) -> None:
    """Let go of the connections to an engine that nobody uses: what led there may be another way than it was."""
    with _keeping:
        over = [_kept.pop(kept) for kept in list(_kept) if kept[0] == engine]
    for one in over:
        one.close()


def _connect(engine: Engine, seconds: float) -> DockerClient:
    """A new one, of the API's version that the engine speaks; it is asked for that once it knows its way."""
    from docker import DockerClient
    from docker.constants import MINIMUM_DOCKER_API_VERSION

    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of each that it does not keep
    over_ssh = engine.url.startswith("ssh://")
    with words(engine):
        made = DockerClient(
            base_url="unix://" if over_ssh else engine.url,
            version=MINIMUM_DOCKER_API_VERSION,
            timeout=cast(int, seconds),
            tls=_certificates(engine),
        )
        if over_ssh or engine.socket is not None:
            made.api.mount("http+docker://", _adapter(engine, seconds))
        if engine.tls:
            _by_its_own_authority(made.api)
        made.api._version = made.api.version(api_version=False)["ApiVersion"]  # noqa: SLF001 - else it asks at once
    return made


def _adapter(engine: Engine, seconds: float) -> Any:
    from .over_ssh import LoginAdapter
    from .pooling import Adapter

    return LoginAdapter(engine, seconds) if engine.socket is None else Adapter(str(engine.socket), seconds)


def _certificates(engine: Engine) -> Any:
    from docker.tls import TLSConfig

    if not engine.tls:
        return False
    cert, key, authority = (f"{engine.tls}/{name}.pem" for name in ("cert", "key", "ca"))
    return TLSConfig(client_cert=(cert, key), ca_cert=authority if engine.verify else None, verify=engine.verify)


def _by_its_own_authority(api: Any) -> None:
    """Have an engine proved by the authority that is named for it, whatever REQUESTS_CA_BUNDLE says of other places."""
    merge = api.merge_environment_settings

    def merged(url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        return merge(url, proxies, stream, api.verify if verify is None else verify, cert)

    api.merge_environment_settings = merged


def container(engine: Engine, name: str, seconds: float = LOOK_SECONDS) -> Container | None:
    """A container as it is now, None where there is none; what is done with it has as many seconds."""
    from docker.errors import APIError

    with words(engine):
        try:
            return client(engine, seconds).containers.get(name)
        except APIError as error:
            if error.status_code == _NOT_FOUND or "no such container" in said(error):  # one that is being removed
                return None
            raise


@contextmanager
def words(engine: Engine) -> Iterator[None]:
    """What the engine refuses is a TargetError, and what keeps it from answering an UnreachableError."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        raise TargetError(f"the engine refuses: {said(error)}", hint_for(said(error))) from error
    except (DockerException, RequestException, HTTPError, ConnectionError, TimeoutError) as error:
        forget(engine)
        raise unreachable(engine, error) from error


def said(error: APIError) -> str:
    """What the engine says, in one line."""
    text = str(error.explanation or error)
    return " ".join(text.removeprefix("Error response from daemon: ").split())


def hint_for(text: str) -> str:
    """What to do about what an engine refuses."""
    if "could not select device driver" in text or "CDI" in text:
        return "install the NVIDIA Container Toolkit at the engine, or leave `gpus` out"
    if "unable to find user" in text or "unable to find group" in text:
        return "correct `user`: a name that the image knows, or numbers such as 1000:1000"
    if "network" in text and "not found" in text:
        return "correct `network`; `docker network ls` lists those there are"
    if "bind source path" in text or "no such file or directory" in text:
        return "correct `workdir` or `mounts`: the engine looks for them on its own machine"
    if "No space left" in text or "no space left" in text:
        return "make room at the engine: docker system df shows what takes it"
    return "see what it says of itself: docker info"


def unreachable(engine: Engine, error: BaseException) -> UnreachableError:
    """Why nothing is heard of it, and what to do."""
    causes = list(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return UnreachableError(f"you may not use the engine at `{engine.url}`", _admission(engine))
    if any(isinstance(cause, FileNotFoundError | ConnectionRefusedError) for cause in causes):
        start = "start it (systemctl start docker), or name another one: engine" if engine.here else "start it there"
        return UnreachableError(f"no engine listens at `{engine.url}` ({engine.source})", start)
    if any(isinstance(cause, TimeoutError) or "timed out" in str(cause) for cause in causes):
        return UnreachableError(
            f"the engine at `{engine.url}` does not answer", "it may be busy, or the way to it down"
        )
    if engine.url.startswith("ssh://"):
        hint = f"try it: ssh {engine.host} docker version"
        return UnreachableError(f"the way to the engine at `{engine.url}` was lost", hint)
    told = " ".join(str(causes[-1] or error).split())
    return UnreachableError(f"the engine at `{engine.url}` cannot be spoken to: {told}", "look at it: docker info")


def _admission(engine: Engine) -> str:
    """How a person is let in: by the group that owns the socket."""
    try:
        assert engine.socket is not None  # noqa: S101 - a socket alone has an owner
        group = grp.getgrgid(engine.socket.stat().st_gid).gr_name
    except (AssertionError, OSError, KeyError):
        return "have its administrator let you in"
    return f"join its group and log in again: sudo usermod -aG {group} $USER"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it was made of; the libraries wrap theirs in arguments as well."""
    while error is not None:
        yield error
        for part in error.args:
            if isinstance(part, BaseException):
                yield from _causes(part)
        error = error.__cause__ or error.__context__
