"""One machine a test, and somebody who works with it by the installed command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .box import Box


@pytest.fixture
def boxes(tmp_path_factory: pytest.TempPathFactory, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Makes machines: `boxes(without=(…), sshd="…", profile="…")`; the profile `far` is the last one."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made: list[Box] = []

    def make(*, profile: str = "", **options) -> Box:
        box = Box(tmp_path_factory.mktemp("b"), **options)
        made.append(box)
        monkeypatch.setenv("HOME", str(box.near))
        box.profile(home, profile)
        return box

    yield make
    for box in made:
        box.close()


Boxes = Callable[..., Box]


@pytest.fixture
def box(boxes: Boxes) -> Box:
    """A machine that has everything."""
    return boxes()
