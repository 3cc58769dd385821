"""What `status` shows: each target with its server, the link to it and its health, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from .. import model, paths, target, targets
from ..errors import JupyterctlError, TargetError, UnreachableError
from ..model import Address, Facts, LinkState, Profile, Server, ServerState
from ..target import Telling
from . import links, profiles

if TYPE_CHECKING:
    from ..store import Kept, Store
    from ..target import Distant, Target
    from .servers import Place

OK = "ok"
"""What `http` says where all is well."""
QUICK_SECONDS = 0.3
"""How long one server may take to answer where many are asked."""
PATIENT_SECONDS = 3.0
"""And where it is asked alone."""


class Link(Struct, frozen=True, kw_only=True):
    """How the server is reached from here; all None where there is none."""

    state: str | None = None
    """`up` or `down`; of one that a keeper holds also `connecting`, `gone` (the lab is) or `refused` (see to it)."""
    port: int | None = None
    url: str | None = None
    """Without its token."""
    next_try: str | None = None
    """When the way is tried again, where it is down."""
    round_trip: float | None = None
    """Seconds to the place and back, as last measured."""
    way: str | None = None
    """What carries it."""


class Kernels(Struct, frozen=True, kw_only=True):
    """What a server's kernels do."""

    busy: int = 0
    idle: int = 0
    last_activity: str | None = None


class Health(Struct, frozen=True, kw_only=True):
    """The server layer by layer; all None where there is none."""

    way: str | None = None
    """The process and the way to it: `up`, or `down`."""
    http: str | None = None
    """`ok`, `no answer`, or what it answers instead."""
    kernels: Kernels | None = None


class Status(Struct, frozen=True, kw_only=True):
    """One target at this moment."""

    name: str
    kind: str | None
    state: str
    """As `ServerState`."""
    place: str | None = None
    link: Link = Link()
    health: Health = Health()
    since: str | None = None
    error: str | None = None
    fix: str | None = None
    """What to do about the error."""
    version: str | None = None
    """JupyterLab's."""
    root: str | None = None
    pid: int | None = None
    adopted: bool = False
    facts: dict[str, str] = {}
    """What else its place says of it, asked alone: image, pod, node, restarts …"""
    events: tuple[str, ...] = ()
    """What happened to it lately, as its place tells it."""


class Overview(Struct, frozen=True, kw_only=True):
    """Every target, and the servers that nobody started from here."""

    servers: list[Status]
    others: list[Server]


def status(cwd: Path, name: str, store: Callable[[], Store]) -> Status:
    """One target with its full health; one that cannot be reached is `unreachable`, never `stopped`."""
    from . import servers

    where = servers.place(store(), name, cwd)
    try:
        server = where.find()
        coming = server is not None and server.state is ServerState.STARTING and where.kept() is not None
        if server is not None and where.target.remote and not coming:  # its link says itself how far it is
            where.address(server)
    except TargetError as error:
        seen = _unreached(where)
        if isinstance(error, UnreachableError) or seen.error == error.message:
            return structs.replace(seen, error=error.message, fix=error.hint or None)
        raise
    if server is None:
        return Status(name=where.name, kind=where.profile.kind, state=ServerState.STOPPED.value)
    at = links.distant(where.target)
    if at is None:
        return _told(of(server, where.target, PATIENT_SECONDS), where)
    return _told(beyond(where.kept(), at, server, PATIENT_SECONDS), where)


def _told(seen: Status, where: Place) -> Status:
    """With what its place says beside; one that has just been found and is coming up is no other thing than that."""
    server = where.store.server(where.name)
    coming = server is not None and server.state is ServerState.STARTING and seen.health.http != OK
    if coming and seen.state in {ServerState.STOPPED, ServerState.RUNNING}:
        seen = structs.replace(seen, state=ServerState.STARTING.value)
    told = facts(where)
    return structs.replace(seen, facts=told.values, events=told.events)


def facts(where: Place) -> Facts:
    """What its place says of a server; nothing where it says nothing, or does not answer."""
    if isinstance(where.target, Telling):
        with suppress(TargetError):
            return where.target.facts(where.name)
    return Facts()


def glance(cwd: Path, name: str, store: Callable[[], Store]) -> Status:
    """The same of one that has just been seen to answer: one beyond a way is asked through its link alone."""
    from . import servers

    where = servers.place(store(), name, cwd)
    at, kept, known = links.distant(where.target), where.kept(), where.store.server(where.name)
    if at is not None and kept is not None and known is not None:
        seen = beyond(kept, at, known, PATIENT_SECONDS)
        if seen.health.http == OK:
            return seen
    return status(cwd, name, store)


