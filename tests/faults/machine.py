"""A machine to which things happen: a real sshd in a network namespace of its own, behind a line that can be cut."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.conftest import end_all, need, wait_for
from tests.sshd import Sshd, answers

DELAY_C = Path(__file__).parents[1] / "bench/delay.c"
_numbers = itertools.count()


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Line:
    """What lies between us and the machine; ours is the end in this namespace."""

    def __init__(self, folder: Path) -> None:
        need("netns", os.geteuid() == 0 and shutil.which("ip") and Path("/dev/net/tun").exists(), "root, ip and tun")
        need("gcc", shutil.which("gcc"), "the line is a small program in C")
        number = next(_numbers)
        self.space = self.device = f"far{os.getpid()}-{number}"[-15:]
        self._net = f"10.{93 + number % 100}.{os.getpid() % 250}"
        self._last = 1
        self.there = f"{self._net}.2"
        program = folder / "delay"
        subprocess.run(["gcc", "-O2", "-o", program, DELAY_C], check=True)
        ip("netns", "add", self.space)
        self._process = subprocess.Popen(
            [program, "-", self.space, "0", self.device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"up\n"
        ip("addr", "add", f"{self._net}.1/24", "dev", self.device)
        ip("link", "set", self.device, "up")
        ip("-n", self.space, "addr", "add", f"{self.there}/24", "dev", self.device)
        for device in ("lo", self.device):
            ip("-n", self.space, "link", "set", device, "up")

    def cut(self) -> None:
        """From now on everything is lost, without a word."""
        self._process.send_signal(signal.SIGUSR1)

    def mend(self) -> None:
        """It passes again."""
        self._process.send_signal(signal.SIGUSR2)

    def become(self, *, milliseconds: int = 0, percent: float = 0) -> None:
        """So long each way, and so many packets lost."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{milliseconds * 1000} {percent}\n".encode())
        self._process.stdin.flush()

    def move(self) -> None:
        """We have another address from now on, as in another network."""
        ip("addr", "del", f"{self._net}.{self._last}/24", "dev", self.device)
        self._last += 2
        ip("addr", "add", f"{self._net}.{self._last}/24", "dev", self.device)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        ip("netns", "del", self.space)


class Machine:
    """The machine: a home, a tmux server and runtime files of its own, and an sshd that leads there."""

    def __init__(self, folder: Path) -> None:
        need("tmux", shutil.which("tmux"), "apt install tmux")
        self.line = Line(folder)
        self.home = folder / "far"
        self._tmux = self.home / "tmux"
        self._tmux.mkdir(parents=True, mode=0o700)
        variables = {"HOME": self.home, "TMUX_TMPDIR": self._tmux, "JUPYTER_RUNTIME_DIR": self.home / "runtime"}
        self.sshd = Sshd(
            folder / "sshd",
            extra="LogLevel VERBOSE\nSetEnv " + " ".join(f"{name}={value}" for name, value in variables.items()),
            address=self.line.there,
            prefix=("nsenter", f"--net=/run/netns/{self.line.space}"),
        )
        self.config = self.sshd.write_config(folder / "near")
        self.start()

    @property
    def known_hosts(self) -> Path:
        """What we know of its key."""
        return self.config.with_name("known_hosts")

    @property
    def state(self) -> Path:
        """Where our program there keeps its things."""
        return self.home / ".local/state/jupyterctl"

    def start(self) -> None:
        """Have sshd answer, again."""
        self.sshd.start()
        wait_for(lambda: answers(self.sshd.address, self.sshd.port))

    def restore(self) -> None:
        """Have everything pass and answer, whatever a test has left."""
        self.line.mend()
        self.line.become()
        if not answers(self.sshd.address, self.sshd.port):
            self.sshd.stop()
            self.start()

    def profile(self, extra: str = "") -> str:
        """A profile of it."""
        return (
            f'kind = "ssh"\nhost = "{self.sshd.name}"\nssh_config = "{self.config}"\n'
            f'environment = "venv:{sys.prefix}"\n{extra}'
        )

    def connections(self) -> int:
        """How many logins it has seen begin, whatever became of them."""
        return self.sshd.log.count("Connection from")

    def programs(self, word: str) -> list[psutil.Process]:
        """What runs there with this word in its command line."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("HOME") == str(self.home) and any(word in part for part in process.cmdline()):
                    found.append(process)
        return found

    def kill_tmux(self) -> None:
        """End tmux's server and all that runs in it, as a careless `tmux kill-server` does."""
        subprocess.run(["tmux", "kill-server"], env={**os.environ, "TMUX_TMPDIR": str(self._tmux)}, check=True)

    def kill_all(self) -> None:
        """End everything at once that a reboot would end, and have sshd answer again."""
        self.sshd.stop()
        end_all("HOME", self.home)
        wait_for(lambda: not self.programs("jupyter"))
        self.start()

    def close(self) -> None:
        self.sshd.stop()
        end_all("HOME", self.home)
        self.line.close()
