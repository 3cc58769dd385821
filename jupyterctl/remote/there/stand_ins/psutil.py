"""Stands in for psutil: processes by /proc where there is one, by `ps` elsewhere."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress

STATUS_ZOMBIE, CONN_LISTEN = "zombie", "LISTEN"
_PROC = os.path.exists("/proc/self/stat")  # noqa: PTH110 - asked once, at import
_LISTENING = "0A"


class Error(Exception):
    """It is gone, or another user's."""


class NoSuchProcess(Error):  # noqa: N818 - the library's own name
    """It is gone."""


class AccessDenied(Error):  # noqa: N818 - the library's own name
    """It is another user's."""


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - thousands of them
            return file.read()
    except PermissionError:
        raise AccessDenied(pid) from None
    except OSError:
        raise NoSuchProcess(pid) from None


def _ps(pid, *columns):
    wanted = [part for column in columns for part in ("-o", f"{column}=")]
    done = subprocess.run(["ps", "-p", str(pid), "-ww", *wanted], capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise NoSuchProcess(pid)
    return done.stdout.strip()


def _booted():
    with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123 - as above
        return next(float(line.split()[1]) for line in file if line.startswith("btime"))


class Process:
    """One process."""

    def __init__(self, pid):
        self.pid = pid
        self._began = self.create_time()

    def _stat(self):
        return _read(self.pid, "stat").decode("utf-8", "replace").rpartition(")")[2].split()

    def create_time(self):
        """Seconds since 1970."""
        if _PROC:
            return _booted() + int(self._stat()[19]) / os.sysconf("SC_CLK_TCK")
        return time.mktime(time.strptime(_ps(self.pid, "lstart")))

    def status(self):
        """`zombie`, or anything else."""
        state = self._stat()[0] if _PROC else _ps(self.pid, "state")
        return STATUS_ZOMBIE if state.startswith("Z") else state

    def cmdline(self):
        """Its arguments."""
        if not _PROC:
            return _ps(self.pid, "command").split()
        return [part.decode("utf-8", "surrogateescape") for part in _read(self.pid, "cmdline").split(b"\0")[:-1]]

    def environ(self):
        """The variables that it was started with."""
        if _PROC:
            lines = os.fsdecode(_read(self.pid, "environ")).split("\0")
        else:
            done = subprocess.run(["ps", "-Eww", "-p", str(self.pid)], capture_output=True, text=True, check=False)
            lines = done.stdout.split()
        return {name: value for name, sign, value in (line.partition("=") for line in lines) if sign}

    def name(self):
        """The program's."""
        return _read(self.pid, "comm").decode().strip() if _PROC else os.path.basename(_ps(self.pid, "comm"))  # noqa: PTH119

    def send_signal(self, number):
        """Only to the very process that was looked at."""
        if self.create_time() != self._began:
            raise NoSuchProcess(self.pid)
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            raise NoSuchProcess(self.pid) from None
        except PermissionError:
            raise AccessDenied(self.pid) from None


def process_iter():
    """Every process there is."""
    if _PROC:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names are all
    else:
        done = subprocess.run(["ps", "-axo", "pid="], capture_output=True, text=True, check=False)
        pids = [int(word) for word in done.stdout.split()]
    for pid in pids:
        try:
            yield Process(pid)
        except Error:
            continue


class _Listening:
    def __init__(self, port, pid):
        self.status = CONN_LISTEN
        self.laddr = type("Address", (), {"port": port})()
        self.pid = pid


def net_connections(_kind):
    """Who listens on which port, as far as this user may know."""
    if not _PROC:
        return
    ports = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:  # noqa: PTH123 - as above
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        ports.update({row[9]: int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING})
    for process in process_iter():
        for inode in {link[8:-1] for link in _descriptors(process.pid) if link.startswith("socket:[")} & set(ports):
            yield _Listening(ports[inode], process.pid)


def _descriptors(pid):
    """What a process has open; one that is closed meanwhile, as the listing's own is, hides no other."""
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - as above
            with suppress(OSError):
                yield os.readlink(f"{folder}/{name}")  # noqa: PTH115 - as above
