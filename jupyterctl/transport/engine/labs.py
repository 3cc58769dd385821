"""The server half of a target whose labs are containers, found by their labels.

Those of an engine of this machine are reached at their published port, and so are others that are published at an
address of their engine's machine. The rest is reached over the engine's own API, by a link that a keeper holds up.

A container is kept when its lab is stopped, or has stopped itself because nobody used it: with `start` it comes back
with its port, its token and its files. It is made anew where the profile, or the image, has changed since.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ...errors import ConfigError, TargetError, UnreachableError
from ...model import Address, Dial, Facts, Phase, Profile, Server, ServerSpec, ServerState
from ..contained.files import Files, Filing
from ..linked import Alone, Linked
from . import recipe
from .where import Engine, engine

if TYPE_CHECKING:
    from docker.models.containers import Container

    from ..linked import Opened
    from ..ssh.way import Ask, Report

STOP_SECONDS = 10.0
"""How long a lab has to end by itself."""
EVERY = 0.05
ON_FAILURE = "on-failure"
LOOPBACK = ("127.", "localhost", "::1")
CRASHES = 5
"""How often in a row a lab that crashes is brought back."""
TOKEN, RUNTIME = f"{recipe.OURS}/token", f"{recipe.OURS}/runtime"
_LIVE = {"running": ServerState.RUNNING, "paused": ServerState.RUNNING, "restarting": ServerState.STARTING}


class EngineLabs(Filing, Linked):
    """What the Target protocol asks about servers, and what a keeper needs."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile)
        self.settings: recipe.Settings = cast(recipe.Settings, profile.settings)
        self.remote = False
        with suppress(ConfigError):  # who asks for the engine is told
            self.remote = not self.engine.here and self.settings.server.publish.startswith(LOOPBACK)

    @property
    def engine(self) -> Engine:
        """The engine that the profile means now."""
        return engine(self.settings.engine, self.profile.kind)

    @property
    def site(self) -> str:
        """Containers of one owner on one engine see each other; a context that is not there is a place of its own."""
        try:
            where = self.engine.url
        except ConfigError:
            where = f"context {self.settings.engine}"
        return f"{where} {recipe.owner(self.settings)}"

    def start(self, spec: ServerSpec) -> Iterator[Phase]:
        """Have the image, make or find the container, and wait for its lab to answer."""
        from .lab_start import Start

        yield from Start(self, spec).steps()

    def root(self, spec: ServerSpec) -> str:
        """The folder that the lab works in: as asked for, the profile's, or the one it is started in."""
        if spec.root:
            return spec.root
        if self.settings.workdir is None:
            return str(spec.near) if self.engine.here else f"jupyterctl-{spec.name}"
        return recipe.folder(self.settings.workdir, recipe.base(self.profile.sources, "workdir"))

    # -- those there are -----------------------------------------------------------------------------------------

    def servers(self) -> list[Server]:
        """Every lab of this owner that runs."""
        from .client import LOOK_SECONDS, client, words

        at = self.engine
        wanted = {"label": [recipe.SERVER, f"{recipe.OWNER}={recipe.owner(self.settings)}"]}
        with words(at):
            found = client(at, LOOK_SECONDS).containers.list(filters=wanted, ignore_removed=True)
            return [self._describe(one) for one in found]

    def find(self, name: str, known: Server | None = None) -> Server | None:  # noqa: ARG002 - the engine knows better
        """The container of the profile, if its lab runs."""
        container = self.container(name)
        return self._describe(container) if container is not None and container.status in _LIVE else None

    def container(self, name: str, *, acting: bool = False) -> Container | None:
        """The container of a profile, whether it runs or not, to look at or to do something with."""
        from .client import ACT_SECONDS, LOOK_SECONDS, container

        found = container(self.engine, self.name(name), ACT_SECONDS if acting else LOOK_SECONDS)
        return found if found is not None and found.labels.get(recipe.SERVER) == name else None

    def name(self, profile: str) -> str:
        """What the container of a profile's lab is called; an engine has each name once, whoever uses it."""
        return recipe.safe(f"jupyterctl-{profile}-{recipe.owner(self.settings)}")

    def adoptable(self, name: str, near: Path) -> None:
        """None: a container that was started by hand keeps its token to itself."""

    def _describe(self, container: Container) -> Server:
        """The lab as the rest of the program knows it."""
        from .images import kept

        state, config = container.attrs["State"], container.attrs["Config"]
        labels = config["Labels"]
        contents = kept(container.attrs["Image"], self.settings.python)
        again = container.attrs.get("RestartCount") or 0
        times = f", brought back {again} time{'s' if again > 1 else ''}" if again else ""
        held = ", paused" if state["Status"] == "paused" else ""
        port = int(labels[recipe.PORT]) or None
        return Server(
            name=labels[recipe.SERVER],
            kind=self.profile.kind,
            state=_LIVE.get(state["Status"], ServerState.STOPPED),
            place=f"container {container.name} of {config['Image']}{times}{held}",
            pid=state.get("Pid") or None,
            port=port,
            url=None if self.remote else f"http://{self.engine.host}:{port}/",
            version=contents.versions.get("jupyterlab", "") if contents else "",
            root=labels[recipe.ROOT],
            since=str(state["StartedAt"]).partition(".")[0].removesuffix("Z") + "Z",
            handle={"container": container.id or "", **self.engine.handle()},
        )

    def address(self, server: Server) -> Address | Dial:
        """Where it is published, or its port in its container."""
        if not self.remote:
            return self.published(server)
        container = self._there(server.name)
        return self._dial(container, self.said(container))

    def published(self, server: Server) -> Address:
        """Its port at the engine's machine; the lab says itself what comes before its paths."""
        container = self._there(server.name)
        said = self.said(container)
        scheme = "https" if said.get("secure") else "http"
        url = f"{scheme}://{self.engine.host}:{container.labels[recipe.PORT]}{said.get('base_url', '/')}"
        return Address(url=url, token=self._token(container))

    def _there(self, name: str) -> Container:
        container = self.container(name)
        if container is None:
            raise TargetError(f"the container of `{name}` is gone", f"start it: jupyterctl start {name}")
        return container

    def _dial(self, container: Container, said: dict[str, Any]) -> Dial:
        port = int(said.get("port") or container.labels[recipe.PORT])
        base = said.get("base_url", "/")
        return Dial(host=container.name or "", port=port, base_url=base, token=self._token(container))

    @staticmethod
    def _token(container: Container) -> str:
        from . import archive

        try:
            (token,) = archive.read(container, TOKEN).values()
        except FileNotFoundError:
            name = container.labels[recipe.SERVER]
            raise TargetError(
                f"the container of `{name}` was never started", f"start it: jupyterctl start {name}"
            ) from None
        return token.decode()

    @staticmethod
    def said(container: Container) -> dict[str, Any]:
        """What the lab has written about where it is; empty while it is on its way."""
        from . import archive

        with suppress(FileNotFoundError, msgspec.DecodeError):
            for name, data in archive.read(container, RUNTIME).items():
                if name.startswith("jpserver-") and name.endswith(".json"):
                    return cast(dict[str, Any], msgspec.json.decode(data))
        return {}

    # -- what is done with them ----------------------------------------------------------------------------------

    def stop(self, server: Server) -> None:
        """Ask it to end, and end it where it does not; the container stays, for the next start.

        An engine that is restarted brings back what ended with another code than 0, however it was ended.
        """
        from .client import words

        container = self.container(server.name, acting=True)
        if container is None:
            return
        with words(self.engine):
            if container.status == "paused":
                container.unpause()
            with suppress(TargetError), words(self.engine):  # it may end by itself this moment
                container.kill("SIGINT")
            if not self._ended(server.name):
                container.stop(timeout=0)
                restart(container, "no")

    def _ended(self, name: str) -> bool:
        """Whether its container has ended within the time that a lab has for it."""
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            container = self.container(name)
            if container is None or container.status not in _LIVE:
                return True
            time.sleep(EVERY)
        return False

    def log(self, server: Server | None, name: str, offset: int) -> tuple[bytes, int]:  # noqa: ARG002 - found by name
        """What its container has written, over all its starts; offsets are moments.

        Of one that could not be started, and is gone, what was kept of it.
        """
        from . import log
        from .client import words

        container = self.container(name)
        if container is None:
            return log.kept(self.site, name)[offset:] if offset < 0 else b"", 0
        with words(self.engine):
            return log.tail(container, offset)

    def facts(self, name: str) -> Facts:
        """Image, container, restarts, what it uses, events."""
        from .lab_facts import facts

        container = self.container(name)
        live = container is not None and container.status in _LIVE
        return facts(self.engine, container) if container is not None and live else Facts()

    def shell(self, server: Server | None, near: Path) -> list[str]:
        """A shell in the container; where none runs, in one that is made like it and gone with the shell."""
        import sys

        from .client import client, words

        order: dict[str, Any] = {**self.engine.handle(), "owner": recipe.owner(self.settings)}
        if server is not None:
            order |= {"container": server.handle["container"], "root": server.root}
        else:
            at = self.engine
            with words(at):
                info = client(at).info()
            root = recipe.work(self.root(ServerSpec(name=self.profile.name, port=0, near=near)), at)
            order |= {"image": self.settings.image, "root": root.target, "user": recipe.user(self.settings, at, info)}
            order |= {"binds": [root, *self.binds()], "env": self.settings.env, "network": self.settings.network}
        return [sys.executable, "-m", "jupyterctl.transport.engine.shell", msgspec.json.encode(order).decode()]

    def enter(self, server: Server | None) -> int:
        """Give our terminal to that shell, until it ends; its exit code."""
        import subprocess

        return subprocess.call(self.shell(server, Path.cwd()))

    @property
    def files(self) -> Files:
        """Those of the container."""
        from .execution import Command

        container = self._there(self.profile.name)
        if container.status not in _LIVE:
            name = self.profile.name
            raise TargetError(f"the lab of `{name}` is stopped", f"start it: jupyterctl start {name}")

        def begin(command: Sequence[str], stdin: bool) -> Command:
            return Command(self.engine, container.name or "", command, stdin=stdin)

        return Files(begin, self.settings.python, container.labels[recipe.ROOT])

    def binds(self) -> list[recipe.Bind]:
        """The profile's mounts."""
        return recipe.binds(self.settings, recipe.base(self.profile.sources, "mounts"))

    # -- the way, for the keeper -----------------------------------------------------------------------------------

    @property
    def route(self) -> tuple[str, ...]:
        """The engine."""
        return tuple(self.engine.handle().values())

    def warm(self) -> None:
        """The client takes a while to import."""
        import docker  # noqa: F401 - to have it

        from . import way  # noqa: F401 - likewise

    def open(self, ask: Ask, report: Report) -> Opened:  # noqa: ARG002 - an engine asks nothing
        """See that the engine answers, by a connection of its own."""
        from .client import forget
        from .way import Way

        at = self.engine
        forget(at)
        report("connect", f"{at.url}, as {at.source} says")
        way = Way(at, self.name(self.profile.name), self.settings.python)
        way.first()
        return Alone(way, way.uneasy)

    def dial(self, carrier: Opened, *, anew: bool) -> Dial:  # noqa: ARG002 - an engine brings labs back itself
        """Where the lab listens; TargetError where there is none, UnreachableError where it may yet come."""
        name = self.profile.name
        container = self.container(name)
        if container is None or container.status not in _LIVE:
            raise TargetError(f"the lab of `{name}` is stopped", f"start it: jupyterctl start {name}")
        if container.status == "paused":
            raise UnreachableError(f"the container of `{name}` is paused", f"go on: docker unpause {container.name}")
        said = self.said(container)
        if not said:
            raise UnreachableError(f"the lab of `{name}` is coming up", "it is waited for")
        return self._dial(container, said)


def restart(container: Container, policy: str) -> None:
    """Say when the engine is to bring a container back, where that is not so already and it can be said."""
    if container.attrs["HostConfig"].get("RestartPolicy", {}).get("Name") != policy:
        with suppress(Exception):  # Podman does not let it be changed, and brings nothing back itself
            container.update(restart_policy=back(policy))


def back(policy: str) -> dict[str, Any]:
    """As engines are told."""
    return {"Name": policy, "MaximumRetryCount": CRASHES if policy == ON_FAILURE else 0}
