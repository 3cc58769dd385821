"""Where the machine runs out of something: memory, disk, or the right to write."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Cli, need, notebook, wait_for

from .ground import Watcher, carry_out, directory, show, two_lines, valid

LIMIT = 500 << 20
CGROUPS = Path("/sys/fs/cgroup")
FULL = "No space left on device"

Mount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount something on a folder for as long as the test goes on: `mount(folder, "-t", "tmpfs", …)`."""
    mounted: list[Path] = []

    def at(folder: Path, *arguments: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", *map(str, arguments), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        need("root", done.returncode == 0, f"cannot mount: {done.stderr.strip()}")
        mounted.append(folder)

    yield at
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", folder], check=False)


def remount(folder: Path, options: str) -> None:
    """Change what is mounted there."""
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Path]:
    """The file that takes the pids of those who share LIMIT bytes of memory, by cgroups of version 1 or 2."""
    name = f"jupyterctl-tests-{os.getpid()}"
    second = (CGROUPS / "cgroup.controllers").exists()
    group = CGROUPS / name if second else CGROUPS / "memory" / name
    try:
        if second:
            with suppress(OSError):
                (CGROUPS / "cgroup.subtree_control").write_text("+memory")
        group.mkdir()
        (group / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(LIMIT))
        if second:
            (group / "memory.swap.max").write_text("0")
    except OSError as error:
        need("cgroup", present=False, reason=f"cannot make a memory cgroup: {error}")
    yield group / "cgroup.procs"
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    wait_for(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def test_out_of_memory(cli: Cli, tmp_path: Path, cgroup: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "print('before')", "hog = [b'x' * (8 << 20) for _ in range(1000)]")
    inside = ("sh", "-c", f'echo $$ >{cgroup} && exec "$@"', "sh")
    outcome = Watcher(tmp_path, "run", path, "--json", before=inside).outcome(cli)
    assert outcome.code == 6
    assert outcome.run["state"] == "kernel-died"
    assert (outcome.run["error"]["name"], outcome.run["error"]["cell"]) == ("OutOfMemory", 1)
    assert "memory ran out" in outcome.run["error"]["value"]
    assert outcome.texts() == ["before\n", ""]


def test_the_runs_disk_is_full(home: Path, cli: Cli, tmp_path: Path, mount: Mount) -> None:
    place = home / "state/local"
    mount(place, "-t", "tmpfs", "-o", "size=1500k", "tmpfs")
    path = notebook(tmp_path / "nb.ipynb", "print('before')", "print('x' * (4 << 20))", "print('after')")
    outcome = carry_out(cli, path)
    assert outcome.code == 3
    error = outcome.run["error"]
    assert (error["name"], error["cell"]) == ("OutputNotSaved", None)
    assert FULL in error["value"]
    run = outcome.run["id"]
    assert not list(directory(home, run).glob("*.tmp")) + list(directory(home, run).glob(".*"))
    fetched = cli("runs", "fetch", run, "-o", tmp_path / "saved.ipynb")
    assert fetched.returncode == 0, fetched.stderr
    assert len(valid(tmp_path / "saved.ipynb").cells) == 3


def test_a_disk_that_fills_and_empties_loses_no_event(home: Path, cli: Cli, tmp_path: Path, mount: Mount) -> None:
    place = home / "state/local"
    mount(place, "-t", "tmpfs", "-o", "size=2m", "tmpfs")
    fill = (
        f"from pathlib import Path\nhog = Path({str(place)!r}) / 'hog'\n"
        "try:\n    hog.write_bytes(bytes(4 << 20))\nexcept OSError as error:\n    print(error.strerror, flush=True)"
    )
    path = notebook(
        tmp_path / "nb.ipynb", fill, "for i in range(200):\n    display(i)", "hog.unlink()", "print('after')"
    )
    outcome = carry_out(cli, path)
    assert outcome.code == 0
    assert outcome.texts()[0] == f"{FULL}\n"
    assert [event["text"] for event in outcome.of("output") if event["kind"] == "display"] == list(map(str, range(200)))


def test_the_disk_asked_for_is_full(cli: Cli, tmp_path: Path, mount: Mount) -> None:
    small = tmp_path / "small"
    mount(small, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    path = notebook(tmp_path / "nb.ipynb", "print('x' * 200_000)")
    done = cli("run", path, "-o", "small/out.ipynb")
    assert done.returncode == 3
    assert FULL in done.stderr
    run = json.loads(cli("runs", "show", "--json").stdout)
    assert run["state"] == "succeeded"
    assert FULL in run["undelivered"]
    assert f"jupyterctl runs fetch {run['id']} -o PATH" in done.stderr
    for left in small.iterdir():
        assert left.name == "out.ipynb"
        valid(left)
    elsewhere = cli("runs", "fetch", run["id"], "-o", "elsewhere.ipynb")
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert valid(tmp_path / "elsewhere.ipynb").cells[0].outputs[0].text == "x" * 200_000 + "\n"


def test_what_could_not_be_put_there_is_put_there_later(cli: Cli, tmp_path: Path, mount: Mount) -> None:
    small = tmp_path / "small"
    mount(small, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    assert cli("run", notebook(tmp_path / "nb.ipynb", "print('x' * 200_000)"), "-o", "small/out.ipynb").returncode == 3
    remount(small, "size=8m")
    assert cli("runs", "fetch", "nb-").returncode == 0
    assert valid(small / "out.ipynb").cells[0].outputs[0].text == "x" * 200_000 + "\n"
    run = show(cli, "nb-")
    assert run["undelivered"] is None
    assert run["output"] == str(small / "out.ipynb")


def test_a_full_home(home: Path, cli: Cli, tmp_path: Path, mount: Mount) -> None:
    mount(home, "-t", "tmpfs", "-o", "size=2m", "tmpfs")
    path = notebook(tmp_path / "nb.ipynb", "print('fits')")
    assert cli("run", path).returncode == 0
    with suppress(OSError):
        (home / "hog").write_bytes(bytes(4 << 20))
    told = two_lines(cli("run", path, "--json"), 3)
    assert FULL in told or "full" in told
    (home / "hog").unlink()
    assert cli("run", path).returncode == 0


def test_a_read_only_folder(cli: Cli, tmp_path: Path, mount: Mount) -> None:
    folder = tmp_path / "theirs"
    path = notebook(folder / "nb.ipynb", "import os; print(os.getcwd())")
    mount(folder, "--bind", folder)
    remount(folder, "ro,bind")
    outcome = carry_out(cli, path)
    assert outcome.code == 0
    assert outcome.texts() == [f"{folder}\n"]
    told = two_lines(cli("run", path, "-o", folder / "out.ipynb"), 2)
    assert "Read-only file system" in told