def _unreached(where: Place) -> Status:
    """A target whose place does not answer: what was last known of it, and its link with what keeps it down."""
    at = links.distant(where.target)
    seen = Status(name=where.name, kind=where.profile.kind, state="")
    if at is not None:
        seen = beyond(where.kept(), at, where.store.server(where.name), QUICK_SECONDS)
    unreached = ServerState.UNREACHABLE.value
    return structs.replace(seen, state=unreached, health=Health())


def overview(cwd: Path, store: Callable[[], Store]) -> Overview:
    """Every profile's status, and that of each server without one. What is known is read, each server asked briefly."""
    entries = profiles.entries(cwd)
    known = {server.name: server for server in store().servers()} if paths.store().exists() else {}
    targets_ = _targets(entries, known)
    sites = list({at.site: at for at in targets_ if not at.remote}.values())
    answers = dict(zip((site.site for site in sites), _asked(sites), strict=True))
    found = [(server, site) for site in sites for server in _servers(answers[site.site])]
    shown = {server.name: (server, site) for server, site in found if server.name}
    shown |= {name: again for name, again in _adopted(known, sites) if name not in shown}
    health = _silent(targets_, answers) | _all(shown) | _beyond(targets_, known, store)
    taken = {server.pid for server, _ in shown.values()}
    rows = [_status(entry, health.pop(entry.name, None)) for entry in entries]
    return Overview(
        servers=[*rows, *(health[name] for name in sorted(health))],
        others=[server for server, _ in found if not server.name and server.pid not in taken],
    )


Answer = list[Server] | JupyterctlError
"""The servers of a place, or why they cannot be told."""


def _asked(sites: list[Target]) -> list[Answer]:
    """What each place says, several at once."""

    def ask(site: Target) -> Answer:
        try:
            return site.servers()
        except JupyterctlError as error:
            return error

    if len(sites) < 2:  # noqa: PLR2004 - threads are for several
        return [ask(site) for site in sites]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(ask, sites))


def _servers(answer: Answer) -> list[Server]:
    return answer if isinstance(answer, list) else []


def _silent(made: list[Target], answers: dict[str, Answer]) -> dict[str, Status]:
    """The targets whose place has not answered: nobody can tell how their servers are."""
    shown = {}
    for at in made:
        answer = None if at.remote else answers[at.site]
        if isinstance(answer, JupyterctlError):
            state = ServerState.UNREACHABLE if isinstance(answer, UnreachableError) else ServerState.UNKNOWN
            shown[at.profile.name] = Status(
                name=at.profile.name,
                kind=at.profile.kind,
                state=state.value,
                error=answer.message,
                fix=answer.hint or None,
            )
    return shown


def of(server: Server, at: Target, seconds: float) -> Status:
    """A server that was found, asked how it is."""
    health = _health(server, at, seconds)
    return Status(
        name=server.name,
        kind=server.kind,
        state=server.state.value,
        place=server.place,
        link=Link(state="up" if health.http == OK else "down", port=server.port, url=server.url),
        health=health,
        since=server.since,
        version=server.version or None,
        root=server.root or None,
        pid=server.pid,
        adopted=server.adopted,
    )


def beyond(kept: Kept | None, at: Distant, server: Server | None, seconds: float) -> Status:
    """A target beyond a way, as its link shows it: what its keeper says, and what the lab answers through the link."""
    link, address = links.state(kept, at)
    known = server or Server(name=at.profile.name, kind=at.profile.kind, state=ServerState.UNKNOWN, place=at.site)
    shown = _link(link, address) if link and address else Link()
    health = Health()
    if link is not None and address is not None and link.state is LinkState.UP:
        health = answering(address, seconds)
    state = _state(link, health, known if server else None)
    return Status(
        name=at.profile.name,
        kind=at.profile.kind,
        state=state.value,
        place=known.place,
        link=shown,
        health=health,
        since=known.since,
        error=link.error if link and link.error else None,
        fix=link.hint if link and link.hint else None,
        version=known.version or None,
        root=known.root or None,
        pid=known.pid,
        adopted=known.adopted,
    )


