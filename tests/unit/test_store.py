"""The store keeps runs through concurrent writers, damage and other versions of itself."""

from __future__ import annotations

import gc
import multiprocessing
import sqlite3
import stat
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from jupyterctl.errors import JupyterctlError, NotFoundError
from jupyterctl.model import Cells, Run, RunState
from jupyterctl.store import Store
from tests.conftest import Cli

WRITERS, TURNS = 10, 20


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERCTL_HOME", str(tmp_path))


def run(name: str, **fields: object) -> Run:
    """A run of that id."""
    given = {
        "state": RunState.QUEUED,
        "target": "here",
        "notebook": "/nb.ipynb",
        "created": f"2026-01-01T00:00:{name[-2:]}Z",
    }
    return Run(id=name, **{**given, **fields})  # type: ignore[arg-type]


def count(run: Run) -> Run:
    """One more cell is done."""
    return structs.replace(run, cells=Cells(done=run.cells.done + 1, total=0))


def write(number: int) -> None:
    """What each of several processes does at once: open the store, add runs of its own, change the common one."""
    store = Store()
    for turn in range(TURNS):
        store.add(run(f"w{number}-{turn:02}"))
        store.change("all-00", count)


def test_ten_processes_at_once_lose_nothing() -> None:
    Store().add(run("all-00"))
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert Store().run("all-00").cells.done == WRITERS * TURNS
    assert len(Store().ids("w")) == WRITERS * TURNS


def test_ten_processes_open_a_new_store_at_once() -> None:
    """None of them creates the common run before: who comes first makes the tables."""
    context = multiprocessing.get_context("spawn")
    openers = [context.Process(target=Store) for _ in range(WRITERS)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(120)
    assert [opener.exitcode for opener in openers] == [0] * WRITERS


def look() -> None:
    """What a command does in a process of its own: open the store, read it, end."""
    assert Store().run("aaaa-00")


@pytest.mark.parametrize("others", [1, 3])
def test_what_a_long_lived_process_keeps_is_seen_by_those_that_come_and_go(others: int) -> None:
    first = Store()
    first.add(run("aaaa-00"))
    stores = [first, *(Store() for _ in range(others))]
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        short = context.Process(target=look)
        short.start()
        short.join(60)
        assert short.exitcode == 0
        assert Path(f"{first.file}-wal").exists(), "the process that ended took itself for the last one"
    for number, store in enumerate(stores):
        store.add(run(f"bbbb-{number:02}"))
    with context.Pool(1) as later:
        assert len(later.apply(ids)) == len(stores) + 1


def ids() -> list[str]:
    """The ids that another process finds."""
    return [run.id for run in Store().runs()]


def test_a_change_that_fails_changes_nothing() -> None:
    store = Store()
    store.add(run("a-00"))

    def fail(kept: Run) -> Run:
        raise ValueError(kept.id)

    with pytest.raises(ValueError, match="a-00"):
        store.change("a-00", fail)
    assert store.run("a-00") == run("a-00")
    assert store.change("a-00", count).cells.done == 1


def test_runs_come_newest_first_and_by_what_they_are() -> None:
    store = Store()
    store.add(run("a-01", sweep="s-sweep"))
    store.add(run("b-02", state=RunState.SUCCEEDED, sweep="s-sweep"))
    store.add(run("b-03", state=RunState.UNKNOWN))
    assert [one.id for one in store.runs()] == ["b-03", "b-02", "a-01"]
    assert [one.id for one in store.runs(live=True)] == ["b-03", "a-01"]
    assert [one.id for one in store.runs(sweep="s-sweep", limit=1)] == ["b-02"]
    assert store.ids("b") == ["b-03", "b-02"]
    assert store.ids("%") == []
    store.remove("b-03")
    with pytest.raises(NotFoundError, match="b-03"):
        store.run("b-03")


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    Store().add(run("a-00"))
    for file in (tmp_path / "state").glob("jupyterctl.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize("command", [["runs"], ["profile", "new", "lab", "--kind", "local", "--no-input"]])
def test_a_folder_that_cannot_be_made_is_no_fault_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, command: list[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("JUPYTERCTL_HOME", str(tmp_path / "file/home"))
    done = cli(*command)
    assert done.returncode == 3
    said, hint = done.stderr.splitlines()
    assert said.startswith("error: ")
    assert "Not a directory" in said
    assert hint == "hint: check the folder's permissions and its disk"


def test_one_that_nobody_has_any_more_keeps_no_file_open() -> None:
    gc.disable()  # it does so by itself, not some time later
    try:
        Store()
        before = psutil.Process().num_fds()
        for _ in range(5):
            Store()
        assert psutil.Process().num_fds() == before
    finally:
        gc.enable()


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    Store().close()
    file = tmp_path / "state/jupyterctl.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JupyterctlError, match="newer jupyterctl"):
        Store()
    assert file.exists()


def test_damage_that_shows_only_when_it_is_read(tmp_path: Path) -> None:
    store = Store()
    for number in range(100):
        store.add(run(f"a-{number:02}", target="x" * 2000))
    store.close()
    file = tmp_path / "state/jupyterctl.db"
    data = bytearray(file.read_bytes())
    data[8192:-8192] = b"\xff" * (len(data) - 16384)
    file.write_bytes(data)
    told: list[str] = []
    assert Store(notify=told.append).runs() == []
    assert "set aside" in told[0]
    assert list(file.parent.glob("jupyterctl.db.unreadable-*"))
