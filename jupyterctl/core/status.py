"""What `status` shows: each target with its server, the link to it and its health."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from . import profiles


class Link(Struct, frozen=True, kw_only=True):
    """How the server is reached from here; all None where there is none."""

    state: str | None = None
    port: int | None = None
    url: str | None = None
    """Without its token."""


class Health(Struct, frozen=True, kw_only=True):
    """The server layer by layer; all None where there is none."""

    way: str | None = None
    http: str | None = None
    kernels: int | None = None


class Status(Struct, frozen=True, kw_only=True):
    """One target at this moment."""

    name: str
    kind: str | None
    state: str
    place: str | None = None
    link: Link = Link()
    health: Health = Health()
    since: str | None = None
    error: str | None = None


def statuses(cwd: Path, name: str | None = None) -> list[Status]:
    """Every profile's status, or that of one target; a broken profile's is unknown, with the error."""
    if name is not None:
        profile = profiles.resolve(name, cwd)
        return [Status(name=profile.name, kind=profile.kind, state="stopped")]
    return [_status(entry) for entry in profiles.entries(cwd)]


def _status(entry: profiles.Entry) -> Status:
    if entry.error is not None:
        return Status(name=entry.name, kind=entry.kind, state="unknown", error=entry.error.message)
    return Status(name=entry.name, kind=entry.kind, state="stopped")
