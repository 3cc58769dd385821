"""Many connections through one link, over either transport: given up in the middle, or staying for long.

`python -m tests.bench.link --parts crowd` does the same with ten times as many, and prints what it takes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.bench import crowd
from tests.bench.forwarders import OURS, Forwarder, forwarder
from tests.bench.lines import Line, compiled, loopback
from tests.conftest import need

ABORTS, AT_ONCE, ABORT_BYTES = 1000, 10, 3_000_000
STAYING = 1000
USUAL_FILES = 256
"""What macOS allows a process that does not ask for more; Linux allows 1024."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    need("gcc", shutil.which("gcc"), "the clients are a small program in C")
    folder = tmp_path_factory.mktemp("crowd")
    with loopback(folder, compiled("peer", folder)) as made:
        yield made


@pytest.fixture(params=OURS)
def made(request: pytest.FixtureRequest, line: Line) -> Iterator[Forwarder]:
    few = ("sh", "-c", f'ulimit -S -n {USUAL_FILES} && exec "$@"', "sh")
    with forwarder(line._replace(here=(*line.here, *few)), request.param) as started:
        assert crowd.command(line, "down", started.port, 100_000)
        yield started


def test_downloads_given_up_end_nothing_and_leave_nothing(line: Line, made: Forwarder) -> None:
    before = crowd.settled(made, None)
    said = crowd.command(line, "abort", made.port, AT_ONCE, ABORTS // AT_ONCE, ABORT_BYTES)
    assert said is not None
    assert said[1] == "0"
    assert crowd.command(line, "down", made.port, ABORT_BYTES)
    after = crowd.settled(made, before)
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)


def test_a_thousand_stay(line: Line, made: Forwarder) -> None:
    with crowd.held(line, made.port, STAYING) as crowded:
        assert crowded.answered == STAYING
        assert crowd.command(line, "down", made.port, ABORT_BYTES)
        assert crowded.again() == STAYING
