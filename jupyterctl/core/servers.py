"""The life of servers on this side: start, find again, adopt, stop, restart, read the log.

The place is asked, not the store: what the store knows of a server only helps to find it. What must hold for ever, the
port of each profile, stands there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from msgspec import structs

from .. import paths, target
from ..errors import BusyError, JupyterctlError, NotFoundError, TargetError
from ..model import (
    Address,
    Dial,
    Kernel,
    Loss,
    Phase,
    PhaseState,
    Profile,
    Server,
    ServerSettings,
    ServerSpec,
    ServerState,
)
from ..store import Kept, Store
from ..target import Losing, Target
from ..transport import jupyter_api, ports
from . import links, profiles

__all__ = ["Kernel", "Phase", "Server"]

QUICK_SECONDS = 2.0
"""How long a lab that was known may take to answer before its machine is asked for it."""
LINK_SECONDS = 10.0
"""How long a lab that is up may take to answer through its link."""
POLL_SECONDS = 0.2
"""Between looks at a log that is followed."""


class Place:
    """One profile's server, wherever it is."""

    def __init__(self, store: Store, profile: Profile, cwd: Path) -> None:
        self.store = store
        self.profile = profile
        self.cwd = cwd
        self.target: Target = target.load(profile.kind).create(profile)

    @property
    def name(self) -> str:
        """The profile's."""
        return self.profile.name

    def find(self) -> Server | None:
        """The server as the place knows it now; what was known of one that is gone is forgotten."""
        known = self.store.server(self.name)
        server = self.target.find(self.name, known)
        if server is None and known is not None:
            self.store.forget_server(self.name)
        elif server is not None and server != known:
            self.keep(server)
        return server

    def address(self, server: Server) -> Address:
        """Where it answers on this machine; for one at another place that is the near end of its link."""
        found = self.target.address(server)
        if isinstance(found, Dial):
            return links.lead(self, found)
        if self.target.remote:
            self.store.keep_up(self.name, links.document(self.profile), found)
        return found

    def kept(self) -> Kept | None:
        """Its link, if one is to be up."""
        return self.store.kept(self.name).get(self.name)

    def running(self) -> Server:
        """The server; NotFoundError where there is none."""
        server = self.find()
        if server is None:
            raise NotFoundError(f"`{self.name}` has no server", f"start it: jupyterctl start {self.name}")
        return server

    def keep(self, server: Server) -> None:
        """Remember a server, and that its port is the profile's."""
        self.store.keep_server(server)
        if server.port is not None and not server.adopted and not self.target.remote:
            self.store.keep_link_port(self.name, server.port)

    def loss(self) -> Loss | None:
        """What a stop would take along beside kernels; None where that is nothing, or nobody can tell."""
        if not isinstance(self.target, Losing):
            return None
        try:
            return self.target.loses(self.name)
        except JupyterctlError:
            return None

    def lab_port(self) -> int:
        """What the lab is to listen on; one at another place chooses itself (0) unless the profile says."""
        return server_settings(self.profile).port if self.target.remote else self.port()

    def port(self) -> int:
        """The one on this machine that the profile names, else the one that was chosen for it once and for all."""
        settings = server_settings(self.profile)
        wanted = settings.link_port or (0 if self.target.remote else settings.port)
        if wanted:
            self.store.keep_link_port(self.name, wanted)
            return wanted
        chosen = self.store.link_port(self.name, ports.candidates(f"{os.getuid()} {paths.state()} {self.name}"))
        if chosen is None:
            raise TargetError("there is no free port on this machine", "name one in the profile: link_port")
        return chosen


def place(store: Store, name: str, cwd: Path) -> Place:
    """The place of a target; of a profile that is gone, what its running server tells.

    A lab that goes by this very name is meant before another profile of the kind: the lab of `local` stays `local`
    when the first profile of that kind is made.
    """
    try:
        profile = profiles.resolve(name, cwd)
    except NotFoundError:
        alone = _by_itself(store, name)
        if alone is None:
            raise
        return Place(store, alone, cwd)
    return Place(store, (profile.name != name and _by_itself(store, name)) or profile, cwd)


def _by_itself(store: Store, name: str) -> Profile | None:
    """The profile of a server that has this name and no file, None where there is none."""
    known = store.server(name)
    default = target.load(known.kind).default() if known else None
    return Profile(name=name, kind=known.kind, settings=default) if known and default is not None else None


def server_settings(profile: Profile) -> ServerSettings:
    """The `[server]` table, the defaults for a kind that has none."""
    settings = getattr(profile.settings, "server", None)
    return settings if isinstance(settings, ServerSettings) else ServerSettings()


def start(where: Place) -> Iterator[Phase]:
    """Start the server unless it is there, or adopt one that was started by hand; over when it answers."""
    if where.target.remote:
        yield from _reach(where)
        if (known := _answers_as_before(where)) is not None:
            yield Phase(name="link", state=PhaseState.DONE, detail=known.url)
            return
    server = where.find()
    if server is None:
        server = where.target.adoptable(where.name, where.cwd)
        if server is not None:
            where.keep(server)
    there = server is not None and server.state is ServerState.RUNNING and where.target.remote
    if server is not None and (server.adopted or there):
        how = "started by hand" if server.adopted else "runs already"
        which = f"pid {server.pid}" if server.pid else server.place
        yield Phase(name="process", state=PhaseState.DONE, detail=f"{how}, {which}")
        yield from _link(where, server)
        return
    yield from _start(where, ServerSpec(name=where.name, port=where.lab_port(), near=where.cwd))


