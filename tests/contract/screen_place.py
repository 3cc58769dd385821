"""This machine without tmux: its servers live in GNU screen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import need

from .places import LocalServers, Who, frozen


class ScreenServers(LocalServers):
    """Servers in screen's sessions, which have a folder of their own."""

    def __init__(self) -> None:
        super().__init__(tmux=False)

    def open(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        program = shutil.which("screen")
        need("screen", program, "apt install screen")
        super().open(monkeypatch, folder)
        (Path(os.environ["PATH"]) / "screen").symlink_to(program or "")
        sockets = folder / "screens"
        sockets.mkdir(mode=0o700)
        monkeypatch.setenv("SCREENDIR", str(sockets))

    @contextmanager
    def freeze(self, who: Who) -> Iterator[None]:
        """screen lets a stopped process go on, so it is stopped with it."""
        with frozen(int(who), tmux=True):
            yield
