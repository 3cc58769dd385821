"""A machine behind a real sshd on loopback: a home, runtime files and programs of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import end_all, need
from tests.sshd import Sshd

NAME = "far"


class Box:
    """The machine, and somebody at this one whose profile `far` it is.

    `without` are programs that it does not have; `sshd` are lines of its sshd's configuration.
    """

    def __init__(self, folder: Path, *, without: tuple[str, ...] = (), sshd: str = "") -> None:
        self.folder = folder
        self.home, self.near = folder / "far", folder / "near"
        self.work = self.home / "work"
        for made in (self.home / "tmux", self.home / "screens", self.work, self.near):
            made.mkdir(parents=True, mode=0o700)
        self.variables = {
            "HOME": str(self.home),
            "TMUX_TMPDIR": str(self.home / "tmux"),
            "SCREENDIR": str(self.home / "screens"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
        }
        if without:
            self.variables["PATH"] = str(_programs(folder / "programs", without))
        told = " ".join(f"{name}={value}" for name, value in self.variables.items())
        self.sshd = Sshd(folder / "sshd", extra=f"LogLevel VERBOSE\nSetEnv {told}\n{sshd}").start()
        self.config = self.sshd.write_config(self.near)

    @property
    def state(self) -> Path:
        """Where our program there keeps its things."""
        return self.home / ".local/state/jupyterctl"

    def profile(self, home: Path, extra: str = "", *, environment: str = f"venv:{sys.prefix}") -> None:
        """Write the profile; its folder there is `work`."""
        file = home / "config/profiles" / f"{NAME}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f'kind = "ssh"\nhost = "{self.sshd.name}"\nssh_config = "{self.config}"\nworkdir = "{self.work}"\n'
            f'environment = "{environment}"\n{extra}'
        )

    def logins(self) -> int:
        """How many there were."""
        return len(re.findall(r"Accepted \S+ for ", self.sshd.log))

    def there(self, *command: str) -> str:
        """What a command prints that is executed there."""
        environment = {**os.environ, **self.variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    def close(self) -> None:
        self.sshd.stop()
        end_all("HOME", self.home)


def _programs(folder: Path, without: tuple[str, ...]) -> Path:
    """A folder with every program of the system but some."""
    folder.mkdir()
    for place in ("/usr/bin", "/bin", "/usr/sbin"):
        for program in Path(place).iterdir():
            if program.name not in without and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return folder


def need_all(*programs: str) -> None:
    """Skip the test where a program is absent, or fail it where it must be there."""
    for program in programs:
        need(program, shutil.which(program), f"apt install {program}")