def restart(where: Place) -> Iterator[Phase]:
    """Stop the server and start it again with its port, token and root; a stopped one is only started."""
    server = where.find()
    if server is None:
        yield from start(where)
        return
    address = where.target.address(server)
    spec = ServerSpec(
        name=where.name, port=server.port or where.lab_port(), near=where.cwd, root=server.root, token=address.token
    )
    where.target.stop(server)
    yield from _start(where, spec)


def _reach(where: Place) -> Iterator[Phase]:
    """Open the way to a place, so that what it takes is seen and a person can be asked."""
    at = links.distant(where.target)
    if at is not None:
        yield from at.reach()


def _answers_as_before(where: Place) -> Address | None:
    """The near end of a link through which the lab that was known answers; None where its machine must be asked."""
    kept = where.kept()
    if kept is None or kept.address.via is None:
        return None
    address = links.lead(where, kept.address.via)
    try:
        jupyter_api.status(address, QUICK_SECONDS)
    except JupyterctlError:
        return None
    return address


def _start(where: Place, spec: ServerSpec) -> Iterator[Phase]:
    yield from where.target.start(spec)
    yield from _link(where, where.find())


def _link(where: Place, server: Server | None) -> Iterator[Phase]:
    """Have a link to a server that is up, and see that it answers through it."""
    if server is not None and where.target.remote:
        address = where.address(server)
        yield Phase(name="link", state=PhaseState.DOING, detail=address.url)
        began = time.monotonic()
        jupyter_api.status(address, LINK_SECONDS)
        yield Phase(name="link", state=PhaseState.DONE, seconds=time.monotonic() - began, detail=address.url)


def stop(where: Place, *, force: bool) -> None:
    """End the server, if there is one; BusyError where kernels or files would be lost, unless they may be."""
    server = where.find()
    if server is None:
        links.let_go(where)
        return
    busy = [] if force else busy_kernels(where)
    if busy:
        names = ", ".join(f"`{kernel.path or kernel.name}`" for kernel in busy)
        raise BusyError(f"`{where.name}` is computing: {names}", "wait for it, or add --yes to stop it nonetheless")
    lost = None if force else where.loss()
    if lost is not None:
        raise BusyError(f"`{where.name}` would lose {lost.what}: {lost.why}", f"{lost.hint}; or add --yes to lose them")
    links.let_go(where)
    where.target.stop(server)
    where.store.forget_server(where.name)


def busy_kernels(where: Place) -> list[Kernel]:
    """Kernels that compute; none where the server does not answer, for then nobody can tell."""
    server = where.find()
    if server is None:
        return []
    try:
        return [kernel for kernel in jupyter_api.kernels(where.address(server)) if kernel.state == "busy"]
    except JupyterctlError:
        return []


def url(where: Place) -> str:
    """The lab's address with its token."""
    address = where.address(where.running())
    return f"{address.url}lab?token={quote(address.token)}" if address.token else f"{address.url}lab"


def page(where: Place) -> Path:
    """A page, readable by its owner alone, that leads to the lab."""
    from html import escape

    link = escape(url(where))
    refresh = f'<meta http-equiv="refresh" content="0; url={link}">'
    text = f'<!doctype html><meta charset="utf-8">{refresh}<a href="{link}">lab</a>'
    file = paths.private(paths.state() / "servers" / where.name) / "open.html"
    paths.write(file, text.encode())
    return file


def log(where: Place, lines: int) -> str:
    """The last lines of the log, of the running server or of the last one."""
    data, _ = where.target.log(where.find(), where.name, -256 * max(lines, 1))
    kept = _text(where, data).splitlines(keepends=True)[-lines:] if lines else []
    return "".join(kept)


def follow_log(where: Place) -> Iterator[str]:
    """The log as it grows, from its end on; an empty text where nothing is new for a moment."""
    _, offset = where.target.log(where.find(), where.name, -1)
    while True:
        data, offset = where.target.log(where.store.server(where.name), where.name, offset)
        yield _text(where, data)
        if not data:
            time.sleep(POLL_SECONDS)


def _text(where: Place, data: bytes) -> str:
    """The log's text, with its colours; a token that something has written there is not shown."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\x1b(B", "")
    server = where.store.server(where.name)
    if not text or server is None:
        return text
    try:
        token = where.target.address(server).token
    except JupyterctlError:
        return text
    return text.replace(token, "…") if token else text


def shell_command(where: Place, *, terminal: bool = True) -> list[str]:
    """What to execute for a shell there, the environment active; without a terminal no window can be shown."""
    server = where.find()
    if server and not terminal:
        server = structs.replace(server, handle={key: to for key, to in server.handle.items() if key != "session"})
    return where.target.shell(server, Path(server.root) if server and server.root else where.cwd)


def enter(where: Place) -> int | None:
    """Give our terminal to a shell at a place elsewhere, until it ends; its exit code. None for this machine."""
    at = links.distant(where.target)
    return None if at is None else at.enter(where.find())
