"""`cp` and `sync` with another machine: by rsync where both have it, else over SFTP."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.link.far import blob

from .box import NAME, need_all
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
