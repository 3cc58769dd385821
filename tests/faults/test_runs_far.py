"""A run at another machine, which needs nobody: what comes home is whole, whatever becomes of the way meanwhile."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import msgspec
import nbformat

from jupyterctl.core import records
from jupyterctl.model import Run, RunState
from tests.conftest import notebook, wait_for
from tests.outcomes.ground import Watcher

from .machine import Machine
from .near import NAME, Near

COUNT = 40
CELLS = (
    "# parameters\nsignal: str = ''",
    f"import os, time\nfor number in range({COUNT}):\n    print('line', number, flush=True)\n    time.sleep(0.05)",
    "while not os.path.exists(signal):\n    time.sleep(0.05)",
    f"for number in range({COUNT}):\n    print('later', number, flush=True)",
)


def begin(near: Near, name: str) -> tuple[Run, Path]:
    """Start a notebook that waits for a file; the run, and that file."""
    go = near.machine.home / f"{name}.go"
    path = notebook(near.folder / f"{name}.ipynb", *CELLS)
    done = near.command("run", path, "-t", NAME, "--detach", "-p", "signal", go)
    assert done.returncode == 0, done.stderr
    return near.session.find_run(), go


def whole(near: Near, run: Run) -> None:
    """The journal has every event once, in order, and is the one that was written there; so is the notebook."""
    here, there = records.directory(run.id), near.machine.state / "local" / run.id
    journal = (here / "events.jsonl").read_bytes()
    assert journal == (there / "events.jsonl").read_bytes()
    events = [msgspec.json.decode(line) for line in journal.splitlines()]
    assert [event["seq"] for event in events] == list(range(events[0]["seq"], events[0]["seq"] + len(events)))
    assert events[-1]["event"] == "ended"
    text = "".join(event.get("text", "") for event in events if event["event"] == "output")
    wanted = "".join(f"line {n}\n" for n in range(COUNT)) + "".join(f"later {n}\n" for n in range(COUNT))
    assert text == wanted
    result = nbformat.read(here / "out.ipynb", 4)
    assert "".join(one.text for cell in result.cells for one in cell.get("outputs", [])) == wanted
    assert (here / "out.ipynb").read_bytes() == (there / "out.ipynb").read_bytes()


def test_it_goes_on_while_the_line_is_cut(near: Near, machine: Machine) -> None:
    """It is followed all the time, through the cut."""
    run, go = begin(near, "cut")
    events: list[str] = []
    for _, event in near.session.follow(run):
        if event is None:
            continue
        events.append(event["event"])
        if event["event"] == "output" and "unreachable" not in events and events.count("output") == 3:
            machine.line.cut()
            go.touch()
        if event["event"] == "unreachable":
            assert near.session.find_run(run.id).state is RunState.UNKNOWN
            wait_for(lambda: not machine.programs(run.id))
            machine.line.mend()
    assert events.index("unreachable") < events.index("reachable") < events.index("ended")
    assert events.count("started") == events.count("ended") == 1
    run = near.session.find_run(run.id)
    assert run.state is RunState.SUCCEEDED
    assert run.collected
    whole(near, run)


def test_the_laptop_comes_back_later(near: Near, machine: Machine) -> None:
    """Nobody was there when it ended: neither a command nor the keeper."""
    run, go = begin(near, "later")
    near.kill_keeper()
    machine.sshd.stop()
    go.touch()
    wait_for(lambda: not machine.programs(run.id))
    shown = near.command("runs", "show", run.id, "--json")
    assert json.loads(shown.stdout)["state"] == "unknown"
    machine.start()
    attached = near.command("runs", "attach", run.id, "--json")
    assert attached.returncode == 0, attached.stderr
    kinds = [json.loads(line)["event"] for line in attached.stdout.splitlines()]
    assert kinds.count("ended") == 1
    fetched = near.command("runs", "fetch", run.id, "-o", near.folder / "fetched.ipynb")
    assert fetched.returncode == 0, fetched.stderr
    whole(near, near.session.find_run(run.id))
    assert len(near.keepers()) == 1


def test_ctrl_c_while_nobody_answers_says_that_it_may_go_on(near: Near, machine: Machine) -> None:
    run, go = begin(near, "away")
    watcher = Watcher(near.folder, "runs", "attach", run.id, "--json")
    watcher.printed("line 1\n")
    machine.sshd.stop()
    machine.sshd.kill_sessions()
    wait_for(lambda: near.session.find_run(run.id).state is RunState.UNKNOWN)
    watcher.process.send_signal(signal.SIGINT)
    assert watcher.end() == 3
    said = watcher.err.read_text(encoding="utf-8")
    assert f"`{run.id}` could not be cancelled and may go on: " in said
    assert f"jupyterctl runs cancel {run.id}" in said
    machine.start()
    go.touch()
    assert near.command("runs", "attach", run.id, "--json").returncode == 0
