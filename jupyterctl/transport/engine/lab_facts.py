"""What an engine says of a lab beside its state: its image, its container, what it uses, what happened to it."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...errors import TargetError
from ...model import Facts
from ..contained import use
from .client import LOOK_SECONDS, client, words
from .log import NANO, moment
from .where import Engine

if TYPE_CHECKING:
    from docker.models.containers import Container

EVENTS = 8
"""How many are shown."""
SAMPLE_SECONDS = 0.3
"""Between the two looks that tell what it computes; the engine itself takes a second or two."""
SINCE_SECONDS = 24 * 3600
_TOLD = ("create", "start", "die", "oom", "kill", "stop", "restart", "pause", "unpause")
Object = dict[str, Any]


def facts(engine: Engine, container: Container) -> Facts:
    """All of it; what the engine does not tell is left out."""
    attrs = container.attrs
    values = {
        "image": attrs["Config"]["Image"],
        "container": container.name or "",
        "restarts": restarts(attrs),
    }
    told: list[Object] = []
    with suppress(TargetError), words(engine):
        values |= _used(container, attrs["HostConfig"])
    with suppress(TargetError), words(engine):
        told = _events(engine, container)
    return Facts(values={key: value for key, value in values.items() if value}, events=tuple(map(event, told)))


def restarts(attrs: Object) -> str:
    """How often the engine has brought it back, and why the last time, which it forgets as the container runs again.

    >>> restarts({"RestartCount": 1, "State": {"ExitCode": 0}})
    '1'
    """
    count, state = attrs.get("RestartCount") or 0, attrs["State"]
    if not count or state.get("Running"):
        return str(count)
    reason = "OOMKilled" if state.get("OOMKilled") else "Error"
    return use.restarts(count, reason, state["ExitCode"]) if state["ExitCode"] else str(count)


def _used(container: Container, asked: Object) -> dict[str, str]:
    """Processors, between two looks, and memory."""
    first = container.stats(stream=False, one_shot=True)
    time.sleep(SAMPLE_SECONDS)
    return used(first, container.stats(stream=False, one_shot=True), asked)


def used(before: Object, after: Object, asked: Object) -> dict[str, str]:
    """What is used of what may be, of two of the engine's looks; a container that has just ended has used nothing."""
    seconds = (moment(after["read"]) - moment(before["read"])) / NANO
    took = after["cpu_stats"]["cpu_usage"]["total_usage"] - before["cpu_stats"]["cpu_usage"]["total_usage"]
    memory = after.get("memory_stats") or {}
    if seconds <= 0 or took < 0 or "usage" not in memory:
        return {}
    details = memory.get("stats") or {}
    cached = details.get("total_inactive_file", details.get("inactive_file", 0))
    return {
        "cpu": use.cpu(took / NANO / seconds, (asked.get("NanoCpus") or 0) / NANO),
        "memory": use.memory(memory["usage"] - cached, asked.get("Memory")),
    }


def _events(engine: Engine, container: Container) -> list[Object]:
    """The last ones that the engine remembers of it."""
    now = int(time.time()) + 1
    wanted = {"container": container.id, "event": list(_TOLD)}
    given = client(engine, LOOK_SECONDS).events(since=now - SINCE_SECONDS, until=now, filters=wanted, decode=True)
    return list(given)[-EVENTS:]


def event(told: Object) -> str:
    """When and what: `12:30:05 Warning die: exit code 137`.

    >>> event({"Action": "die", "timeNano": 1767323045 * 10**9, "Actor": {"Attributes": {"exitCode": "137"}}})
    '03:04:05 Warning die: exit code 137'
    >>> event({"Action": "start", "time": 1767323045})
    '03:04:05 start'
    """
    when = datetime.fromtimestamp(told.get("timeNano", told.get("time", 0) * NANO) // NANO, UTC)
    with_it = (told.get("Actor") or {}).get("Attributes") or {}
    code, number = with_it.get("exitCode", ""), with_it.get("signal", "")
    detail = f": exit code {code}" if code else f": signal {number}" if number else ""
    mood = "Warning " if told["Action"] == "oom" or code not in {"", "0"} else ""
    return f"{when:%H:%M:%S} {mood}{told['Action']}{detail}"
