"""Links on this side: what is to be held up, and that somebody holds it.

Which links are wanted stands in the store, so that whoever looks next finds that a keeper was killed and starts one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import msgspec

from ..errors import JupyterctlError, NotFoundError
from ..model import Address, Dial, Link, LinkState, Phase, Profile

if TYPE_CHECKING:
    from ..store import Kept
    from ..target import Distant, Target
    from .servers import Place


def distant(at: Target) -> Distant | None:
    """The target as one beyond a way, None where it is on this machine."""
    return cast("Distant", at) if at.remote else None


def lead(where: Place, dial: Dial) -> Address:
    """Have a link lead to a lab, from now on and for ever; the lab's address on this machine."""
    at = cast("Distant", where.target)
    port = where.port()
    address = Address(url=f"http://127.0.0.1:{port}{dial.base_url}", token=dial.token, via=dial)
    where.store.keep_up(where.name, document(where.profile), address)
    at.link(port, dial)
    return address


def reconnect(where: Place) -> Iterator[Phase]:
    """Open the way anew and prove the link, step by step; NotFoundError where there is no way to open."""
    at = distant(where.target)
    if at is None:
        raise NotFoundError(f"`{where.name}` is on this machine", f"look at it: jupyterctl status {where.name}")
    if where.kept() is not None and not at.direct:
        at.link(where.port(), None)
    yield from at.reconnect()


def let_go(where: Place) -> None:
    """The link, if there is one, is no longer wanted; its port stays the profile's."""
    at = distant(where.target)
    if at is not None:
        where.store.let_go(where.name)
        at.let_go()


def state(kept: Kept | None, at: Distant) -> tuple[Link | None, Address | None]:
    """A link that is wanted, and the lab's address through it; None where none is. One without a keeper gets one."""
    if kept is None:
        return None, None
    name = at.profile.name
    if at.direct:
        return Link(name=name, state=LinkState.UP, way="directly"), kept.address
    with suppress(JupyterctlError):
        return at.state(), kept.address
    from ..transport import keepers

    keepers.start(name)
    known = kept.link or Link(name=name, state=LinkState.CONNECTING)
    return msgspec.structs.replace(known, state=LinkState.CONNECTING, error="its keeper is being started"), kept.address


def document(profile: Profile) -> bytes:
    """A profile as keepers are told it."""
    settings = msgspec.to_builtins(profile.settings)
    return msgspec.json.encode({"name": profile.name, "kind": profile.kind, "settings": settings})
