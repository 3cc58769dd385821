"""Sweeps: every point of the grid runs, once, whatever becomes of the process that drives it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import COMMAND, PATIENCE, Cli, journal, notebook, wait_for

from .ground import Events, Watcher, valid, whole

CELLS = ("# parameters\nalpha = 1\nbeta = 'x'", "open('ran', 'a').write(f'{alpha}{beta} ')\nprint(alpha, beta)")
WAITS = "import time\nfrom pathlib import Path\nwhile not Path('go').exists(): time.sleep(.01)"


def by_run(events: Events) -> dict[str, Events]:
    """The stream of a sweep, run by run."""
    found = defaultdict(list)
    for event in events:
        found[event["run"]].append(event)
    return found


def ran(tmp_path: Path) -> list[str]:
    """The points that were executed, in whatever order."""
    file = tmp_path / "ran"
    return sorted(file.read_text(encoding="utf-8").split()) if file.exists() else []


def sweep_of(cli: Cli) -> str:
    """The name of the only sweep."""
    name: str = json.loads(cli("runs", "--json").stdout)["runs"][0]["sweep"]
    return name


def points(cli: Cli, name: str) -> list[dict[str, Any]]:
    """`runs show SWEEP --json`."""
    found: list[dict[str, Any]] = json.loads(cli("runs", "show", name, "--json").stdout)["runs"]
    return found


def test_a_grid(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS)
    done = cli(
        "run", path, "--sweep", "alpha=1,2", "--sweep", "beta=a,b", "-j", "2", "-o", "{alpha}-{beta}.ipynb", "--json"
    )
    assert done.returncode == 0, done.stderr
    runs = by_run(journal(done.stdout))
    assert len(runs) == 4
    for events in runs.values():
        whole(events)
    assert ran(tmp_path) == ["1a", "1b", "2a", "2b"]
    for alpha in (1, 2):
        for beta in "ab":
            assert valid(tmp_path / f"{alpha}-{beta}.ipynb").cells[-1].outputs[0].text == f"{alpha} {beta}\n"
    found = points(cli, sweep_of(cli))
    assert [point["parameters"] for point in found] == [{"alpha": a, "beta": b} for a in (1, 2) for b in "ab"]
    assert {point["state"] for point in found} == {"succeeded"}


def test_a_sweep_is_named_by_its_beginning(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha = 1")
    assert cli("run", path, "--sweep", "alpha=1,2").returncode == 0
    name = sweep_of(cli)
    begins = name.removesuffix("-sweep")
    assert [point["parameters"] for point in points(cli, begins)] == [{"alpha": 1}, {"alpha": 2}]
    one = cli("runs", "logs", begins)
    assert one.returncode == 2
    assert one.stderr.startswith(f"error: `{name}` is a sweep, and this is for one run\nhint: which one: nb-")
    wrong = cli("runs", "show", begins[:-1] + "~-sweep")
    assert wrong.stderr.splitlines()[1] == f"hint: did you mean `{name}`?"
    assert cli("runs", "remove", begins, "--yes").returncode == 0
    assert json.loads(cli("runs", "--json").stdout) == {"runs": []}


def test_no_more_at_a_time_than_asked_for(cli: Cli, tmp_path: Path) -> None:
    count = (
        "import os, time\nfrom pathlib import Path\nmine = Path(f'live-{alpha}')\nmine.touch()\n"
        "print(len(list(Path().glob('live-*'))))\ntime.sleep(.3)\nmine.unlink()"
    )
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha = 1", count)
    done = cli("run", path, "--sweep", "alpha=1,2,3,4", "-j", "2", "--json")
    assert done.returncode == 0
    seen = [int(event["text"]) for event in journal(done.stdout) if event["event"] == "output"]
    assert len(seen) == 4
    assert max(seen) <= 2


def test_a_failing_point_gives_its_exit_code_and_a_table(cli: Cli, tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "nb.ipynb", "# parameters\nalpha = 1", "if alpha == 2: raise ValueError('two')", "print(alpha)"
    )
    done = cli("run", path, "--sweep", "alpha=1,2,3")
    assert done.returncode == 1
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("nb-") and "after" not in line]
    assert [row[1:4] for row in rows] == [["1", "✓", "succeeded"], ["2", "✗", "failed"], ["3", "✓", "succeeded"]]
    assert "ValueError: two" in done.stdout


def test_the_driver_is_killed(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS, WAITS)
    driver = Watcher(tmp_path, "run", path, "--sweep", "alpha=1,2,3,4", "-j", "2", "--json")
    wait_for(lambda: len(ran(tmp_path)) == 2)
    driver.signal(signal.SIGKILL)
    driver.end()
    (tmp_path / "go").touch()
    attached = cli("runs", "attach", sweep_of(cli), "--json")
    assert attached.returncode == 0, attached.stderr
    runs = by_run(journal(attached.stdout))
    assert len(runs) == 4
    for events in runs.values():
        whole(events)
    assert ran(tmp_path) == ["1x", "2x", "3x", "4x"]


def test_two_drivers_run_no_point_twice(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS, WAITS)
    driver = Watcher(tmp_path, "run", path, "--sweep", "alpha=1,2,3,4", "--json")
    wait_for(lambda: ran(tmp_path))
    others = [Watcher(tmp_path, "runs", "attach", sweep_of(cli), "--json") for _ in range(2)]
    (tmp_path / "go").touch()
    assert [watcher.end() for watcher in (driver, *others)] == [0, 0, 0]
    for watcher in (driver, *others):
        runs = by_run(watcher.events)
        assert len(runs) == 4
        for events in runs.values():
            whole(events)
    assert ran(tmp_path) == ["1x", "2x", "3x", "4x"]


def test_detached_it_is_driven_on(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS)
    done = cli("run", path, "--sweep", "alpha=1,2,3", "--detach", "--json")
    assert done.returncode == 0
    name = json.loads(done.stdout)["sweep"]
    wait_for(lambda: all(point["state"] == "succeeded" for point in points(cli, name)))
    assert ran(tmp_path) == ["1x", "2x", "3x"]
    attached = cli("runs", "attach", name)
    assert attached.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_driver_that_is_asked_to_go_leaves_the_sweep_driven(cli: Cli, tmp_path: Path, number: signal.Signals) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS, WAITS)
    driver = Watcher(tmp_path, "run", path, "--sweep", "alpha=1,2,3", "--json")
    wait_for(lambda: ran(tmp_path))
    driver.signal(number)
    driver.end()
    (tmp_path / "go").touch()
    name = sweep_of(cli)
    wait_for(lambda: all(point["state"] == "succeeded" for point in points(cli, name)))
    assert ran(tmp_path) == ["1x", "2x", "3x"]


def test_a_closed_terminal_leaves_the_sweep_driven(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS, WAITS)
    controller, terminal = pty.openpty()
    command = ["setsid", "--ctty", "--wait", COMMAND, "run", path, "--sweep", "alpha=1,2,3"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path)
    os.close(terminal)
    wait_for(lambda: ran(tmp_path))
    os.close(controller)
    process.wait(PATIENCE)
    (tmp_path / "go").touch()
    name = sweep_of(cli)
    wait_for(lambda: all(point["state"] == "succeeded" for point in points(cli, name)))
    assert ran(tmp_path) == ["1x", "2x", "3x"]


def test_a_closed_pipe_leaves_the_sweep_driven(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS)
    done = subprocess.run(
        ["sh", "-c", '"$0" "$@" | head -n 1', COMMAND, "run", path, "--sweep", "alpha=1,2,3", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    name = sweep_of(cli)
    wait_for(lambda: all(point["state"] == "succeeded" for point in points(cli, name)))


@pytest.mark.parametrize("way", ["command", "ctrl-c"])
def test_cancelling_ends_what_runs_and_what_waits(cli: Cli, tmp_path: Path, way: str) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS, "import time; time.sleep(600)")
    driver = Watcher(tmp_path, "run", path, "--sweep", "alpha=1,2,3", "--json")
    wait_for(lambda: ran(tmp_path))
    name = sweep_of(cli)
    if way == "command":
        assert cli("runs", "cancel", name, "--yes").returncode == 0
    else:
        driver.signal(signal.SIGINT)
    assert driver.end() == 4
    assert {point["state"] for point in points(cli, name)} == {"cancelled"}
    assert ran(tmp_path) == ["1x"]
    for events in by_run(driver.events).values():
        assert events[-1]["event"] == "ended"


def test_a_sweep_is_removed_as_one(home: Path, cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", *CELLS)
    assert cli("run", path, "--sweep", "alpha=1,2", "-o", "{alpha}.ipynb").returncode == 0
    assert cli("runs", "remove", sweep_of(cli), "--yes").returncode == 0
    assert json.loads(cli("runs", "--json").stdout) == {"runs": []}
    assert list((home / "state/runs").iterdir()) == []
    assert (tmp_path / "1.ipynb").exists()
