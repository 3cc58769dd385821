"""Profiles from `~/.ssh/config`, and what `profile check` finds on the way."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.sshd import make_key
from tests.terminal import conversation

from .box import NAME, Box

PHASES = [
    "resolve",
    "connect",
    "authenticate",
    "way",
    "machine",
    "python",
    "clock",
    "folder",
    "environment",
    "lab",
    "tmux",
    "disk",
]


def checks(cli, *arguments: str) -> dict[str, dict[str, str]]:
    """What `profile check` finds, by name; and that each failure says what to do."""
    found = json.loads(cli("profile", "check", NAME, "--json", *arguments).stdout)["checks"]
    assert all(one["fix"] for one in found if one["state"] == "fail")
    return {one["name"]: one for one in found if one["target"] == NAME}


def test_each_host_becomes_a_profile(box: Box, cli, home: Path) -> None:
    with box.config.open("a") as config:
        config.write("Host *.example !no\n  User eve\nHost two three\n  HostName 127.0.0.1\n")
    more = box.config.with_name("more")
    more.write_text("Host included\n  HostName 127.0.0.1\n")
    box.config.write_text(f"Include {more}\n{box.config.read_text()}")
    listed = cli("profile", "import", "ssh", "--all")
    assert listed.returncode == 0, listed.stderr
    made = {file.stem: file.read_text() for file in (home / "config/profiles").glob("*.toml")}
    assert set(made) == {NAME, "box", "two", "three", "included"}
    assert re.search(r'^host = "two"$', made["two"], re.MULTILINE)


def test_every_phase_is_looked_at(box: Box, cli) -> None:
    found = checks(cli)
    assert [name for name in found if name in PHASES] == PHASES
    assert {found[name]["state"] for name in PHASES} == {"ok"}
    assert "ed25519" in found["way"]["detail"] or "127.0.0.1" in found["way"]["detail"]
    assert re.search(r"\d s from ours", found["clock"]["detail"])


def test_a_machine_that_does_not_answer(box: Box, cli) -> None:
    box.sshd.stop()
    found = checks(cli)
    assert found["way"]["state"] == "fail"
    assert "refuses connections" in found["way"]["detail"]
    assert "python" not in found


def test_a_host_key_that_has_changed(box: Box, cli) -> None:
    box.sshd.stop()
    for file in (box.sshd.host_key, box.sshd.host_key.with_suffix(".pub")):
        file.unlink()
    make_key(box.sshd.host_key)
    box.sshd.start()
    found = checks(cli)
    assert found["way"]["state"] == "fail"
    assert "host key" in found["way"]["detail"]
    assert re.search(r"ssh-keygen .*-R", found["way"]["fix"])


def test_a_host_key_that_somebody_declines(box: Box, tmp_path: Path) -> None:
    (box.config.parent / "known_hosts").write_text("")
    code, seen = conversation(["profile", "check", NAME], {}, tmp_path)
    assert code == 3, seen
    assert "was not accepted" in seen
    assert "nobody is here" not in seen


def test_a_login_that_is_refused(box: Box, cli) -> None:
    (box.sshd.folder / "authorized_keys").write_text("")
    found = checks(cli)
    assert found["way"]["state"] == "fail"
    assert "refuses the login" in found["way"]["detail"]


def test_an_environment_without_a_kernel(box: Box, cli, home: Path) -> None:
    box.profile(home, environment="python:/usr/bin/python3")
    found = checks(cli)
    assert found["environment"]["state"] == "fail"
    assert "install ipykernel" in found["environment"]["fix"]
    assert found["way"]["state"] == "ok"


def test_a_folder_that_is_not_there_and_one_that_is_read_only(box: Box, cli) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", box.work], check=True)
    try:
        found = checks(cli)["folder"]
    finally:
        subprocess.run(["umount", "-l", box.work], check=True)
    assert found["state"] == "warn"
    assert str(box.work) in found["detail"]
    assert "`workdir`" in found["fix"]
    box.work.rmdir()
    found = checks(cli)["folder"]
    assert found["state"] == "fail"
    assert f"`{box.work}` is not there" in found["detail"]


def test_an_environment_of_a_python_that_is_too_old(box: Box, cli, home: Path) -> None:
    old = box.home / "old/bin/python2.7"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho 'Unknown option: -I' >&2\nexit 2\n")
    old.chmod(0o755)
    box.profile(home, environment=f"python:{old}")
    found = checks(cli)
    assert found["way"]["state"] == "ok"
    for name in ("environment", "lab"):
        assert found[name]["state"] != "ok"
        assert "python 2.7" in found[name]["detail"]
        assert "Python 3.9 is the oldest" in found[name]["detail"]
    failed = cli("start", NAME, "--no-open")
    assert failed.returncode != 0
    assert "Python 3.9 is the oldest" in failed.stderr