def _link(link: model.Link, address: Address) -> Link:
    return Link(
        state=link.state.value,
        port=link.port,
        url=address.url,
        next_try=link.next_try,
        round_trip=link.round_trip,
        way=link.way or None,
    )


def _state(link: model.Link | None, health: Health, known: Server | None) -> ServerState:
    if link is None:
        return ServerState.UNKNOWN
    if link.state is LinkState.GONE:
        return ServerState.STARTING if link.coming else ServerState.STOPPED
    if link.state is LinkState.UP:
        return ServerState.RUNNING if health.http == OK or known is not None else ServerState.UNKNOWN
    return ServerState.UNREACHABLE


def _health(server: Server, at: Target, seconds: float) -> Health:
    """The layers, the lowest first; one that does not hold hides those above it."""
    if server.state is not ServerState.RUNNING:
        return Health(way="up")
    try:
        address = at.address(server)
    except JupyterctlError as error:
        return Health(way="up", http=error.message)
    assert isinstance(address, Address)  # noqa: S101 - it is on this machine
    return answering(address, seconds)


def answering(address: Address, seconds: float) -> Health:
    """What a server answers at an address on this machine."""
    from ..transport import jupyter_api

    try:
        answer = jupyter_api.get(address, "api/kernels", seconds)
    except UnreachableError:
        return Health(way="up", http="no answer")
    except JupyterctlError as error:
        return Health(way="up", http=error.message)
    return Health(way="up", http=OK, kernels=_kernels(answer))


def _kernels(answer: list[dict[str, Any]]) -> Kernels:
    busy = sum(kernel.get("execution_state") == "busy" for kernel in answer)
    last = max((kernel.get("last_activity", "") for kernel in answer), default="")
    return Kernels(busy=busy, idle=len(answer) - busy, last_activity=last or None)


def _beyond(made: list[Target], known: dict[str, Server], store: Callable[[], Store]) -> dict[str, Status]:
    """The targets beyond a way, asked at once; none is gone to that has no link."""
    far = [at for at in map(links.distant, made) if at is not None]
    if not far:
        return {}
    kept = store().kept()

    def seen(at: Distant) -> Status:
        name = at.profile.name
        return beyond(kept.get(name), at, known.get(name), QUICK_SECONDS)

    from concurrent.futures import ThreadPoolExecutor

    linked = [at for at in far if at.profile.name in kept]
    with ThreadPoolExecutor(max_workers=16) as pool:
        asked = {status.name: status for status in pool.map(seen, linked)}
    return {at.profile.name: asked.get(at.profile.name) or seen(at) for at in far}


def _targets(entries: list[profiles.Entry], known: dict[str, Server]) -> list[Target]:
    """The targets of all profiles, of known servers without one, and the default one."""
    wanted = [entry.profile for entry in entries if entry.profile is not None]
    kinds = {server.kind for server in known.values()} | {targets.DEFAULT}
    for kind in kinds - {profile.kind for profile in wanted}:
        default = target.load(kind).default()
        if default is not None:
            wanted.append(Profile(name=kind, kind=kind, settings=default))
    return [target.load(profile.kind).create(profile) for profile in wanted]


def _adopted(known: dict[str, Server], sites: list[Target]) -> Iterator[tuple[str, tuple[Server, Target]]]:
    """Servers that were started by hand and taken over; their place does not know their name."""
    for name, server in known.items():
        for site in sites:
            again = site.find(name, server) if server.adopted and site.profile.kind == server.kind else None
            if again is not None:
                yield name, (again, site)


def _all(found: dict[str, tuple[Server, Target]]) -> dict[str, Status]:
    """The health of several servers, asked at once."""
    if len(found) < 2:  # noqa: PLR2004 - threads are for several
        return {name: of(server, at, QUICK_SECONDS) for name, (server, at) in found.items()}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=16) as pool:
        made = pool.map(lambda pair: of(pair[0], pair[1], QUICK_SECONDS), found.values())
        return dict(zip(found, made, strict=True))


def _status(entry: profiles.Entry, found: Status | None) -> Status:
    error = entry.error.message if entry.error is not None else None
    fix = f"jupyterctl profile edit {entry.name}" if error else None
    if found is not None:
        return structs.replace(found, error=error, fix=fix) if error else found
    state = ServerState.UNKNOWN if error else ServerState.STOPPED
    return Status(name=entry.name, kind=entry.kind, state=state.value, error=error, fix=fix)
