"""The kernel's process.

It is started before papermill is imported: each takes about half a second, and so they overlap.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from .processes import Process, oom_kills, processes, tree
from .task import Task

SHUTDOWN_SECONDS = 30.0
"""How long the kernel's own exit handlers may take before it is killed."""
LONGEST_FOLDER = 80
PYTHON = re.compile(r"python(3(\.\d+)?)?")
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class Kernel:
    """A kernel that is coming up from the moment this is made."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.folder = socket_folder()
        self.connection_file = self.folder / "kernel.json"
        self.name, command, environment, self.interrupt_mode = command_of(task)
        self._write_connection()
        self._oom_kills = oom_kills()
        self.process = subprocess.Popen(
            [part.replace("{connection_file}", str(self.connection_file)) for part in command],
            cwd=task.workdir,
            env={**os.environ, **environment, "JPY_PARENT_PID": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            start_new_session=True,
        )

    def _write_connection(self) -> None:
        """Sockets of the file system: no port that another kernel could take, and nobody else may connect."""
        info: dict[str, Any] = {"transport": "ipc", "ip": str(self.folder / "kernel"), "key": uuid.uuid4().hex}
        info.update({f"{name}_port": number for number, name in enumerate(CHANNELS, 1)})
        info.update(signature_scheme="hmac-sha256", kernel_name=self.name)
        self.connection_file.touch(0o600)
        self.connection_file.write_text(json.dumps(info), encoding="utf-8")

    def manager(self, client_class: type) -> Any:
        """A jupyter_client manager of the process that runs already."""
        from jupyter_client.manager import AsyncKernelManager
        from jupyter_client.provisioning.local_provisioner import LocalProvisioner

        manager = AsyncKernelManager(connection_file=str(self.connection_file), kernel_name=self.name)
        manager.load_connection_file()
        manager.client_factory = client_class
        provisioner = LocalProvisioner(parent=manager, kernel_id=self.task.run, kernel_spec=None)
        provisioner.process, provisioner.pid, provisioner.pgid = self.process, self.process.pid, self.process.pid
        manager.provisioner = provisioner
        return manager

    def interrupt(self) -> None:
        """As Jupyter does: SIGINT to the kernel's process group, or a message where its spec says so."""
        if self.interrupt_mode == "message":
            from jupyter_client.blocking.client import BlockingKernelClient

            client = BlockingKernelClient(connection_file=str(self.connection_file))
            client.load_connection_file()
            client.control_channel.send(client.session.msg("interrupt_request", {}))
            client.stop_channels()
        else:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End the kernel and every process that came from it, at once."""
        for pid in self._pids(processes()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def end(self, client: Any) -> bool:
        """Let the kernel run its exit handlers; with no client, or where they take too long, kill it.

        Returns whether it ended by itself.
        """
        graceful = client is not None and self._shut_down(client)
        if not graceful:
            self.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        return graceful

    def _shut_down(self, client: Any) -> bool:
        """Ask on the shell channel where the kernel is ipykernel, whose control thread can wait for itself for ever."""
        channel = client.shell_channel if self.name == "python3" else client.control_channel
        channel.send(client.session.msg("shutdown_request", {"restart": False}))
        try:
            self.process.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def death(self) -> tuple[str, str]:
        """Why the kernel is gone: name and value of an error."""
        code = self.process.wait()
        if code == -signal.SIGKILL and oom_kills() > self._oom_kills:
            return "OutOfMemory", "the system killed the kernel because memory ran out"
        if code < 0:
            return "KernelDied", f"the kernel was killed by {signal.Signals(-code).name}"
        return "KernelDied", f"the kernel exited with code {code}"

    def usage(self) -> dict[str, float]:
        """Memory and processor time of the kernel and its children."""
        table = processes()
        members = [table[pid] for pid in self._pids(table) if pid in table]
        return {"rss_bytes": sum(m.rss for m in members), "cpu_seconds": round(sum(m.cpu for m in members), 2)}

    def _pids(self, table: dict[int, Process]) -> set[int]:
        return tree(self.process.pid, f"JUPYTERCTL_RUN={self.task.run}", table) - {os.getpid()}


def socket_folder() -> Path:
    """A new folder for the kernel's sockets, whose paths may not be longer than about a hundred bytes."""
    folder = tempfile.mkdtemp(prefix="jupyterctl-")
    if len(os.fsencode(folder)) > LONGEST_FOLDER:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="jupyterctl-", dir="/tmp")
    return Path(folder)


def command_of(task: Task) -> tuple[str, list[str], dict[str, str], str]:
    """Name, command, environment and interrupt mode of the kernel that is wanted."""
    if task.language == "python" and task.kernel == "auto":
        launcher = [task.kernel_python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return "python3", [*launcher, "--HistoryManager.hist_file=:memory:"], {}, "signal"
    name, spec = find_kernelspec(task.kernel, task.language)
    program, *arguments = [part.replace("{resource_dir}", spec.resource_dir) for part in spec.argv]
    if PYTHON.fullmatch(program):
        program = python_of(Path(spec.resource_dir), program, task.kernel_python)
    return name, [program, *arguments], spec.env, spec.interrupt_mode


def python_of(resources: Path, program: str, default: str) -> str:
    """What a kernelspec means by `python`: that of the environment it lies in, never the first on the PATH."""
    own = resources.parents[3] / "bin" / program  # PREFIX/share/jupyter/kernels/NAME
    return str(own) if own.exists() else default


def find_kernelspec(name: str, language: str) -> tuple[str, Any]:
    """Name and spec of the kernel named, else of the first that speaks the notebook's language."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    if name != "auto":
        return name, manager.get_kernel_spec(name)
    for found in sorted(manager.find_kernel_specs()):
        spec = manager.get_kernel_spec(found)
        if spec.language.lower() == language.lower():
            return found, spec
    raise NoSuchKernel(language)
