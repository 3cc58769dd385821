"""Runs one notebook through papermill and writes its journal. Shipped alone: needs Python 3.9 and papermill.

    python RUN_DIRECTORY/runner.py

The directory holds `in.ipynb` and `params.json` (what to do, see `Task`); the runner adds `events.jsonl` (the journal, one
JSON line an event, flushed at once), `out.ipynb` (replaced atomically as it grows) and `runner.log`. It ends with the
exit code of the outcome. SIGTERM or SIGINT asks for a graceful end: the kernel is interrupted, the notebook saved, the
kernel's processes ended.

The kernel is started before papermill is imported: both take about half a second, and so they overlap.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from datetime import datetime, timezone
from typing import Any, Dict, Tuple

Failure = Dict[str, Any]
"""Why an attempt did not succeed: name, value, cell, traceback."""
Process = Tuple[int, int, int, float]
"""Of one process: parent, session, resident bytes, processor seconds."""

EXIT_CODES = {"succeeded": 0, "failed": 1, "lost": 3, "cancelled": 4, "timed-out": 5, "kernel-died": 6}
TEXT_LIMIT = 4096
"""Characters of one output that the journal carries; the notebook has them all."""
TRACEBACK_LIMIT = 32768
ALIVE_EVERY = 10.0
SAVE_EVERY = 1.0
"""Seconds between saves, at least; and at least ten times what the last one took."""
PULSE = 0.1
SHUTDOWN_GRACE = 10.0
"""Seconds the kernel has for its own exit handlers before it is killed."""
RESERVE_BYTES = 256 * 1024
"""Kept free in the run's directory, so that a full disk still leaves room for the last events."""


class Task:
    """What `params.json` asks for; times in seconds."""

    def __init__(self, directory: str) -> None:
        with open(os.path.join(directory, "params.json"), encoding="utf-8") as file:
            given = json.load(file)
        self.directory = directory
        self.run = given["run"]
        self.parameters = given.get("parameters") or {}
        self.secrets = given.get("secrets") or []
        self.secret_parameters = given.get("secret_parameters") or []
        self.language = given.get("language") or "python"
        self.kernel = given.get("kernel") or "auto"
        self.kernel_python = given.get("kernel_python") or sys.executable
        self.workdir = given.get("workdir") or os.path.join(directory, "files")
        self.timeout = given.get("timeout")
        self.cell_timeout = given.get("cell_timeout")
        self.start_timeout = given.get("start_timeout") or 60.0
        self.retries = given.get("retries") or 0
        self.grace = given.get("grace") or 10.0
        self.output = given.get("output")
        self.mask = Mask([os.environ[name] for name in self.secrets if os.environ.get(name)])


