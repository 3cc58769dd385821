"""What can be done with a run once it is made; and what becomes of it while its place or the store is out of reach."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Cli, need, notebook, wait_for

from .ground import Watcher, carry_out, directory, show, texts, two_lines, valid, whole

WAITS = (
    "import time\nfrom pathlib import Path\nprint('begun', flush=True)\nwhile not Path('go').exists(): time.sleep(.01)"
)

LEFT_OUT = r"… ([\d,]+) characters left out: they are in the notebook"


def waiting(tmp_path: Path) -> Watcher:
    """A run in the middle of a cell that waits for the file `go`."""
    watcher = Watcher(
        tmp_path, "run", notebook(tmp_path / "nb.ipynb", "print('before')", WAITS, "print('after')"), "--json"
    )
    watcher.printed("begun")
    return watcher


def test_a_live_run_is_shown_fetched_and_kept(cli: Cli, tmp_path: Path) -> None:
    watcher = waiting(tmp_path)
    run = show(cli, watcher.run)
    assert (run["state"], run["exit_code"], run["cells"]) == ("running", None, {"done": 1, "total": 3})
    refused = cli("runs", "remove", watcher.run, "--yes")
    assert refused.returncode == 2
    assert f"jupyterctl runs cancel {watcher.run}" in refused.stderr

    def fetched() -> bool:
        done = cli("runs", "fetch", watcher.run, "-o", "so-far.ipynb")
        assert done.returncode == 0, done.stderr
        return texts(valid(tmp_path / "so-far.ipynb"))[0] == "before\n"

    wait_for(fetched)
    (tmp_path / "go").touch()
    outcome = watcher.outcome(cli)
    assert outcome.code == 0
    assert outcome.texts() == ["before\n", "begun\n", "after\n"]


def test_logs_and_following_them(cli: Cli, tmp_path: Path) -> None:
    watcher = waiting(tmp_path)
    assert cli("runs", "logs", watcher.run).stdout == "before\nbegun\n"
    follower = Watcher(tmp_path, "runs", "logs", watcher.run, "-f", "--json")
    follower.printed("begun")
    (tmp_path / "go").touch()
    assert follower.end() == 0
    assert [event["text"] for event in follower.events] == ["before\n", "begun\n", "after\n"]
    assert "[cell 1] print('before')" in cli("runs", "logs", watcher.run, "--runner").stdout


def test_what_the_journal_leaves_out_is_said_and_no_line_is_made_up(cli: Cli, tmp_path: Path) -> None:
    many = (
        "import sys\nfor i in range(20000):\n    print(f'line {i} xxx')\n"
        "    if i % 67 == 0: print('err', i, file=sys.stderr)"
    )
    path = notebook(tmp_path / "nb.ipynb", many, "'x' * 5000", "print('open', end='')", "print('next')")
    done = cli("run", path, "--log-output")
    assert done.returncode == 0, done.stderr
    logs = cli("runs", "logs").stdout
    for shown in (logs.splitlines(), [line[4:] for line in done.stdout.splitlines() if line.startswith("    ")]):
        odd = [line for line in shown if not re.fullmatch(r"line \d+ xxx|err \d+", line)]
        said = [line for line in odd if re.fullmatch(LEFT_OUT, line)]
        assert said[-1] == "… 906 characters left out: they are in the notebook"
        assert [line for line in odd if line not in said] == ["x" * 4095 + "'", "open", "next"]
        lines = [int(line.split()[1]) for line in shown if line.startswith("line ")]
        assert lines == sorted(set(lines))
        assert lines[-1] == 19999
    missing = sum(int(found[1].replace(",", "")) for found in re.finditer(LEFT_OUT, logs))
    printed = len(texts(valid(Path(show(cli, "nb-")["output"])))[0])
    kept = sum(len(line) + 1 for line in logs.splitlines() if re.match("line|err", line))
    assert kept + missing - 906 == printed


def test_rerun_repeats_what_was_asked_for(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha = 1\nbeta = 'b'", "print(alpha, beta)")
    first = carry_out(cli, path, "-p", "alpha", "5", "-o", "out.ipynb", "--retries", "1")
    notebook(path, "# parameters\nalpha = 1\nbeta = 'b'", "print(alpha, beta, 'changed')")
    again = Watcher(tmp_path, "runs", "rerun", first.run["id"], "--json").outcome(cli)
    assert again.code == 0
    assert again.run["id"] != first.run["id"]
    assert again.run["parameters"] == {"alpha": 5}
    assert again.texts()[-1] == "5 b changed\n"
    assert again.run["output"] == str(tmp_path / "out.ipynb")
    path.unlink()
    kept = Watcher(tmp_path, "runs", "rerun", again.run["id"], "--json").outcome(cli)
    assert kept.texts()[-1] == "5 b changed\n"
    assert kept.run["notebook"] == str(path)


def test_compare(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha = 1", "print(f'alpha is {alpha}')")
    first, second = (carry_out(cli, path, "-p", "alpha", alpha).run["id"] for alpha in (1, 2))
    done = cli("runs", "compare", first, second, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["comparison"]
    assert found["parameters"] == {"alpha": [1, 2]}
    assert any("alpha is 2" in line for line in found["outputs"])
    text = cli("runs", "compare", first, second).stdout
    assert "alpha is 2" in text
    assert [cell["numbers"] for cell in found["cells"]] == [[1, 1], [2, 2], [3, 3]]
    assert all(f"{place}  " in text for place in ("[1]", "[2]", "[3]"))
    if any(line.startswith("+[cell") for line in found["outputs"]):  # without nbdime
        assert "+[cell 3] alpha is 2" in found["outputs"]


def test_compare_counts_each_runs_own_cells(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "nb.ipynb"
    first = carry_out(cli, notebook(path, "print('same')")).run["id"]
    second = carry_out(cli, notebook(path, "print('more')", "print('same')")).run["id"]
    text = cli("runs", "compare", first, second).stdout
    assert "[1]  print('more')" in text
    assert "[1/2]  print('same')" in text


def test_report(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", "print('<in & out>', 6 * 7)"))
    done = cli("runs", "report", outcome.run["id"], "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert "&lt;in &amp; out&gt; 42" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_report_is_not_opened_where_there_is_no_screen(cli: Cli, tmp_path: Path) -> None:
    run = carry_out(cli, notebook(tmp_path / "nb.ipynb", "1")).run["id"]
    opener = tmp_path / "bin/xdg-open"
    opener.parent.mkdir()
    opener.write_text("#!/bin/sh\necho not found >&2\nexit 1\n")
    opener.chmod(0o755)
    nowhere = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": "", "PATH": f"{opener.parent}:{os.environ['PATH']}"}
    done = cli("runs", "report", run, "-o", "page.html", "--open", env=nowhere)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'page.html'}\n")
    assert done.stderr == "no browser here; open the page in one elsewhere\n"


def test_remove_forgets_all_but_what_was_asked_for(home: Path, cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", "1"), "-o", "out.ipynb")
    run = outcome.run["id"]
    assert "--yes" in two_lines(cli("runs", "remove", run), 2)
    assert cli("runs", "remove", run, "--yes").returncode == 0
    assert not directory(home, run).exists()
    assert not (home / "state/runs" / run).exists()
    assert (tmp_path / "out.ipynb").exists()
    assert f"no run `{run}`" in two_lines(cli("runs", "show", run), 2)


def test_fetch_never_overwrites_the_notebook(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "print(1)")
    before = path.read_bytes()
    assert cli("run", path).returncode == 0
    assert "would overwrite the notebook" in two_lines(cli("runs", "fetch", "-o", "."), 2)
    assert path.read_bytes() == before


def test_out_of_reach_is_unknown_and_never_lost(home: Path, cli: Cli, tmp_path: Path) -> None:
    watcher = waiting(tmp_path)
    place, away = home / "state/local", home / "state/away"
    place.rename(away)
    run = show(cli, watcher.run)
    assert (run["state"], run["exit_code"], run["error"]["name"]) == ("unknown", None, "Unreachable")
    assert run["seen"]
    assert "⚠ unknown" in cli("runs").stdout
    shown = cli("runs", "show", watcher.run).stdout
    assert "last seen" in shown
    assert watcher.process.poll() is None
    (tmp_path / "go").touch()
    away.rename(place)
    outcome = watcher.outcome(cli)
    assert outcome.code == 0
    assert outcome.run["error"] is None
    assert "trying again" in outcome.stderr
    assert "answers again" in outcome.stderr


def test_from_another_machine_it_is_unknown(cli: Cli, tmp_path: Path) -> None:
    """One home, shared by two machines: what runs on the one cannot be told from the other."""
    elsewhere = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh")
    can = subprocess.run([*elsewhere, "true"], capture_output=True, check=False).returncode == 0
    need("root", can, "cannot have another host name")
    watcher = waiting(tmp_path)
    looking = Watcher(tmp_path, "runs", "attach", watcher.run, "--json", before=elsewhere)
    wait_for(lambda: "trying again" in looking.err.read_text())
    (tmp_path / "go").touch()
    assert watcher.outcome(cli).code == 0
    assert looking.outcome(cli).events == watcher.events


@pytest.mark.parametrize(
    "damage",
    [b"garbage" * 1000, b"", b"SQLite format 3\0" + b"\xff" * 5000],
    ids=["no database", "empty", "damaged"],
)
def test_a_store_that_cannot_be_read_is_made_anew(home: Path, cli: Cli, tmp_path: Path, damage: bytes) -> None:
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha = 1", "print(alpha)")
    first = carry_out(cli, path, "-p", "alpha", "2").run
    store = home / "state/jupyterctl.db"
    store.write_bytes(damage)
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    done = cli("runs", "--json")
    assert done.returncode == 0, done.stderr
    assert [run["id"] for run in json.loads(done.stdout)["runs"]] == [first["id"]]
    assert ("could not be read and was set aside" in done.stderr) == bool(damage)
    assert "1 runs were read back" in done.stderr
    assert {**show(cli, first["id"]), "seen": None} == {**first, "seen": None}
    assert cli("run", path).returncode == 0


def test_a_live_run_survives_the_loss_of_the_store(home: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("run", notebook(tmp_path / "nb.ipynb", WAITS), "--detach").returncode == 0
    for file in (home / "state").glob("jupyterctl.db*"):
        file.unlink()
    (home / "state/jupyterctl.db").write_bytes(b"garbage" * 1000)
    (tmp_path / "go").touch()
    done = cli("runs", "attach", "nb-", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    whole(events)
    assert done.returncode == 0
