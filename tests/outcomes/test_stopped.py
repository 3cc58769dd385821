"""A run that is stopped ends gracefully, or is let go of, by whatever way a person or the system asks for it."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import COMMAND, PATIENCE, Cli, need, notebook, wait_for

from .ground import Watcher, checked, directory, gone, pid_in, show, whole

SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
WAIT = """
import time
from pathlib import Path
print("begun", flush=True)
while not Path("go").exists():
    time.sleep(0.01)
"""
TIDY = """
import time
print("begun", flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("tidied")
"""
FAMILY = """
import os, subprocess, time
from pathlib import Path
child = subprocess.Popen(["sleep", "600"])
stray = subprocess.Popen(["sh", "-c", "sleep 600 & echo $! > grandchild; wait"], start_new_session=True)
while not Path("grandchild").exists() or not Path("grandchild").read_text().strip():
    time.sleep(0.01)
Path("family").write_text(f"{os.getpid()} {child.pid} {stray.pid} " + Path("grandchild").read_text())
print("begun", flush=True)
"""


def begun(tmp_path: Path, source: str = SLEEP, *flags: object) -> Watcher:
    """A run in the foreground whose second cell has begun."""
    path = notebook(tmp_path / "nb.ipynb", "print('before')", source, "print('after')")
    watcher = Watcher(tmp_path, "run", path, "--json", *flags)
    watcher.printed("begun")
    return watcher


def gone_all(pids: list[int]) -> bool:
    """Whether none of the processes lives."""
    return all(map(gone, pids))


def family(tmp_path: Path) -> list[int]:
    """Pids that the cell FAMILY wrote: the kernel, its child, one in another session, and that one's own child."""
    pids = [int(pid) for pid in (tmp_path / "family").read_text(encoding="ascii").split()]
    assert len(pids) == 4
    assert not any(map(gone, pids))
    return pids


def test_cancel_saves_what_ran(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path)
    done = cli("runs", "cancel", watcher.run, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "cancelled"
    outcome = watcher.outcome(cli)
    assert outcome.code == 4
    assert outcome.texts() == ["before\n", "begun\nKeyboardInterrupt: ", ""]
    assert (outcome.run["error"]["name"], outcome.run["error"]["cell"]) == ("Cancelled", 1)
    states = [cell.metadata.papermill.status for cell in outcome.notebook.cells]
    assert states == ["completed", "failed", "pending"]


def test_a_cell_may_tidy_up_when_it_is_cancelled(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path, TIDY)
    assert cli("runs", "cancel", watcher.run, "--yes").returncode == 0
    outcome = watcher.outcome(cli)
    assert outcome.code == 4
    assert outcome.texts() == ["before\n", "begun\ntidied\n", ""]


def test_cancel_asks_first(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path)
    refused = cli("runs", "cancel", watcher.run)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert show(cli, watcher.run)["state"] == "running"


def test_what_has_ended_cannot_be_cancelled(cli: Cli, tmp_path: Path) -> None:
    cli("run", notebook(tmp_path / "nb.ipynb", "1"))
    refused = cli("runs", "cancel", "nb-", "--yes")
    assert refused.returncode == 2
    assert "has ended: succeeded" in refused.stderr


def test_a_whole_family_of_processes_goes(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path, FAMILY + "time.sleep(600)")
    pids = family(tmp_path)
    assert cli("runs", "cancel", watcher.run, "--yes").returncode == 0
    assert watcher.outcome(cli).code == 4
    wait_for(lambda: gone_all(pids))


def test_sigterm_to_the_runner(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path)
    os.kill(watcher.event("started")["pid"], signal.SIGTERM)
    outcome = watcher.outcome(cli)
    assert outcome.code == 4
    assert "SIGTERM" in outcome.run["error"]["value"]
    assert outcome.texts() == ["before\n", "begun\nKeyboardInterrupt: ", ""]


def test_sigkill_of_the_runner(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path, FAMILY + "time.sleep(600)")
    pids = family(tmp_path)
    os.kill(watcher.event("started")["pid"], signal.SIGKILL)
    outcome = watcher.outcome(cli)
    assert outcome.code == 3
    assert outcome.run["state"] == "lost"
    assert "kept as far as it was saved" in outcome.run["error"]["value"]
    assert len(outcome.texts()) == 3
    wait_for(lambda: gone_all(pids))


def test_sigkill_of_the_runner_with_nobody_watching(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path)
    watcher.signal(signal.SIGKILL)
    watcher.end()
    runner = watcher.event("started")["pid"]
    os.kill(runner, signal.SIGKILL)
    wait_for(lambda: gone(runner))
    run = show(cli, watcher.run)
    assert (run["state"], run["exit_code"]) == ("lost", 3)
    attached = Watcher(tmp_path, "runs", "attach", watcher.run, "--json")
    assert attached.outcome(cli).code == 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_the_run_goes_on_without_its_watcher(cli: Cli, tmp_path: Path, number: signal.Signals) -> None:
    watcher = begun(tmp_path, WAIT)
    watcher.signal(number)
    watcher.end()
    seen = watcher.events
    (tmp_path / "go").touch()
    attached = Watcher(tmp_path, "runs", "attach", watcher.run, "--json")
    outcome = attached.outcome(cli)
    assert outcome.code == 0
    assert outcome.events[: len(seen)] == seen
    assert outcome.texts() == ["before\n", "begun\n", "after\n"]


def test_two_watchers_see_the_same(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path)
    other = Watcher(tmp_path, "runs", "attach", watcher.run, "--json")
    other.printed("begun")
    cli("runs", "cancel", watcher.run, "--yes")
    assert watcher.outcome(cli) == other.outcome(cli)


def test_ctrl_c_cancels_gracefully(cli: Cli, tmp_path: Path) -> None:
    watcher = begun(tmp_path)
    watcher.signal(signal.SIGINT)
    outcome = watcher.outcome(cli)
    assert outcome.code == 4
    assert "cancelling" in outcome.stderr
    assert outcome.texts()[:2] == ["before\n", "begun\nKeyboardInterrupt: "]


def test_a_second_ctrl_c_lets_go(cli: Cli, tmp_path: Path) -> None:
    waits = """
import time
from pathlib import Path
print('begun', flush=True)
while not Path('go').exists():
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        print('interrupted', flush=True)
"""
    watcher = begun(tmp_path, waits)
    watcher.signal(signal.SIGINT)
    watcher.printed("interrupted")
    watcher.signal(signal.SIGINT)
    assert watcher.end() == 128 + signal.SIGINT
    assert f"jupyterctl runs attach {watcher.run}" in watcher.err.read_text(encoding="utf-8")
    assert not gone(watcher.event("started")["pid"])


def test_closing_the_terminal_lets_go(home: Path, cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "open('begun', 'w').write('1')", "import time; time.sleep(600)")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", COMMAND, "run", path],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=tmp_path,
    )
    os.close(terminal)
    wait_for((tmp_path / "begun").exists)
    os.close(controller)
    process.wait(PATIENCE)
    run = show(cli, "nb-")
    assert run["state"] == "running"
    assert not gone(pid_in(directory(home, run["id"]) / "pid"))


def test_detach_returns_at_once_and_the_run_goes_on(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", notebook(tmp_path / "nb.ipynb", "print('alone')"), "--detach", "--json")
    assert done.returncode == 0
    run = json.loads(done.stdout)["run"]
    attached = cli("runs", "attach", run, "--json")
    events = [json.loads(line) for line in attached.stdout.splitlines()]
    whole(events)
    assert checked(cli, attached.returncode, events).texts() == ["alone\n"]


@pytest.mark.parametrize("tmux", [True, False])
def test_a_run_needs_no_tmux(home: Path, cli: Cli, tmp_path: Path, tmux: bool) -> None:
    """Ended on the way where there is one; not there at all."""
    need("tmux", shutil.which("tmux") or not tmux, "apt install tmux")
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("bash", "sh", "cat", "rm", "sleep", "ps"):
        found = next(p for p in (Path("/bin") / program, Path("/usr/bin") / program) if p.exists())
        (folder / program).symlink_to(found)
    environment = {**os.environ, **({} if tmux else {"PATH": str(folder)})}
    path = notebook(tmp_path / "nb.ipynb", WAIT)
    watcher = Watcher(tmp_path, "run", path, "--json", env=environment)
    watcher.printed("begun")
    if tmux:
        assert (
            subprocess.run(["tmux", "kill-server"], check=False, capture_output=True, timeout=PATIENCE).returncode == 0
        )
    (tmp_path / "go").touch()
    assert watcher.outcome(cli).code == 0
