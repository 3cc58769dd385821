"""A pod's log through every loss of the way and of the log itself, and what is read out of one."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterctl.transport import contained
from jupyterctl.transport.kube import lab_log
from jupyterctl.transport.kube.logs import Log, number


class Node:
    """A node's API as far as a log is asked for: it answers with what it still has."""

    namespace = "lab"
    pods = SimpleNamespace(log=SimpleNamespace(get=None))

    def __init__(self) -> None:
        self.data = b""

    def read(self, *_: Any, **__: Any) -> bytes:
        """The answer."""
        return self.data


def line(seq: int) -> bytes:
    """A journal's line."""
    return b'{"seq": %d, "event": "output"}\n' % seq


def lines(*numbers: int) -> bytes:
    """Several."""
    return b"".join(map(line, numbers))


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def log(node: Node) -> Log:
    return Log(node, "pod")  # type: ignore[arg-type]


def read(log: Log, node: Node, data: bytes, *, last: bool = False) -> bytes:
    """What is known once the node has answered this."""
    node.data = data
    log.read(last=last)
    return log.data()


def test_a_line_that_is_not_whole_waits_for_its_rest(log: Log, node: Node) -> None:
    assert read(log, node, line(0) + line(1)[:9]) == line(0)
    assert read(log, node, lines(0, 1)) == lines(0, 1)


def test_a_rotated_log_goes_on_where_it_was(log: Log, node: Node) -> None:
    read(log, node, lines(0, 1, 2))
    assert read(log, node, lines(2, 3, 4)) == lines(0, 1, 2, 3, 4)
    assert not log.cut, "everything was seen before its beginning was thrown away"


def test_what_was_thrown_away_unseen_is_known_to_lack(log: Log, node: Node) -> None:
    read(log, node, lines(7, 8))
    assert log.cut


def test_what_was_thrown_away_while_nobody_looked_comes_out_of_the_pod(log: Log, node: Node) -> None:
    read(log, node, lines(0, 1))
    read(log, node, lines(4, 5))
    assert log.cut
    log.fill(lines(*range(6)) + line(6)[:9])
    assert not log.cut
    assert read(log, node, lines(5, 6, 7)) == lines(*range(8))
    assert not log.cut


def test_a_shorter_answer_takes_nothing_away(log: Log, node: Node) -> None:
    read(log, node, lines(0, 1, 2))
    assert read(log, node, lines(0, 1)) == lines(0, 1, 2)
    assert read(log, node, b"") == lines(0, 1, 2)


def test_printed_files_after_a_rotation_are_taken_in(log: Log, node: Node) -> None:
    read(log, node, lines(0, 1))
    for _ in range(2):
        assert read(log, node, line(1) + b"=out.ipynb 1 1 eA==\n") == lines(0, 1) + b"=out.ipynb 1 1 eA==\n"


def test_a_complete_log_is_not_read_again(log: Log, node: Node) -> None:
    read(log, node, lines(0, 1), last=True)
    assert read(log, node, lines(0, 1, 2)) == lines(0, 1)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12))
def test_whatever_of_a_log_is_there_each_line_comes_once(windows: list[tuple[int, int]]) -> None:
    """A node shows a window of a growing log: both ends only move on, and nothing between two windows is lost."""
    node = Node()
    log = Log(node, "pod")  # type: ignore[arg-type]
    begin = end = 0
    for forward, grown in windows:
        begin, end = min(begin + forward, end), end + grown
        read(log, node, lines(*range(begin, end)))
        assert log.data() == lines(*range(end))


@pytest.mark.parametrize(("text", "found"), [(b'{"seq":7,"event":"x"}', 7), (b"=3", None), (b'{"event": 1}', None)])
def test_the_number_of_a_line(text: bytes, found: int | None) -> None:
    assert number(text) == found


# -- printed -----------------------------------------------------------------------------------------------------------


def parts(name: bytes, data: bytes, size: int) -> list[bytes]:
    """A file as the run's first process prints it."""
    text = base64.b64encode(zlib.compress(data))
    cut = [text[start : start + size] for start in range(0, len(text), size)]
    return [b"=%s %d %d %s\n" % (name, place, len(cut), part) for place, part in enumerate(cut, 1)]


@given(st.binary(max_size=300), st.integers(1, 50), st.integers(0, 5), st.data())
def test_a_printed_file_is_whole_or_not_there(data: bytes, size: int, events: int, draw: st.DataObject) -> None:
    log = b"".join([*(line(seq) for seq in range(events)), *parts(b"out.ipynb", data, size)])
    seen = log[: draw.draw(st.integers(0, len(log)))]
    printed = contained.read(seen)
    assert printed.files in ({}, {"out.ipynb": data})
    assert log.startswith(printed.journal)
    assert contained.read(log).files == {"out.ipynb": data}


def test_a_damaged_file_is_not_there() -> None:
    (only,) = parts(b"out.ipynb", b"notebook", 100)
    assert contained.read(only.replace(b" e", b" f", 1)).files == {}


def test_what_else_a_log_says() -> None:
    printed = contained.read(line(0) + b"motd\n=86400\n=stored\n")
    assert (printed.journal, printed.waits, printed.stored) == (line(0), 86400, True)


def test_a_cell_cannot_forge_the_end_of_the_log() -> None:
    """What a notebook prints stands inside of events."""
    told = b'{"seq": 1, "event": "output", "text": "=stored\\n=5\\n"}\n'
    printed = contained.read(told)
    assert (printed.journal, printed.waits, printed.stored) == (told, None, False)


@pytest.mark.parametrize("logs", [(b"", b"one\ntwo\n"), (b"one\ntwo\n", b"one\ntwo\n"), (b"one\ntwo\n", b"")])
def test_what_a_lab_said_before_it_ended_is_read_whichever_log_it_is_in(logs: tuple[bytes, bytes], home: Path) -> None:
    """Its container may begin anew after it was looked at, or between two questions; no real node does if asked."""
    pod = {
        "status": {"containerStatuses": [{"name": "main", "restartCount": 0, "state": {"terminated": {"exitCode": 1}}}]}
    }
    stamped = [b"".join(b"2026-01-01T00:00:00Z " + said for said in log.splitlines(keepends=True)) for log in logs]

    def read(*_: Any, query_params: list[tuple[str, str]]) -> bytes:
        return stamped[("previous", "true") in query_params]

    pods = SimpleNamespace(get=None, log=SimpleNamespace(get=None))
    cluster: Any = SimpleNamespace(namespace="lab", pods=pods, ask=lambda *_: pod, read=read)
    assert lab_log.tail(cluster, "lab", -4096)[0] == b"one\ntwo\n"
