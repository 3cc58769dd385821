"""All runs as a list shows them: complete after a few looks, current after each, and cheap where nothing is new."""

from __future__ import annotations

import pytest
from msgspec import structs

from jupyterctl.core import ledger
from jupyterctl.core.ledger import Ledger
from jupyterctl.model import RunState
from jupyterctl.store import Store
from tests.tui import canned


@pytest.fixture
def stores(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTERCTL_HOME", str(tmp_path))
    return Store(), Store()


def keep(store, *names, state=RunState.SUCCEEDED):
    for number, name in enumerate(names):
        store.add(canned.run(name, state, created=f"2026-01-01T00:00:{number:02}.000Z"))


def test_pages_come_newest_first_until_all_are_there(stores, monkeypatch):
    monkeypatch.setattr(ledger, "FIRST", 2)
    monkeypatch.setattr(ledger, "PAGE", 3)
    keep(stores[0], *"abcdefg")
    book = Ledger(stores[1])
    book._page = 2
    seen = []
    while book.poll():
        seen.append("".join(book.runs))
    assert seen == ["gf", "gfedc", "gfedcba"]


def test_nothing_is_read_where_nothing_was_written(stores):
    keep(stores[0], "a")
    book = Ledger(stores[1])
    assert book.poll()
    assert not book.poll()


def test_changes_additions_and_removals_are_seen(stores):
    writer, reader = stores
    keep(writer, "live", state=RunState.RUNNING)
    book = Ledger(reader)
    book.poll()
    writer.change("live", lambda run: structs.replace(run, state=RunState.FAILED))
    assert book.poll()
    assert book.runs["live"].state is RunState.FAILED
    assert "failed" in book.texts["live"]
    writer.add(canned.run("next", RunState.QUEUED, created="2026-02-01T00:00:00.000Z"))
    book.poll()
    assert list(book.runs) == ["next", "live"]
    writer.remove("live")
    book.poll()
    assert list(book.runs) == ["next"]
