"""What is asked of a keeper that is just ending."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyterctl.model import LinkState, Profile
from jupyterctl.transport.broker import Broker, GoneError
from jupyterctl.transport.linked import Linked


def test_a_link_is_asked_for_again_where_the_keeper_was_just_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has nothing to hold, and ends between the connection and the request: no real one does when asked to."""
    asked: list[dict[str, Any]] = []

    def request(self: Broker, do: str, **fields: Any) -> Iterator[tuple[str, Any]]:
        asked.append({"do": do, **fields})
        if len(asked) == 1:
            raise GoneError("the keeper of `there` ended", "try again")
        yield "result", {"name": "there", "state": "up", "port": 20001}

    monkeypatch.setattr(Broker, "request", request)
    link = Linked(Profile(name="there", kind="kubernetes", settings=None)).link(20001, None)
    assert (link.state, link.port) == (LinkState.UP, 20001)
    assert asked == [{"do": "link", "port": 20001, "dial": None}] * 2
