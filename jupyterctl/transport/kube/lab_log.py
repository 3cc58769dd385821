"""What a lab's pod has written, from a moment on; what the last one wrote is kept here once it is gone.

The API knows no offsets, but stamps every line with the nanosecond it came at: the offsets of a lab's log are moments.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ... import paths
from ...errors import TargetError
from ..engine.log import SHORT_LINE, split
from . import lab_manifest, pods
from .api import Cluster, MissingError

LINES = 100
"""How many lines are asked for at first where nobody knows how many are new."""
MORE = 10
KEPT = 5000
"""Lines that are kept of a pod that goes."""


def tail(cluster: Cluster, name: str, offset: int) -> tuple[bytes, int]:
    """The log from an offset on, negative: about so many bytes from the end; and the offset to go on from."""
    if offset < 0:
        lines = _last(cluster, name, -offset // SHORT_LINE + 1)
        if lines is None:
            lines = _kept(name)
    else:
        lines = _since(cluster, name, offset)
    stamped = [split(line) for line in lines]
    new = [(moment, text) for moment, text in stamped if moment >= offset]
    return b"".join(text for _, text in new), max([offset, *(moment + 1 for moment, _ in new)])


def keep(cluster: Cluster, name: str) -> None:
    """Keep the log of a pod that is about to go."""
    lines = _last(cluster, name, KEPT)
    if lines:
        paths.write(paths.private(_file(name).parent) / _file(name).name, b"".join(lines))


def _file(name: str) -> Path:
    return paths.state() / "servers" / name / "pod.log"


def _kept(name: str) -> list[bytes]:
    try:
        return _file(name).read_bytes().splitlines(keepends=True)
    except OSError:
        return []


def _since(cluster: Cluster, name: str, moment: int) -> list[bytes]:
    """Lines that reach back to a moment at least, as far as the node has them."""
    count = LINES
    while True:
        lines = _last(cluster, name, count)
        if lines is None:
            return _kept(name)
        if len(lines) < count or split(lines[0])[0] < moment:
            return lines
        count *= MORE


def _last(cluster: Cluster, name: str, count: int) -> list[bytes] | None:
    """The last lines of the pod, those of its container before this one among them; None where there is no pod."""
    pod_name = lab_manifest.pod_of(name)
    try:
        pod = cluster.ask(cluster.pods.get, pod_name, cluster.namespace)
    except MissingError:
        return None
    main = pods.main(pod)
    lines = _read(cluster, pod_name, count)
    # one that has ended may begin anew between two questions: its log is the previous one then, or both
    if len(lines) < count and (main.get("restartCount") or main.get("state", {}).get("terminated")):
        known = set(lines)
        before = _read(cluster, pod_name, count - len(lines), previous=True)
        lines = [*(line for line in before if line not in known), *lines]
    return lines


def _read(cluster: Cluster, pod: str, count: int, *, previous: bool = False) -> list[bytes]:
    """Lines with their stamps; none where its container has not begun."""
    with suppress(TargetError):
        query = [("container", "main"), ("timestamps", "true"), ("tailLines", str(count))]
        query += [("previous", "true")] if previous else []
        got = cluster.read(cluster.pods.log.get, pod, cluster.namespace, query_params=query)
        return [line for line in got.splitlines(keepends=True) if line.endswith(b"\n")]
    return []
