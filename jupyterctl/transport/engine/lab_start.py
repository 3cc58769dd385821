"""Starting a lab in a container, step by step, so that it outlives whoever starts it.

Two who start the same lab at once, from wherever, make one: an engine has each container's name once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, JupyterctlError, TargetError, UnreachableError
from ...model import Phase, PhaseState, Server, ServerSpec, duration
from ...remote import CONTAINED_LAB, LAB
from .. import jupyter_api, ports
from ..lab_flags import idle
from ..lab_start import alone, step
from . import archive, images, log, recipe
from .client import client, said, words
from .execution import Command
from .labs import EVERY, ON_FAILURE, RUNTIME, TOKEN, back, restart

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.images import Image

    from .labs import EngineLabs

INSIDE = 8888
"""Port that a lab listens on in its container, where that has a network of its own."""
INSTALL_SECONDS = 900.0
"""How long a first start may take where packages are installed."""
_ASK = """
import sys, urllib.request
token = open(sys.argv[2]).read()
asked = urllib.request.Request(sys.argv[1], headers={"Authorization": "token " + token})
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=float(sys.argv[3])).read()
"""
_LINES = 3
_LET_GO_SECONDS = 3.0
_HOST, _NONE = "host", "none"


class Start:
    """One start of one lab."""

    def __init__(self, labs: EngineLabs, spec: ServerSpec) -> None:
        self.labs, self.spec, self.settings = labs, spec, labs.settings
        self.engine = labs.engine
        self.limit = duration(self.settings.server.start_timeout)
        self.began = time.time_ns()
        self.info: dict[str, Any] = {}
        self.image: Image | None = None
        self.made: Container | None = None
        """The container that this start has made, which goes again where the start fails."""
        self.crashes = 0
        """How often the lab had been brought back when it was found."""

    def steps(self) -> Iterator[Phase]:
        """Every step, unless the lab runs: then it need only answer. A start that fails leaves no container of its own.

        Whether one comes up whose engine is out of reach nobody can tell, so that it stays.
        """
        if self.settings.network == _NONE and not self.labs.remote:
            raise ConfigError(
                f"the lab of `{self.spec.name}` could not be reached: without a network no port is published",
                "name another `network`, or leave it out; runs need none",
            )
        try:
            yield from self._steps()
        except UnreachableError:
            raise
        except JupyterctlError:
            with suppress(JupyterctlError):
                self._take_away()
            raise

    def _take_away(self) -> None:
        """Remove the container that was made, and keep what its lab has said."""
        if self.made is None:
            return
        with words(self.engine):
            try:
                data, _ = log.tail(self.made, -log.KEPT)
                log.keep(self.labs.site, self.spec.name, data.replace(self._token(self.made).encode(), "…".encode()))
            finally:
                self.made.remove(force=True, v=True)

    def _steps(self) -> Iterator[Phase]:
        yield from step("engine", self._reach)
        with alone(f"{self.labs.name(self.spec.name)}"):
            server = self.labs.find(self.spec.name)
            if server is None:
                yield from self._pulled()
                yield from step("environment", self._look_inside)
                yield from step("process", self._run)
            else:
                yield from step("process", lambda: f"runs already: {server.place}")
                self.crashes = self._crashes()
        yield from step("address", self._listens if self.labs.remote else self._published)
        yield from step("http", self._answers)

    def _reach(self) -> str:
        """The engine."""
        with words(self.engine):
            at = client(self.engine)
            self.info, version = at.info(), at.version()
        parts = [part["Name"] for part in version.get("Components") or () if part["Name"].endswith("Engine")]
        name = "Docker Engine" if parts[:1] in ([], ["Engine"]) else parts[0]
        return f"{name} {version['Version']} at {self.engine.url}"

    def _pulled(self) -> Iterator[Phase]:
        """The image; a pull tells how far it is."""
        import queue
        from concurrent.futures import ThreadPoolExecutor

        yield Phase(name="image", state=PhaseState.DOING, detail=self.settings.image)
        began = time.monotonic()
        news: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(images.have, self.engine, self.settings.image, self.settings.pull, news.put)
            work.add_done_callback(lambda _: news.put(None))
            while (line := news.get()) is not None:
                yield Phase(name="image", state=PhaseState.DOING, detail=line)
        took = time.monotonic() - began
        try:
            self.image = work.result()
        except JupyterctlError as error:
            yield Phase(name="image", state=PhaseState.FAILED, seconds=took, detail=error.message)
            raise
        size = self.image.attrs["Size"] // 10**6
        detail = f"{self.settings.image}, {self.image.short_id.removeprefix('sha256:')}, {size} MB"
        yield Phase(name="image", state=PhaseState.DONE, seconds=took, detail=detail)

    def _look_inside(self) -> str:
        """What its Python has."""
        assert self.image is not None  # noqa: S101 - the step before would have failed
        binds = self._binds()
        mounted = {"mounts": recipe.mounts(binds)} if recipe.within(self.settings.python, binds) else None
        found = images.contents(self.engine, self.image, self.settings.python, mounted)
        if "jupyterlab" in found.versions:
            return f"Python {found.python}, JupyterLab {found.versions['jupyterlab']}"
        if not self.settings.install:
            raise TargetError(
                f"`{self.settings.python}` of `{self.settings.image}` has no JupyterLab",
                "take an image that has it, or have it installed: install = true",
            )
        self.limit = max(self.limit, INSTALL_SECONDS)
        return f"Python {found.python}; JupyterLab is installed at the first start"

    # -- the container -------------------------------------------------------------------------------------------

    def _run(self) -> str:
        """Start the container that there is, or one that is made anew where it would be another one now."""
        made = self._order()
        assert self.image is not None  # noqa: S101 - likewise
        mark = recipe.fingerprint({**made, "digest": self.image.id})
        kept = self.labs.container(self.spec.name, acting=True)
        token = self.spec.token or self._token(kept)
        how = "made"
        if kept is not None and kept.labels.get(recipe.SETTINGS) == mark:
            how = "the one there was"
            restart(kept, ON_FAILURE)
        else:
            if kept is not None:
                how = "made anew: the profile, the folder or the image has changed"
                with words(self.engine):
                    kept.remove(force=True)
            log.drop(self.labs.site, self.spec.name)
            kept = self.made = self._create(made, mark)
        self._fill(kept, token)
        self._start(kept)
        return f"container {kept.name}, {how}"

    @staticmethod
    def _token(kept: Container | None) -> str:
        """The one that the container before had, so that open tabs stay logged in, else a new one."""
        try:
            return (
                next(iter(archive.read(kept, TOKEN).values())).decode() if kept is not None else secrets.token_hex(32)
            )
        except FileNotFoundError:
            return secrets.token_hex(32)

    def _binds(self) -> list[recipe.Bind]:
        """What is mounted, the folder to work in first."""
        return [recipe.work(self.labs.root(self.spec), self.engine), *self.labs.binds()]

    def _order(self) -> dict[str, Any]:
        """What the container is made with."""
        assert self.image is not None  # noqa: S101 - the step before would have failed
        binds = self._binds()
        root, own_network = binds[0], self.settings.network != _HOST
        order = recipe.options(self.settings, self.engine, self.info, binds)
        order["environment"] |= {
            "JUPYTER_TOKEN_FILE": TOKEN,
            "JUPYTER_RUNTIME_DIR": RUNTIME,
            **({"JUPYTERCTL_INSTALL": "1"} if self.settings.install else {}),
        }
        if own_network and not self.labs.remote:
            order["ports"] = {f"{INSIDE}/tcp": (self.settings.server.publish, self.spec.port)}
        return {
            **order,
            "image": self.settings.image,
            "entrypoint": [self.settings.python],
            "command": [f"{recipe.OURS}/{CONTAINED_LAB.name}", *self._arguments(root.target, own_network=own_network)],
            "working_dir": root.target,
            "restart_policy": back(ON_FAILURE),
            "labels": {
                recipe.SERVER: self.spec.name,
                recipe.OWNER: recipe.owner(self.settings),
                recipe.ROOT: root.target,
                recipe.PORT: str(self._listening(own_network=own_network)[1] if self.labs.remote else self.spec.port),
            },
        }

    def _arguments(self, root: str, *, own_network: bool) -> list[str]:
        """JupyterLab's; what the profile's own arguments set is left to them."""
        listening = self._listening(own_network=own_network)
        own = {
            "ServerApp.ip": listening[0],
            "ServerApp.port": listening[1],
            "ServerApp.port_retries": 0,
            "ServerApp.allow_remote_access": True,
            "ServerApp.open_browser": False,
            "ServerApp.root_dir": root,
            "ServerApp.allow_root": True,
            **idle(self.settings.server.idle_stop),
        }
        given = {argument.partition("=")[0] for argument in self.settings.server.args}
        flags = [f"--{name}={value}" for name, value in own.items() if f"--{name}" not in given]
        return [*flags, *self.settings.server.args]

    def _listening(self, *, own_network: bool) -> tuple[str, int]:
        """Address and port in the container; 0 lets a lab that shares its machine's ports choose one."""
        if not self.labs.remote:
            return ("0.0.0.0", INSIDE) if own_network else (self.settings.server.publish, self.spec.port)  # noqa: S104 - of the container
        return "127.0.0.1", self.spec.port or (INSIDE if own_network else 0)

    def _create(self, made: dict[str, Any], mark: str) -> Container:
        name = self.labs.name(self.spec.name)
        labels = {**made["labels"], recipe.SETTINGS: mark}
        with words(self.engine):
            from docker.errors import APIError

            try:
                created = client(self.engine).containers.create(name=name, **{**made, "labels": labels})
            except APIError as error:
                if error.status_code != 409:  # noqa: PLR2004 - the name is taken
                    raise
                raise TargetError(
                    f"another container is called `{name}`: {said(error)}",
                    f"remove it (docker rm -f {name}), or give the profile another name",
                ) from error
        return created

    def _fill(self, container: Container, token: str) -> None:
        """What the lab needs of ours; its own user's, and nobody else's."""
        files = {
            TOKEN: token.encode(),
            f"{recipe.OURS}/{LAB.name}": LAB.read_bytes(),
            f"{recipe.OURS}/{CONTAINED_LAB.name}": CONTAINED_LAB.read_bytes(),
        }
        with words(self.engine):
            owner = archive.owner(container)
            container.put_archive("/", archive.pack(files, [recipe.OURS, recipe.HOME, RUNTIME], owner))

    def _start(self, container: Container) -> None:
        """Start it; TargetError names who has its port."""
        from docker.errors import APIError

        port, here = self.spec.port, self.engine.here and not self.labs.remote
        deadline = time.monotonic() + _LET_GO_SECONDS
        if here and not ports.free(port):
            self.labs.let_go()  # it was a link's, while the profile's engine was elsewhere
        while here and not ports.free(port) and time.monotonic() < deadline:
            time.sleep(EVERY)
        if here and not ports.free(port):
            raise self._taken(ports.owner(port))
        self.began = time.time_ns()
        with words(self.engine):
            try:
                images.start(container, self.settings.image, self.settings.python)
            except APIError as error:
                if any(part in said(error) for part in ("already allocated", "address already in use")):
                    raise self._taken("another program of the engine's machine") from error
                raise

    def _taken(self, who: str) -> TargetError:
        """The port is taken; a container that has published it is named."""
        with words(self.engine):
            others = client(self.engine).containers.list(filters={"publish": str(self.spec.port)}, ignore_removed=True)
        who = next((f"the container `{other.name}`" for other in others), who)
        return TargetError(
            f"port {self.spec.port} of `{self.spec.name}` is taken by {who}",
            "end that program, or give the profile another port: link_port below [server]",
        )

    # -- its lab -------------------------------------------------------------------------------------------------

    def _server(self) -> Server:
        """The lab, if it still runs and was not brought back since; TargetError with its last words."""
        server = self.labs.find(self.spec.name)
        if server is None or self._crashes() > self.crashes:
            error = self._failed("the server ended while it was starting")
            container = self.labs.container(self.spec.name, acting=True)
            if container is not None and self.made is None:
                with words(self.engine):
                    container.stop(timeout=1)
            raise error
        return server

    def _crashes(self) -> int:
        container = self.labs.container(self.spec.name)
        return int(container.attrs.get("RestartCount") or 0) if container is not None else 0

    def _published(self) -> str:
        return str(self._server().url)

    def _listens(self) -> str:
        """Until it has said where it is."""
        deadline = time.monotonic() + self.limit
        while time.monotonic() < deadline:
            self._server()
            container = self.labs.container(self.spec.name)
            if container is not None and (said := self.labs.said(container)):
                return f"port {said.get('port')} in the container"
            time.sleep(EVERY)
        raise self._failed(f"the server has not come up within {self.limit:.0f} s")

    def _answers(self) -> str:
        """Until it answers a request that carries the token."""
        deadline = time.monotonic() + self.limit
        problem = "it has not said where it is"
        while time.monotonic() < deadline:
            server = self._server()
            try:
                self._ask(server, min(jupyter_api.SECONDS, self.limit))
            except UnreachableError as error:
                problem = error.message
                time.sleep(EVERY)
                continue
            return "answers"
        raise self._failed(f"the server does not answer within {self.limit:.0f} s: {problem}")

    def _ask(self, server: Server, seconds: float) -> None:
        """As those who use it will, or in its container where only a link leads to it; UnreachableError."""
        if not self.labs.remote:
            jupyter_api.status(self.labs.published(server), seconds)
            return
        container = self.labs.container(server.name, acting=True)
        if container is None:
            return  # the next look at it says so
        said = self.labs.said(container)
        path = f"http://127.0.0.1:{said.get('port')}{said.get('base_url', '/')}api/status"
        try:
            Command(
                self.engine, container.name or "", [self.settings.python, "-c", _ASK, path, TOKEN, str(seconds)]
            ).result()
        except TargetError as error:  # it may have ended, which the next look at it says
            raise UnreachableError(error.message) from error

    def _failed(self, message: str) -> TargetError:
        """The error, with what the log has said since the start."""
        container = self.labs.container(self.spec.name)
        last = ""
        if container is not None:
            with words(self.engine):
                data, _ = log.tail(container, -4096)
                token = self._token(container)
            lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
            last = " | ".join(lines[-_LINES:]).replace(token, "…")
        return TargetError(message, f"its log ends: {last or '(nothing)'}; all of it: jupyterctl logs {self.spec.name}")
