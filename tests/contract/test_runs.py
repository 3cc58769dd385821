"""The run half of what every kind promises, whatever the place is."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import nbformat
import psutil
import pytest

from jupyterctl.core import records, results
from jupyterctl.core import runs as core_runs
from jupyterctl.core.session import Session
from jupyterctl.errors import TargetError
from jupyterctl.model import CheckState, RunState
from tests.conftest import COMMAND, PATIENCE, end, journal, kinds, notebook, wait_for

from .conftest import Runs
from .places import Place

FOREVER = "import time\nfor second in range(600):\n    print('second', second, flush=True)\n    time.sleep(0.2)"
STUBBORN = """
import time
while True:
    try:
        print('still here', flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""


def test_the_doctor_finds_the_place_well(session: Session, place: Place) -> None:
    checks = list(session.doctor("there"))
    assert checks
    assert not [finding for finding in checks if finding.state is CheckState.FAIL]


def test_the_journal_is_complete(runs: Runs) -> None:
    run, events = runs.finish(runs.start("x = 1\nprint('one')", "x + 1"))
    assert run.state is RunState.SUCCEEDED
    assert run.exit_code == 0
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert kinds(events) == [
        "queued", "submitted", "started",
        "cell", "output", "cell-done", "cell", "output", "cell-done", "ended",
    ]  # fmt: skip
    assert run.cells.done == run.cells.total == 2
    assert [event["text"] for event in events if event["event"] == "output"] == ["one\n", "2"]
    assert all(event["time"].endswith("Z") for event in events)


def test_the_journal_is_read_from_any_offset(runs: Runs) -> None:
    run, _ = runs.finish(runs.start("print('naïve 日本')", "2"))
    target = core_runs.target_of(run)
    whole, gone = target.journal(run.handle, 0)
    assert gone
    for offset in (1, len(whole) // 2, len(whole) - 1, len(whole), len(whole) + 10):
        assert target.journal(run.handle, offset) == (whole[offset:], True)


def test_the_kernel_is_the_environments_own(runs: Runs, place: Place) -> None:
    run, _ = runs.finish(runs.start("import sys, os\nprint(sys.prefix)\nprint(os.environ['PATH'])"))
    text = nbformat.read(records.directory(run.id) / "out.ipynb", as_version=4).cells[0].outputs[0].text
    prefix, path = text.splitlines()
    assert Path(prefix).resolve() == place.prefix.resolve()
    assert Path(path.split(os.pathsep)[0]).resolve() == (place.prefix / "bin").resolve()


def test_parameters_arrive_with_their_types(runs: Runs) -> None:
    given = {"n": "3", "rate": "0.5", "flag": "true", "name": 'it\'s "5" $HOME', "day": "2024", "many": "[1, 2]"}
    declaration = "# parameters\nn = 1\nrate: float = 0\nflag: bool = False\nname = 'x'\nday: str = ''\nmany: list = []"
    run, _ = runs.finish(runs.start(declaration, "print([n, rate, flag, name, day, many])", parameters=given))
    cells = nbformat.read(records.directory(run.id) / "out.ipynb", as_version=4).cells
    assert cells[-1].outputs[0].text.strip() == repr([3, 0.5, True, 'it\'s "5" $HOME', "2024", [1, 2]])


def test_the_result_is_verified(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that was damaged on its way is refused, and fetched again."""
    run = runs.start("print('x' * 1000)")
    target = type(core_runs.target_of(run))
    collect = target.collect

    def damage(self, handle, name, destination: Path) -> str:  # a real disk cannot be made to do this
        digest = collect(self, handle, name, destination)
        data = destination.read_bytes()
        destination.unlink()
        destination.write_bytes(data[:-1])
        return digest

    monkeypatch.setattr(target, "collect", damage)
    damaged, _ = runs.finish(run)
    assert damaged.state is RunState.SUCCEEDED
    assert not damaged.collected
    assert "damaged" in (damaged.undelivered or "")
    assert not (records.directory(run.id) / "out.ipynb").exists()
    monkeypatch.setattr(target, "collect", collect)
    whole = runs.session.run(run.id)
    assert whole.collected
    assert results.sha256(records.directory(run.id) / "out.ipynb") == whole.sha256


def test_a_file_that_is_not_there_is_told_apart(runs: Runs, tmp_path: Path) -> None:
    run, _ = runs.finish(runs.start("1"))
    with pytest.raises(FileNotFoundError):
        core_runs.target_of(run).collect(run.handle, "nothing.txt", tmp_path / "nothing.txt")


def test_cancel_saves_what_there_is(runs: Runs, place: Place) -> None:
    run = runs.start("print('before')", FOREVER, "print('never')")
    wait_for(lambda: "second" in printed(runs, run.id))
    ended = runs.session.cancel(runs.session.run(run.id), grace=20)
    assert ended.state is RunState.CANCELLED
    assert ended.exit_code == 4
    cells = nbformat.read(records.directory(run.id) / "out.ipynb", as_version=4).cells
    assert cells[0].outputs[0].text == "before\n"
    assert cells[1].outputs[-1].ename == "KeyboardInterrupt"
    assert cells[2].outputs == []
    assert cells[2].metadata.papermill.status == "pending"
    wait_for(lambda: not place.processes(run.id))


def test_cancel_ends_what_does_not_listen(runs: Runs, place: Place) -> None:
    escaped = "import subprocess\nsubprocess.Popen(['sleep', '1000'], start_new_session=True);"
    run = runs.start(escaped, STUBBORN)
    wait_for(lambda: "still here" in printed(runs, run.id))
    ended = runs.session.cancel(runs.session.run(run.id), grace=1)
    assert ended.state is RunState.CANCELLED
    wait_for(lambda: not place.processes(run.id))


def test_a_killed_runner_is_lost_and_leaves_nothing_running(runs: Runs, place: Place) -> None:
    run = runs.start("print('saved')", FOREVER)
    started = wait_for(lambda: [e for e in runs.session.events(runs.session.run(run.id)) if e["event"] == "started"])
    wait_for(lambda: "second" in printed(runs, run.id))
    place.kill_runner(run, started[0]["pid"])
    last, events = runs.finish(run)
    assert last.state is RunState.LOST
    assert last.exit_code == 3
    assert kinds(events)[-1] == "ended"
    assert [event["seq"] for event in events] == list(range(len(events)))
    wait_for(lambda: not place.processes(run.id))
    nbformat.validate(nbformat.read(records.directory(run.id) / "out.ipynb", as_version=4))


def test_it_survives_the_watchers_kill(runs: Runs, place: Place, tmp_path: Path) -> None:
    """Nothing on this side need stay alive; attaching later gives every event once."""
    gate = place.gate(tmp_path)
    cell = f"import os, time\nprint('waiting', flush=True)\nwhile not os.path.exists({gate!r}):\n    time.sleep(0.05)"
    path = notebook(tmp_path / "work" / "nb.ipynb", cell, "print('after')")
    command = [COMMAND, "run", path, "-t", "there", "--json"]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert watcher.stdout is not None
    seen = []
    while not (seen and seen[-1].get("text") == "waiting\n"):
        seen += journal(watcher.stdout.readline())
    end(watcher, signal.SIGKILL)
    place.open_gate(seen[0]["run"])
    again = subprocess.run(
        [COMMAND, "runs", "attach", seen[0]["run"], "--json"],
        capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert again.returncode == 0
    events = journal(again.stdout)
    assert events[: len(seen)] == seen
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert kinds(events)[-1] == "ended"


def test_two_watchers_see_the_same(runs: Runs, session: Session, tmp_path: Path) -> None:
    run = runs.start("import time", *["time.sleep(0.05); print('x')"] * 10)
    command = [COMMAND, "runs", "attach", run.id, "--json"]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) for _ in range(2)]
    first, second = (journal(process.communicate(timeout=PATIENCE)[0]) for process in pair)
    assert first == second
    assert session.run(run.id).cells.done == 11


def test_secrets_stand_nowhere(runs: Runs, place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = 'hunter2-ünïcode-"quoted"'
    monkeypatch.setenv("ITS_SOURCE", secret)
    gate = place.gate(home.parent)
    waiting = f"import os, time\nwhile not os.path.exists({gate!r}):\n    time.sleep(0.05)"
    used = "import os\nassert token == os.environ['token']\nprint(len(token), token)\ntoken"
    run = runs.start(
        "# parameters\ntoken: str", used, waiting, "raise ValueError(token)", secrets={"token": "env:ITS_SOURCE"}
    )
    wait_for(lambda: "***" in printed(runs, run.id))
    arguments = [argument for process in psutil.process_iter() for argument in _arguments(process)]
    assert not [argument for argument in arguments if secret in argument]
    place.open_gate(run.id)
    last, events = runs.finish(run)
    assert last.state is RunState.FAILED
    assert last.error is not None
    assert last.error.value == "***"
    assert f"{len(secret)} ***\n" in [event.get("text") for event in events]
    here = {str(file): file.read_bytes() for file in home.rglob("*") if file.is_file()}
    for name, data in {**here, **place.kept(run.id)}.items():
        assert b"hunter2" not in data, name


def test_unreachable_is_unknown_and_nothing_worse(runs: Runs, place: Place, tmp_path: Path) -> None:
    gate = place.gate(tmp_path)
    run = runs.start(f"import os, time\nprint('up')\nwhile not os.path.exists({gate!r}):\n    time.sleep(0.05)", "2")
    wait_for(lambda: "up" in printed(runs, run.id))
    with place.cut():
        unknown = runs.session.run(run.id)
        assert unknown.state is RunState.UNKNOWN
        assert unknown.exit_code is None
        assert unknown.seen is not None
        place.open_gate(run.id)
        assert runs.session.run(run.id).state is RunState.UNKNOWN
    last, events = runs.finish(run)
    assert last.state is RunState.SUCCEEDED
    numbered = [event["seq"] for event in events if "seq" in event]
    assert numbered == list(range(len(numbered)))
    assert kinds(events)[-1] == "ended"


def test_a_run_outlives_its_profile(runs: Runs, home: Path) -> None:
    run = runs.start("import time\ntime.sleep(0.5)")
    (home / "config" / "profiles" / "there.toml").unlink()
    last, _ = runs.finish(run)
    assert last.state is RunState.SUCCEEDED
    assert last.collected
    runs.session.remove(last)


def test_half_a_line_does_not_hide_the_end(runs: Runs, place: Place) -> None:
    """A machine that crashes in the middle of a line leaves half of it behind."""
    run = runs.start(FOREVER)
    started = wait_for(lambda: [e for e in runs.session.events(runs.session.run(run.id)) if e["event"] == "started"])
    place.break_off(run, started[0]["pid"], b'{"seq": 99, "event": "out')
    last, events = runs.finish(run)
    assert last.state is RunState.LOST
    assert kinds(events)[-1] == "ended"


def test_the_bundle_goes_along(runs: Runs, tmp_path: Path) -> None:
    """Isolated, a notebook finds what it imports and opens, and leaves its own folder alone."""
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    (work / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    (work / "data" / "in.txt").write_text("21")
    (work / "extra.bin").write_bytes(b"\0\1")
    code = "import helper\nfrom pathlib import Path\nn = int(open('data/in.txt').read())\n"
    code += "print(helper.twice(n), Path('extra.bin').stat().st_size)"
    run, _ = runs.finish(runs.start(code, "Path('made.txt').write_text('x');", isolated=True, include=("*.bin",)))
    assert run.state is RunState.SUCCEEDED, run.error
    result = nbformat.read(records.directory(run.id) / "out.ipynb", as_version=4)
    assert result.cells[0].outputs[0].text == "42 2\n"
    assert not (work / "made.txt").exists()


def test_discard_leaves_nothing_at_the_place(runs: Runs, place: Place) -> None:
    run, _ = runs.finish(runs.start("1"))
    assert place.kept(run.id)
    runs.session.remove(run)
    assert not place.kept(run.id)
    assert not records.directory(run.id).exists()
    with pytest.raises(FileNotFoundError):
        core_runs.target_of(run).collect(run.handle, "out.ipynb", Path(os.devnull))


def test_what_the_environment_lacks_is_named_before_anything_starts(runs: Runs, place: Place, home: Path) -> None:
    """Where nobody knows before what there is, it is named before the first cell."""
    if not place.known_modules:
        last, events = runs.finish(runs.start("import no_such_module"))
        assert (last.state, last.exit_code) == (RunState.FAILED, 3)
        assert last.error is not None
        assert "no_such_module" in last.error.value
        assert "cell" not in kinds(events)
        return
    with pytest.raises(TargetError, match="no_such_module") as caught:
        runs.start("import no_such_module")
    assert "install" in caught.value.hint
    assert not list((home / "state").glob("runs/*"))


def printed(runs: Runs, run_id: str) -> str:
    """What the cells have printed so far."""
    run = runs.session.run(run_id)
    return "".join(event.get("text", "") for event in runs.session.events(run) if event["event"] == "output")


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