class Mask:
    """Replaces secret values by `***` in everything that is written."""

    def __init__(self, values: list[str]) -> None:
        parts = {line for value in values for line in [value, *value.splitlines()] if len(line) >= 4}
        self.parts = sorted(parts, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without any secret."""
        for part in self.parts:
            text = text.replace(part, "***")
        return text

    def json_text(self, text: str) -> str:
        """The same for a JSON document, where a secret stands escaped."""
        for part in self.parts:
            for ascii_only in (False, True):
                text = text.replace(json.dumps(part, ensure_ascii=ascii_only)[1:-1], "***")
        return text


class Journal:
    """Appends events; keeps what a full disk refuses and writes it when there is room again."""

    def __init__(self, directory: str, mask: Mask) -> None:
        self.path = os.path.join(directory, "events.jsonl")
        self.reserve = os.path.join(directory, ".reserve")
        self.mask = mask
        self.lock = threading.Lock()
        self.pending = b""
        self.file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.seq = self._lines()
        try:
            with open(self.reserve, "wb") as file:
                file.write(bytes(RESERVE_BYTES))
        except OSError:
            pass

    def _lines(self) -> int:
        with open(self.path, "rb") as file:
            return sum(1 for _ in file)

    def write(self, event: str, **fields: object) -> None:
        """One event: `event`, `seq`, `time` and its own fields."""
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self.lock:
            record = {"seq": self.seq, "time": moment, "event": event, **fields}
            self.pending += self.mask.json_text(json.dumps(record, ensure_ascii=False)).encode("utf-8", "replace") + b"\n"
            self.seq += 1
            self._flush()

    def _flush(self) -> None:
        try:
            while self.pending:
                self.pending = self.pending[os.write(self.file, self.pending) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def last(self, event: str, **fields: object) -> None:
        """The last event: the reserve is given up for it."""
        self.release()
        self.write(event, **fields)

    def release(self) -> None:
        """Give the reserved room back."""
        try:
            os.unlink(self.reserve)
        except OSError:
            pass


class Output:
    """Saves the notebook atomically as it grows, to the run's directory and where the user asked for it."""

    def __init__(self, task: Task, journal: Journal) -> None:
        self.path = os.path.join(task.directory, "out.ipynb")
        self.copy = task.output
        self.mask = task.mask
        self.journal = journal
        self.next_save = 0.0
        self.digest: str | None = None
        self.size: int | None = None
        self.undelivered: str | None = None

    def save_if_due(self, notebook: Any) -> None:
        """Save unless the last save was a moment ago; a full disk is met again at the last save."""
        if time.monotonic() >= self.next_save:
            try:
                self.save(notebook)
            except OSError as error:
                log("could not save: %s" % error)

    def save(self, notebook: Any) -> None:
        """Save now; raises OSError where the run's own directory takes nothing."""
        import nbformat

        began = time.monotonic()
        try:
            text = self.mask.json_text(nbformat.writes(notebook))
            data = text.encode("utf-8", "replace")
            replace(self.path, data)
            self.digest, self.size = hashlib.sha256(data).hexdigest(), len(data)
            if self.copy:
                self._deliver(self.copy, data)
        finally:
            took = time.monotonic() - began
            self.next_save = time.monotonic() + max(SAVE_EVERY, 10 * took)

    def _deliver(self, path: str, data: bytes) -> None:
        try:
            replace(path, data)
            self.undelivered = None
        except OSError as error:
            self.undelivered = "%s: %s" % (error.strerror, path)


def replace(path: str, data: bytes) -> None:
    """Write a file atomically: temporary file beside it, fsync, rename."""
    temporary = os.path.join(os.path.dirname(path), ".%s.%d.tmp" % (os.path.basename(path)[:100], os.getpid()))
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


class Kernel:
    """The kernel's process, started here so that papermill can be imported while it comes up."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.folder = tempfile.mkdtemp(prefix="jupyterctl-")
        self.connection_file = os.path.join(self.folder, "kernel.json")
        self.name, command, environment, self.interrupt_mode = self._command()
        self._write_connection()
        self.oom_kills = oom_kills()
        self.process = subprocess.Popen(
            [part.replace("{connection_file}", self.connection_file) for part in command],
            cwd=task.workdir,
            env={**os.environ, **environment, "JPY_PARENT_PID": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            start_new_session=True,
        )

    def _command(self) -> tuple[str, list[str], dict[str, str], str]:
        task = self.task
        if task.language == "python" and task.kernel == "auto":
            launcher = [task.kernel_python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return "python3", [*launcher, "--HistoryManager.hist_file=:memory:"], {}, "signal"
        name, spec = find_kernelspec(task.kernel, task.language)
        command = [part.replace("{resource_dir}", spec.resource_dir) for part in spec.argv]
        return name, command, spec.env, spec.interrupt_mode

    def _write_connection(self) -> None:
        """Sockets of the file system: no port to be taken by another kernel, and nobody else may connect."""
        info: dict[str, Any] = {"transport": "ipc", "ip": os.path.join(self.folder, "kernel"), "key": uuid.uuid4().hex}
        names = ("shell", "iopub", "stdin", "control", "hb")
        info.update({name + "_port": number for number, name in enumerate(names, 1)})
        info.update(signature_scheme="hmac-sha256", kernel_name=self.name)
        with open(os.open(self.connection_file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            json.dump(info, file)

    def manager(self, client_class: type) -> Any:
        """A jupyter_client manager of the process that runs already."""
        from jupyter_client.manager import AsyncKernelManager
        from jupyter_client.provisioning.local_provisioner import LocalProvisioner

        manager = AsyncKernelManager(connection_file=self.connection_file, kernel_name=self.name)
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

            client = BlockingKernelClient(connection_file=self.connection_file)
            client.load_connection_file()
            client.control_channel.send(client.session.msg("interrupt_request", {}))
            client.stop_channels()
            return
        try:
            os.killpg(self.process.pid, signal.SIGINT)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        """End the kernel and every process that came from it, at once."""
        for pid in self._tree():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def end(self, client: Any, force: bool) -> None:
        """Let the kernel run its exit handlers, then make sure that nothing of it is left; `force` skips the first."""
        if self.process.poll() is None and client is not None and not force:
            self._ask_to_shut_down(client)
            try:
                self.process.wait(SHUTDOWN_GRACE)
            except subprocess.TimeoutExpired:
                log("the kernel did not end within %d s; killed" % SHUTDOWN_GRACE)
                force = True
        if force or self.process.poll() is None:
            self.kill()
            self.process.wait()
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        os.rmdir(self.folder)

    def _ask_to_shut_down(self, client: Any) -> None:
        """ipykernel is asked on its shell channel: on the control channel's thread its end can wait for itself forever."""
        channel = client.shell_channel if self.name == "python3" else client.control_channel
        channel.send(client.session.msg("shutdown_request", {"restart": False}))

    def death(self) -> tuple[str, str]:
        """Why the kernel is gone: (name, value) of the error."""
        code = self.process.wait()
        if code == -signal.SIGKILL and oom_kills() > self.oom_kills:
            return "OutOfMemory", "the system killed the kernel because memory ran out"
        if code < 0:
            return "KernelDied", "the kernel was killed by %s" % signal.Signals(-code).name
        return "KernelDied", "the kernel exited with code %d" % code

    def usage(self) -> dict[str, float]:
        """Memory and processor time of the kernel and its children."""
        table = processes()
        members = [table[pid] for pid in self._tree(table) if pid in table]
        return {"rss_bytes": sum(m[2] for m in members), "cpu_seconds": round(sum(m[3] for m in members), 2)}

    def _tree(self, table: dict[int, Process] | None = None) -> set[int]:
        """Pids of the kernel, its session and its descendants, and of what left both but carries the run's mark."""
        table = processes() if table is None else table
        tree = {self.process.pid}
        grown = True
        while grown:
            more = {pid for pid, (parent, session, _, _) in table.items() if parent in tree or session == self.process.pid}
            grown = not more <= tree
            tree |= more
        mark = b"JUPYTERCTL_RUN=" + self.task.run.encode()
        return (tree | {pid for pid in table if marked(pid, mark)}) - {os.getpid()}


def marked(pid: int, mark: bytes) -> bool:
    """Whether a process was started with the run's mark in its environment (where the system tells)."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def processes() -> dict[int, Process]:
    """Every process: pid to (parent, session, resident bytes, processor seconds)."""
    if not os.path.isdir("/proc/self"):
        return processes_by_ps()
    tick, page, table = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE"), {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as file:
                    field = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            table[int(name)] = (int(field[1]), int(field[3]), int(field[21]) * page, (int(field[11]) + int(field[12])) / tick)
    return table


def processes_by_ps() -> dict[int, Process]:
    """The same where there is no /proc."""
    table = {}
    listing = subprocess.run(["ps", "-axo", "pid=,ppid=,sess=,rss=,time="], capture_output=True, text=True, check=False)
    for line in listing.stdout.splitlines():
        pid, parent, session, rss, clock = line.split()
        seconds = 0.0
        for part in clock.replace("-", ":").split(":"):
            seconds = seconds * 60 + float(part)
        table[int(pid)] = (int(parent), int(session) if session.isdigit() else 0, int(rss) * 1024, seconds)
    return table


def oom_kills() -> int:
    """How many processes this machine's kernel has killed for want of memory, 0 where it does not tell."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except OSError:
        return 0


def find_kernelspec(name: str, language: str) -> tuple[str, Any]:
    """(name, spec) of the kernel named, else of one that speaks the notebook's language."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    if name != "auto":
        return name, manager.get_kernel_spec(name)
    for found in sorted(manager.find_kernel_specs()):
        spec = manager.get_kernel_spec(found)
        if spec.language.lower() == language.lower():
            return found, spec
    raise NoSuchKernel(language)


class Stopped(Exception):
    """The run was asked to stop and nothing executes: unwind."""


class Execution:
    """One attempt: its state, its clock, and what the engine's hooks report."""

    def __init__(self, task: Task, journal: Journal, attempt: int) -> None:
        self.task, self.journal, self.attempt = task, journal, attempt
        self.output = Output(task, journal)
        self.kernel: Any = None
        self.client: Any = None
        self.notebook: Any = None
        self.stop_reason: tuple[str, str, str] | None = None
        self.kill_at: float | None = None
        self.failure: Failure | None = None
        self.early = False
        self.cell: int | None = None
        self.cell_began = 0.0
        self.stream: tuple[int, str, list[str]] | None = None
        self.began = time.monotonic()
        self.done = threading.Event()
        self.stream_lock = threading.Lock()

    # -- asked to stop -------------------------------------------------------------------------------------------

    def stop(self, status: str, name: str, value: str) -> None:
        """Ask for a graceful end; the first reason stands. Safe in a signal handler."""
        if self.stop_reason is None:
            self.stop_reason = (status, name, value)
            self.kill_at = time.monotonic() + self.task.grace
            if self.kernel is not None:
                if self.cell is None:
                    self.kill_at = time.monotonic()
                self.kernel.interrupt()

    def pulse(self) -> None:
        """The clock's thread: journal what is buffered, tell that we live, end what takes too long."""
        next_alive = time.monotonic() + ALIVE_EVERY
        while not self.done.wait(PULSE):
            now = time.monotonic()
            self.flush_stream()
            if now >= next_alive:
                next_alive = now + ALIVE_EVERY
                self.journal.write("alive", **self.kernel.usage(), disk_free=disk_free(self.task.directory))
            limit = self.task.cell_timeout
            if limit and self.cell is not None and now - self.cell_began >= limit:
                self.stop("timed-out", "CellTimeout", "a cell took longer than %g s" % limit)
            if self.task.timeout and now - self.began >= self.task.timeout:
                self.stop("timed-out", "RunTimeout", "the run took longer than %g s" % self.task.timeout)
            if self.kill_at is not None and now >= self.kill_at:
                self.kill_at = None
                self.kernel.kill()

    # -- told by the engine --------------------------------------------------------------------------------------

    def notebook_started(self, notebook: Any, info: dict[str, Any]) -> None:
        """The kernel answers and the notebook has its parameters."""
        from importlib.metadata import version

        self.journal.write(
            "started",
            cells=sum(1 for cell in notebook.cells if runs(cell)),
            kernel=self.kernel.name,
            python=info.get("language_info", {}).get("version", ""),
            papermill=version("papermill"),
            host=socket.gethostname(),
            pid=os.getpid(),
            attempt=self.attempt,
        )

    def cell_started(self, cell: Any, index: int) -> None:
        """A cell is about to execute; Stopped where it must not."""
        if self.stop_reason or self.early:
            raise Stopped
        if runs(cell):
            line = next(line.strip() for line in cell.source.splitlines() if line.strip())
            self.journal.write("cell", index=index, source=line[:200])
            self.cell_began = time.monotonic()
            self.cell = index
            log("[cell %d] %s" % (index, line[:100]))

    def cell_ended(self, cell: Any, index: int, status: str) -> None:
        """A cell is over; `status` is ok, error, interrupted or died."""
        self.flush_stream()
        if self.cell == index:
            seconds = time.monotonic() - self.cell_began
            self.cell = None
            join_streams(cell)
            self.journal.write("cell-done", index=index, status=status, seconds=round(seconds, 3))
        if self.output.next_save <= time.monotonic():
            self.output.save_if_due(self.notebook)

    def cell_output(self, index: int, output: Any) -> None:
        """An output arrived: streams are gathered for a moment, anything else is journalled at once."""
        if output.output_type == "stream":
            with self.stream_lock:
                if self.stream and self.stream[:2] != (index, output.name):
                    self._write_stream()
                self.stream = self.stream or (index, output.name, [])
                self.stream[2].append(output.text)
        else:
            self.flush_stream()
            self.journal.write("output", index=index, **summary(output))
        self.output.save_if_due(self.notebook)

    def flush_stream(self) -> None:
        """Journal the stream text gathered so far."""
        with self.stream_lock:
            self._write_stream()

    def _write_stream(self) -> None:
        if self.stream:
            index, name, parts = self.stream
            self.stream = None
            self.journal.write("output", index=index, kind="stream", name=name, **cut("".join(parts)))

    # -- the outcome ---------------------------------------------------------------------------------------------

    def outcome(self, error: Exception | None) -> tuple[str, Failure | None]:
        """(status, error or None) of the attempt; `error` is what papermill raised outside any cell."""
        if self.stop_reason:
            status, name, value = self.stop_reason
            cell, traceback = (self.failure["cell"], self.failure["traceback"]) if self.failure else (None, [])
            return status, {"name": name, "value": value, "cell": cell, "traceback": traceback}
        if self.early:
            return "succeeded", None
        if self.failure:
            return self.failure.pop("status", "failed"), self.failure
        if error is not None:
            return "failed", {"name": type(error).__name__, "value": str(error)[:2000], "cell": None, "traceback": []}
        return "succeeded", None

    def fail(self, cell: Any, index: int, error: Exception | None) -> None:
        """A cell raised: remember how; sys.exit() and sys.exit(0) are an early, good end."""
        outputs = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
        name, value = (outputs[-1].ename, outputs[-1].evalue) if outputs else (type(error).__name__, str(error))
        if name == "SystemExit" and value in ("", "0", "None", "False"):
            self.early = True
            return
        traceback = outputs[-1].traceback if outputs else []
        text = "\n".join(traceback)[-TRACEBACK_LIMIT:]
        self.failure = {"name": name, "value": value[:2000], "cell": index, "traceback": text.splitlines()}


def runs(cell: Any) -> bool:
    """Whether a cell is executed at all."""
    return cell.cell_type == "code" and bool(cell.source.strip())


def cut(text: str) -> dict[str, Any]:
    """The end of a text, at most TEXT_LIMIT characters, with how many are missing."""
    if len(text) <= TEXT_LIMIT:
        return {"text": text}
    return {"text": text[-TEXT_LIMIT:], "cut": len(text) - TEXT_LIMIT}


def summary(output: Any) -> dict[str, Any]:
    """The journal's fields for an output that is not a stream."""
    if output.output_type == "error":
        return {"kind": "error", "name": output.ename, **cut("%s: %s" % (output.ename, output.evalue))}
    data = output.get("data", {})
    kind = "result" if output.output_type == "execute_result" else "display"
    sizes = {mime: len(value if isinstance(value, str) else json.dumps(value)) for mime, value in data.items()}
    return {"kind": kind, "mime": sizes, **cut(data.get("text/plain", ""))}


def join_streams(cell: Any) -> None:
    """Join neighbouring stream outputs of one name, as a notebook saved by hand has them."""
    joined: list[list[Any]] = []
    for output in cell.get("outputs", ()):
        last = joined[-1] if joined else None
        if last and output.output_type == "stream" and last[0].output_type == "stream" and last[0].name == output.name:
            last.append(output)
        else:
            joined.append([output])
    for group in joined:
        if len(group) > 1:
            group[0].text = "".join(output.text for output in group)
    cell.outputs = [group[0] for group in joined]


def disk_free(directory: str) -> int:
    """Bytes free to us where the run's directory is."""
    usage = os.statvfs(directory)
    return usage.f_bavail * usage.f_frsize


def log(text: str) -> None:
    """A line for whoever looks at runner.log, or at the terminal that this runs in."""
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.write(text + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass


def define_engine(execution: Execution) -> type:
    """papermill's engine, client and manager of one execution; defined here because papermill is imported late."""
    from jupyter_client.asynchronous.client import AsyncKernelClient
    from nbclient.exceptions import DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, NotebookExecutionManager

    class Ready(AsyncKernelClient):
        """Knows that the kernel is ready by its answer on both channels, without waiting for silence."""

        async def wait_for_ready(self, timeout: float | None = None) -> None:
            """Ask until the kernel answers on its shell and iopub channels; RuntimeError where it died or is late."""
            await ready(self, execution, timeout)

    class Client(PapermillNotebookClient):
        """Reports outputs as they come, and the payload by which `exit()` and `quit()` announce themselves."""

        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            """As nbclient does, then tell the execution of what was added."""
            output = super().process_message(msg, cell, cell_index)
            if output is not None:
                execution.cell_output(cell_index, output)
            return output

        async def _check_raise_for_error(self, cell: Any, cell_index: int, exec_reply: Any) -> None:
            payload = (exec_reply or {}).get("content", {}).get("payload") or ()
            if any(part.get("source") == "ask_exit" for part in payload):
                execution.early = True
            await super()._check_raise_for_error(cell, cell_index, exec_reply)

    class Manager(NotebookExecutionManager):
        """Keeps papermill's metadata true and hands every step to the execution."""

        status: str | None = "ok"

        def save(self, **kwargs: Any) -> None:
            """Saving is the execution's: atomic, and not more often than it pays."""

        def autosave_cell(self) -> None:
            """Likewise."""

        def cell_start(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
            """Stopped where the run must not go on."""
            self.status = None
            execution.cell_started(cell, cell_index)
            super().cell_start(cell, cell_index, **kwargs)
            self.status = "ok"

        def cell_exception(
            self, cell: Any, cell_index: int = 0, exception: Exception | None = None, **kwargs: Any
        ) -> None:
            """A cell raised, or the kernel was interrupted or died in it."""
            execution.fail(cell, cell_index, exception)
            self.status = "interrupted" if execution.stop_reason else "ok" if execution.early else "error"
            if not execution.early:
                super().cell_exception(cell, cell_index, exception=exception, **kwargs)

        def cell_complete(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
            """A cell is over, or was never begun because the run stops."""
            if self.status is None:
                return
            if isinstance(sys.exc_info()[1], DeadKernelError):
                self.died(cell, cell_index)
            super().cell_complete(cell, cell_index, **kwargs)
            execution.cell_ended(cell, cell_index, self.status)

        def died(self, cell: Any, index: int) -> None:
            """Mark the cell in which the kernel died; papermill would call it completed."""
            self.status = "died"
            name, value = execution.kernel.death()
            execution.failure = {"status": "kernel-died", "name": name, "value": value, "cell": index, "traceback": []}
            NotebookExecutionManager.cell_exception(self, cell, index)

        def notebook_complete(self, **kwargs: Any) -> None:
            """Leave cells that never ran pending, where papermill would call them completed."""
            pending = [cell for cell in self.nb.cells if runs(cell) and cell.metadata.papermill["status"] == self.PENDING]
            super().notebook_complete(**kwargs)
            for cell in pending:
                cell.metadata.papermill["status"] = self.PENDING

    class Engine(NBClientEngine):
        """papermill's own engine with our manager, client and kernel."""

        @classmethod
        def execute_notebook(cls, nb: Any, kernel_name: str, **kwargs: Any) -> Any:
            """Execute; the notebook is complete in memory whatever happens."""
            inject_secrets(nb, execution.task)
            manager = Manager(nb, progress_bar=False)
            execution.notebook = nb
            manager.notebook_start()
            try:
                cls.execute_managed_notebook(manager, kernel_name)
            except Stopped:
                pass
            finally:
                manager.notebook_complete()
            return nb

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> None:
            """Attach to the kernel that is coming up and execute the cells."""
            client = Client(
                nb_man,
                km=execution.kernel.manager(Ready),
                kernel_name=kernel_name,
                startup_timeout=execution.task.start_timeout,
                timeout=None,
                raise_on_iopub_timeout=False,
                iopub_timeout=60,
                coalesce_streams=False,
            )
            try:
                client.execute()
            finally:
                execution.client = client.kc

    return Engine


async def ready(client: Any, execution: Execution, timeout: float | None) -> None:
    """Ask for kernel_info until the answer came on shell and its idle status on iopub."""
    from queue import Empty

    deadline = time.monotonic() + (timeout or 60.0)
    request, reply = client.kernel_info(), None
    while True:
        try:
            if reply is None:
                reply = await client.get_shell_msg(timeout=0.2)
            status = await client.get_iopub_msg(timeout=0.2)
            if status["parent_header"].get("msg_id") == request and status["content"].get("execution_state") == "idle":
                break
        except Empty:
            if reply is not None:
                request, reply = client.kernel_info(), None
        if execution.stop_reason:
            raise Stopped
        if execution.kernel.process.poll() is not None:
            raise RuntimeError("the kernel did not start: %s" % execution.kernel.death()[1])
        if time.monotonic() > deadline:
            raise RuntimeError("the kernel did not answer within %g s" % (timeout or 60.0))
    execution.notebook_started(execution.notebook, reply["content"])
    execution.output.save_if_due(execution.notebook)


def inject_secrets(notebook: Any, task: Task) -> None:
    """Give secrets that are parameters their value from the environment, by reference, after the other parameters."""
    if not task.secret_parameters or task.language != "python":
        return
    import nbformat

    lines = ["import os", *("%s = os.environ[%r]" % (name, name) for name in task.secret_parameters)]
    tags = [set(cell.metadata.get("tags", ())) for cell in notebook.cells]
    where = [i for i, tag in enumerate(tags) if tag & {"parameters", "injected-parameters"}]
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-secrets"]})
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        del cell["id"]
    notebook.cells.insert(where[-1] + 1 if where else 0, cell)


def attempt(
    task: Task, journal: Journal, number: int, executions: list[Execution]
) -> tuple[Execution, str, Failure | None]:
    """Run the notebook once: (execution, status, error)."""
    execution = Execution(task, journal, number)
    executions.append(execution)
    error = None
    clock = threading.Thread(target=execution.pulse, daemon=True)
    try:
        execution.kernel = Kernel(task)
        clock.start()
        execute(task, execution)
    except Exception as raised:
        error = raised
        log("%s: %s" % (type(raised).__name__, raised))
    status, failure = execution.outcome(error)
    try:
        status, failure = finish(execution, status, failure)
    finally:
        execution.done.set()
    return execution, status, failure


def execute(task: Task, execution: Execution) -> None:
    """Through papermill. Its notebook's own verdict is not asked for: an output of a cell that may raise counts there."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    papermill_engines.register("jupyterctl", define_engine(execution))
    try:
        papermill.execute_notebook(
            "in.ipynb",
            None,
            parameters=task.parameters,
            engine_name="jupyterctl",
            kernel_name=execution.kernel.name,
            language=task.language,
            progress_bar=False,
        )
    except PapermillExecutionError:
        pass


def finish(execution: Execution, status: str, failure: Failure | None) -> tuple[str, Failure | None]:
    """Save and end the kernel; a result that cannot be saved is a failure, of the place and not of a cell."""
    force = status not in ("succeeded", "failed")
    if execution.notebook is not None:
        execution.journal.release()
        try:
            execution.output.save(execution.notebook)
        except OSError as error:
            value = "the output notebook could not be saved: %s: %s" % (error.strerror, execution.output.path)
            status, failure = "failed", {"name": "OutputNotSaved", "value": value, "cell": None, "traceback": []}
    if execution.kernel is not None:
        execution.kernel.end(execution.client, force)
    return status, failure


def main() -> int:
    """Run `params.json` of this file's directory; returns the exit code."""
    directory = os.path.dirname(os.path.abspath(__file__))
    os.chdir(directory)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    task = Task(directory)
    journal = Journal(directory, task.mask)
    executions: list[Execution] = []

    def cancel(signum: int, frame: object) -> None:
        if executions:
            executions[-1].stop("cancelled", "Cancelled", "cancelled by %s" % signal.Signals(signum).name)

    signal.signal(signal.SIGTERM, cancel)
    signal.signal(signal.SIGINT, cancel)
    began = time.monotonic()
    for number in range(1, task.retries + 2):
        execution, status, error = attempt(task, journal, number, executions)
        if status in ("succeeded", "cancelled") or number > task.retries:
            break
        journal.write("retry", attempt=number + 1, of=task.retries + 1, status=status, error=error)
    fields = {"status": status, "seconds": round(time.monotonic() - began, 3), "error": error}
    fields.update(sha256=execution.output.digest, bytes=execution.output.size)
    if execution.early and status == "succeeded":
        fields["early"] = True
    if execution.output.undelivered:
        fields["undelivered"] = execution.output.undelivered
    journal.last("ended", **fields)
    return 3 if status == "failed" and error and error["cell"] is None else EXIT_CODES[status]


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    sys.stdout.flush()
    os._exit(code)
