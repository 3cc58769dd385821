"""`cp` and `sync` with another machine: by rsync where both have it, else over SFTP."""

from __future__ import annotations

import filecmp
import os
import pty
import stat
import subprocess
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import COMMAND, wait_for
from tests.link.far import blob

from .box import NAME, Box, need_all
from .conftest import Boxes

FILES = {
    "a.py": b"print(1)\n",
    "data/big.bin": blob(300_000),
    "data/two words.txt": b"two\n",
    "data/skip/it.log": b"not wanted\n",
    "build/x.o": b"not wanted\n",
    "notes/own.tmp": b"not wanted\n",
    "notes/kept.md": b"kept\n",
    ".gitignore": b"*.log\n/build/\n",
    "notes/.gitignore": b"*.tmp\n",
    ".git/config": b"not wanted\n",
    "__pycache__/a.pyc": b"not wanted\n",
}
KEPT = {name for name, content in FILES.items() if content != b"not wanted\n"}


def lay_out(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_what_is_not_there_is_said_in_two_lines(boxes: Boxes, cli) -> None:
    boxes()
    for arguments in ((f"{NAME}:nope", "z"), ("nope", f"{NAME}:")):
        refused = cli("cp", *arguments)
        assert refused.returncode == 2
        assert [line.split(":")[0] for line in refused.stderr.splitlines()] == ["error", "hint"]


def found(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("by", ["rsync", "sftp"])
def test_a_folder_is_mirrored_to_and_fro(by: str, boxes: Boxes, cli, tmp_path: Path) -> None:
    need_all("rsync")
    box = boxes(without=() if by == "rsync" else ("rsync",))
    here = lay_out(tmp_path / "project")
    os.utime(here / "a.py", (1_600_000_000, 1_600_000_000))
    (here / "a.py").chmod(0o754)
    trial = cli("sync", NAME, "--dry-run", cwd=here)
    assert trial.returncode == 0, trial.stderr
    assert "a.py" in trial.stdout
    assert not found(box.work)
    done = cli("sync", NAME, cwd=here)
    assert done.returncode == 0, done.stderr
    assert f"by {by}" in done.stderr
    assert found(box.work) == KEPT
    assert all((box.work / name).read_bytes() == FILES[name] for name in KEPT)
    assert (box.work / "a.py").stat().st_mtime == 1_600_000_000
    assert stat.S_IMODE((box.work / "a.py").stat().st_mode) == 0o754
    assert "0 copied" in cli("sync", NAME, cwd=here).stderr

    (box.work / "result.csv").write_text("1,2\n")
    (box.work / "data/noise.log").write_text("stays there\n")
    (here / "mine.txt").write_text("is not there\n")
    back = cli("sync", NAME, "--back", cwd=here)
    assert back.returncode == 0, back.stderr
    assert (here / "result.csv").read_text() == "1,2\n"
    assert not (here / "data/noise.log").exists()
    assert (here / "mine.txt").exists()

    (here / "a.py").unlink()
    asked = cli("sync", NAME, "--delete", cwd=here)
    assert asked.returncode == 2
    assert f"remove `a.py` at `{NAME}`?" in asked.stderr
    assert f"in `{box.work}`" in asked.stderr
    assert (box.work / "a.py").exists()
    gone = cli("sync", NAME, "--delete", "--yes", cwd=here)
    assert gone.returncode == 0, gone.stderr
    assert not (box.work / "a.py").exists()
    assert (box.work / "mine.txt").exists()
    assert (box.work / "data/noise.log").exists()
    assert box.logins() == 1


def test_a_folder_is_copied_to_and_fro(boxes: Boxes, cli, tmp_path: Path) -> None:
    box = boxes()
    here = lay_out(tmp_path / "project")
    refused = cli("cp", here, f"{NAME}:copy")
    assert refused.returncode == 2
    assert "--recursive" in refused.stderr
    done = cli("cp", "-r", here, f"{NAME}:copy")
    assert done.returncode == 0, done.stderr
    assert found(box.work / "copy") == set(FILES)
    (box.work / "into").mkdir()
    assert cli("cp", "-r", here, f"{NAME}:into").returncode == 0
    assert found(box.work / "into/project") == set(FILES)
    back = cli("cp", "-r", f"{NAME}:copy", tmp_path / "back")
    assert back.returncode == 0, back.stderr
    assert all((tmp_path / "back" / name).read_bytes() == content for name, content in FILES.items())
    one = cli("cp", f"{NAME}:copy/data/big.bin", tmp_path / "one.bin")
    assert one.returncode == 0, one.stderr
    assert (tmp_path / "one.bin").read_bytes() == FILES["data/big.bin"]
    assert cli("cp", here / "a.py", f"{NAME}:new/folder/").returncode == 0
    assert (box.work / "new/folder/a.py").read_bytes() == FILES["a.py"], "a slash at the end means a folder"
    assert (box.work / "new/folder").stat().st_mode & 0o055 == here.stat().st_mode & 0o055
    assert cli("cp", f"{NAME}:new/folder/a.py", f"{tmp_path}/down/here/").returncode == 0
    assert (tmp_path / "down/here/a.py").read_bytes() == FILES["a.py"]
    missing = cli("cp", f"{NAME}:nothing", tmp_path)
    assert missing.returncode == 2
    assert "there is no" in missing.stderr


@pytest.fixture
def read_only(box: Box) -> Iterator[Path]:
    """The profile's folder there, on a disk that takes nothing."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", box.work], check=True)
    yield box.work
    subprocess.run(["umount", "-l", box.work], check=True)


def test_what_rsync_could_not_write_is_not_called_copied(read_only: Path, cli, tmp_path: Path) -> None:
    need_all("rsync")
    here = lay_out(tmp_path / "project")
    failed = cli("sync", NAME, cwd=here)
    assert failed.returncode == 3, failed.stderr
    assert f"files did not get to `{NAME}:{read_only}`" in failed.stderr
    assert "`a.py`" in failed.stderr
    assert "Read-only file system" in failed.stderr
    assert "copied, " not in failed.stderr
    assert not found(read_only)


def test_start_up_files_that_print_something_do_not_stop_a_mirroring(box: Box, cli, tmp_path: Path) -> None:
    need_all("rsync")
    here = lay_out(tmp_path / "project")
    (box.home / ".bashrc").write_text("echo welcome to this machine, which greets everybody\n")
    done = cli("sync", NAME, cwd=here)
    assert done.returncode == 0, done.stderr
    assert f"{len(KEPT)} copied, 0 removed, by sftp" in done.stderr
    assert found(box.work) == KEPT


def test_files_that_rsync_could_not_write_are_named_and_the_others_are_there(box: Box, cli, tmp_path: Path) -> None:
    need_all("rsync")
    here = lay_out(tmp_path / "project")
    (box.work / "notes/kept.md/in the way").mkdir(parents=True)
    failed = cli("sync", NAME, cwd=here)
    assert failed.returncode == 3, failed.stderr
    assert f"1 of {len(KEPT)} files did not get to `{NAME}:{box.work}`: `notes/kept.md`" in failed.stderr
    assert "rsync said:" in failed.stderr
    assert found(box.work) == KEPT - {"notes/kept.md"}


def test_nothing_is_removed_in_the_home_itself(box: Box, home: Path, cli, tmp_path: Path) -> None:
    here = lay_out(tmp_path / "project")
    profile = home / "config/profiles" / f"{NAME}.toml"
    text = profile.read_text().replace(f'workdir = "{box.work}"\n', "")
    (box.home / "precious").write_text("kept\n")
    for folder in (None, box.home, box.folder):
        profile.write_text(f'workdir = "{folder}/"\n{text}' if folder else text)
        for more in (("--dry-run",), ("--yes",), ("--yes", "--back"), ()):
            refused = cli("sync", NAME, "--delete", *more, cwd=here)
            assert refused.returncode == 2, refused.stderr
            message, hint = refused.stderr.strip().splitlines()
            assert f"`{folder or box.home}`" in message
            assert "`workdir`" in hint
    profile.write_text(text)
    assert (box.home / "precious").exists()
    assert found(here) == set(FILES)
    done = cli("sync", NAME, cwd=here)
    assert done.returncode == 0, done.stderr
    assert f"in {NAME}:{box.home}" in done.stderr
    assert (box.home / "a.py").exists()


def test_a_copy_into_a_folder_that_is_read_only_says_so(read_only: Path, cli, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    failed = cli("cp", "a.txt", f"{NAME}:", cwd=tmp_path)
    assert failed.returncode == 3
    assert f"cannot copy `{read_only}/a.txt`: read-only file system" in failed.stderr
    assert "look at its folder there" in failed.stderr
    deeper = cli("cp", "a.txt", f"{NAME}:new/folder/", cwd=tmp_path)
    assert deeper.returncode == 3
    assert "read-only file system" in deeper.stderr
    assert "space" not in failed.stderr + deeper.stderr


@pytest.mark.parametrize("transport", ["paramiko", "openssh"])
def test_what_a_lost_connection_broke_off_goes_on_when_it_is_asked_for_again(
    transport: str, boxes: Boxes, cli, tmp_path: Path
) -> None:
    box = boxes(profile=f'transport = "{transport}"')
    data = tmp_path / "large.bin"
    with data.open("wb") as file:
        file.write(blob(1 << 20))
        file.truncate(200 << 20)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cli, "cp", data, f"{NAME}:")
        wait_for(lambda: any(part.stat().st_size for part in box.work.glob("*.part")))
        box.sshd.kill_sessions()
        broken = first.result(120)
    assert broken.returncode == 3, broken.stderr
    assert "goes on where it was broken off" in broken.stderr
    (part,) = box.work.glob("*.part")
    assert part.stat().st_size < data.stat().st_size
    shown, status = in_a_terminal("cp", data, f"{NAME}:")
    assert status == 0, shown
    assert "/?" not in shown
    assert "looking at what is there already" in shown
    assert filecmp.cmp(box.work / "large.bin", data, shallow=False)
    back = cli("cp", f"{NAME}:large.bin", tmp_path / "back.bin")
    assert back.returncode == 0, back.stderr
    assert filecmp.cmp(tmp_path / "back.bin", data, shallow=False)


def in_a_terminal(*arguments: object) -> tuple[str, int]:
    """What the installed command shows on a terminal, and its exit code."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 110))
    process = subprocess.Popen([COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    with suppress(OSError):  # Linux says so that nobody holds the other end any more
        while data := os.read(ours, 1 << 16):
            shown += data
    os.close(ours)
    return shown.decode(), process.wait()
