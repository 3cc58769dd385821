"""A real ssh server on loopback, with keys of its own: started, killed and restarted by tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from .conftest import need, wait_for

PROGRAM = Path("/usr/sbin/sshd")
CONFIG = """
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 200:30:400
MaxSessions 100
Subsystem sftp internal-sftp
{extra}
"""


class Sshd:
    """An sshd on 127.0.0.1 with its own host key and one key that may log in.

    `name` stands for it in the config text of `ssh_config()`; `extra` are lines of sshd_config; `prefix` is put before
    the command, as `ip netns exec NAME`, and `address` is where it listens then.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "box",
        extra: str = "",
        address: str = "127.0.0.1",
        prefix: tuple[str, ...] = (),
    ) -> None:
        need("sshd", PROGRAM.exists(), "no ssh server is installed")
        need("root", os.geteuid() == 0, "sshd is started with its own privilege separation")
        self.folder, self.name, self.extra, self.address, self.prefix = folder, name, extra, address, prefix
        folder.mkdir(parents=True, exist_ok=True)
        self.host_key, self.user_key = folder / "host_key", folder / "user_key"
        for key in (self.host_key, self.user_key):
            if not key.exists():
                make_key(key)
        (folder / "authorized_keys").write_text(self.user_key.with_suffix(".pub").read_text())
        self.port = free_port()
        self.user = "root"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def known_hosts(self) -> str:
        """The line of a known_hosts file for it."""
        kind, key = self.host_key.with_suffix(".pub").read_text().split()[:2]
        return f"[{self.address}]:{self.port} {kind} {key}\n"

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "sshd.log").read_text(errors="replace")

    def start(self) -> Sshd:
        """Start it (again, on the same port) and wait until it answers."""
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        config = self.folder / "sshd_config"
        config.write_text(CONFIG.format(port=self.port, address=self.address, folder=self.folder, extra=self.extra))
        command = [*self.prefix, str(PROGRAM), "-D", "-f", str(config), "-E", str(self.folder / "sshd.log")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        if not self.prefix:
            wait_for(lambda: answers(self.address, self.port))
        return self

    def stop(self) -> None:
        """End it and every connection it has."""
        if self._process is None:
            return
        self.suspend()
        self.kill_sessions()
        self._process.kill()
        self._process.wait()
        self._process = None

    def suspend(self) -> None:
        """Let nobody in from now on, not even who comes back at once; connections that are there go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def sessions(self) -> list[psutil.Process]:
        """The processes of its connections, without what these run."""
        if self._process is None:
            return []
        found = psutil.Process(self._process.pid).children(recursive=True)
        return [each for each in found if "sshd" in _name(each)]

    def kill_sessions(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal every connection's processes; SIGSTOP makes it silent."""
        for each in self.sessions():
            try:
                each.send_signal(number)
            except psutil.NoSuchProcess:
                continue

    def write_config(self, home: Path, *, extra: str = "") -> Path:
        """Make `ssh NAME` work for this home, by its .ssh/config and .ssh/known_hosts; the config's path."""
        folder = home / ".ssh"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "known_hosts").open("a") as known:
            known.write(self.known_hosts)
        config = folder / "config"
        with config.open("a") as text:
            text.write(self.ssh_config(folder / "known_hosts", extra))
        return config

    def ssh_config(self, known_hosts: Path, extra: str = "") -> str:
        """A `Host` block for it."""
        return (
            f"Host {self.name}\n  HostName {self.address}\n  Port {self.port}\n  User {self.user}\n"
            f"  IdentityFile {self.user_key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {known_hosts}\n"
            + "".join(f"  {line}\n" for line in extra.splitlines())
        )


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """A new key pair in two files."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def _name(process: psutil.Process) -> str:
    """A process's name; empty for one that has just ended."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""
