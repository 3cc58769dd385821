"""Kind `local`: this machine.

A run's process is detached: in a session of tmux or screen where there is one, else in a session of its own. The runner
is executed by jupyterctl's own Python, which has papermill; the kernel is the chosen environment's, which needs no more
than ipykernel. The notebook works in its own folder, as it does in JupyterLab, or, isolated, on a copy of its files.

Every command that only reads profiles imports this module for its settings, so what runs need is imported by them.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from .. import model, paths
from ..errors import JupyterctlError, TargetError, UnreachableError, UsageError
from ..model import Bundle, Check, CheckState, Needs, Plan, Profile, Run, ServerSettings
from ..remote import OLDEST
from ..transport import files, launch, multiplexer, process
from ..transport.labs_here import LabsHere

if TYPE_CHECKING:
    import psutil

    from ..environments import Environment

KILL_SECONDS = 5.0
"""How long the system may take to end what was killed."""
ALIASES: tuple[str, ...] = ()
TAIL_BYTES = 4 * 1024 * 1024
"""The most that one call of `journal` returns."""


class Settings(model.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where on this machine Jupyter runs, and with what."""

    environment: Annotated[
        str,
        Meta(
            description="Python environment of the kernels: auto, conda:NAME, conda:/prefix, venv:/path or python:/path"
        ),
    ] = "auto"
    workdir: Annotated[
        str | None,
        Meta(
            description="Folder that notebooks work in, and that the lab shows; left out, the folder of the notebook"
            " itself, and for the lab the one it is started in"
        ),
    ] = None
    before: Annotated[tuple[str, ...], Meta(description="Shell lines to run before the environment is activated")] = ()
    server: ServerSettings = ServerSettings()


def create(profile: Profile) -> Local:
    """The target that a profile describes."""
    return Local(profile)


def default() -> Settings:
    """This machine needs no profile."""
    return Settings()


def candidates() -> Iterator[tuple[str, dict[str, object]]]:
    """One profile for each environment on this machine that can run notebooks."""
    from ..environments import environments, spec_of

    for found in environments(Path.cwd()):
        if "ipykernel" in found.packages:
            yield found.name, {"environment": spec_of(found)}


def place() -> Path:
    """Where runs execute: one directory a run."""
    return paths.state() / "local"


def _refuse_old(found: Environment) -> None:
    from ..environments import label

    if tuple(map(int, found.minor.split("."))) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(
            f"{label(found)} is too old: Python {oldest} is the oldest that will do",
            "name another `environment` in the profile, or have one chosen: auto",
        )


class Local(LabsHere):
    """This machine, with the environment that the profile names."""

    def __init__(self, profile: Profile) -> None:
        assert isinstance(profile.settings, Settings)  # noqa: S101 - validated as this kind's
        self.profile = profile
        self.settings = profile.settings

    # -- the server: see LabsHere --------------------------------------------------------------------------------

    @property
    def server_settings(self) -> ServerSettings:
        """The `[server]` table."""
        return self.settings.server

    @property
    def before(self) -> tuple[str, ...]:
        """The profile's own shell lines."""
        return self.settings.before

    def lab_environment(self, near: Path) -> tuple[Environment, str]:
        """An environment with JupyterLab; NoLabError, TargetError where there is none, or the named one has none."""
        from ..environments import install_command, lab, label

        if not self.named:
            return lab(near)
        found, reason = self._environment(near, Needs(notebook=near))
        if "jupyterlab" not in found.packages:
            raise TargetError(f"{label(found)} has no JupyterLab", install_command(found, ["jupyterlab"]))
        return found, reason

    def kernel_environment(self, near: Path) -> Environment:
        """The one that notebooks in the folder run in."""
        return self._environment(near, Needs(notebook=near))[0]

    def lab_root(self, near: Path) -> Path:
        """The profile's folder, else the one it is started in."""
        return self._workdir(near / "notebook")

    @property
    def named(self) -> bool:
        """Whether the profile names its environment."""
        return self.settings.environment != "auto"

    # -- before a run --------------------------------------------------------------------------------------------

    def check(self) -> Iterator[Check]:
        """The profile's folder, the environment, its kernel, tmux, the state folder and its disk."""
        if self.settings.workdir:
            yield self._check_folder()
        yield self._check_environment()
        yield self._check_lab()
        yield multiplexer.check()
        yield self._check_disk()

    def _check_folder(self) -> Check:
        try:
            folder = self.lab_root(Path.cwd())
        except TargetError as error:
            return Check(name="folder", state=CheckState.FAIL, detail=error.message, fix=error.hint)
        if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return Check(name="folder", state=CheckState.OK, detail=str(folder))
        detail = f"nothing can be written in `{folder}`"
        fix = f"make it writable, or name another `workdir` in `{self.profile.name}`"
        return Check(name="folder", state=CheckState.WARN, detail=detail, fix=fix)

    def _check_environment(self) -> Check:
        from ..environments import install_command, label

        try:
            found, reason = self._environment(Path.cwd(), Needs(notebook=Path.cwd()))
        except UsageError as error:
            return Check(name="environment", state=CheckState.FAIL, detail=error.message, fix=error.hint)
        detail = f"{label(found)}: {reason}"
        if "ipykernel" in found.packages:
            return Check(name="environment", state=CheckState.OK, detail=detail)
        fix = install_command(found, ["ipykernel"])
        return Check(name="environment", state=CheckState.FAIL, detail=f"{detail}, without ipykernel", fix=fix)

    def _check_lab(self) -> Check:
        from ..environments import label

        try:
            found, _ = self.lab_environment(Path.cwd())
        except JupyterctlError as error:
            return Check(name="lab", state=CheckState.WARN, detail=error.message, fix=error.hint)
        version = found.packages["jupyterlab"]
        return Check(name="lab", state=CheckState.OK, detail=f"JupyterLab {version} of {label(found)}")

    def _check_disk(self) -> Check:
        try:
            free = shutil.disk_usage(paths.private(place())).free
        except OSError as error:
            return Check(name="disk", state=CheckState.FAIL, detail=str(error), fix=f"make `{place()}` writable")
        state = CheckState.OK if free > 1 << 30 else CheckState.WARN
        fix = "" if state is CheckState.OK else "free some space, or set JUPYTERCTL_HOME to another disk"
        return Check(name="disk", state=state, detail=f"{free / (1 << 30):.1f} GiB free in {place()}", fix=fix)

    def plan(self, needs: Needs) -> Plan:
        """Choose the environment and the kernel, and say what the notebook would miss there."""
        from ..environments import install_command, label, missing, script

        workdir = {} if needs.isolated else {"workdir": str(self._workdir(needs.notebook))}
        if needs.language != "python" or needs.kernel != "auto":
            return self._plan_kernelspec(needs, workdir)
        found, reason = self._environment(needs.notebook.parent, needs)
        lacking = missing(found, ["ipykernel", *needs.imports])
        return Plan(
            place=label(found),
            reason=reason,
            missing=tuple(lacking),
            fix=install_command(found, lacking) if lacking else "",
            in_place=not needs.isolated,
            launch={**workdir, "kernel_python": str(found.python), "activation": script(found)},
        )

    def _plan_kernelspec(self, needs: Needs, workdir: dict[str, str]) -> Plan:
        """A kernel found by its name or language among the installed kernelspecs, the environment's first."""
        from ..environments import kernelspecs, script

        prefixes = [Path(sys.prefix)]
        activation = ""
        if self.settings.environment != "auto":
            found, _ = self._environment(needs.notebook.parent, needs)
            prefixes.insert(0, found.prefix)
            activation = script(found)
        spec = kernelspecs.find(needs.kernel, needs.language, prefixes)
        return Plan(
            place=f"kernel {spec.name} of {spec.directory}",
            reason="named" if needs.kernel != "auto" else f"it speaks {needs.language}",
            in_place=not needs.isolated,
            launch={
                **workdir,
                "activation": activation,
                "kernel": spec.name,
                "jupyter_path": str(spec.directory.parent.parent),
            },
        )

    def _environment(self, near: Path, needs: Needs) -> tuple[Environment, str]:
        from ..environments import absolute, choose, resolve

        spec = self.settings.environment
        if spec == "auto":
            return choose(near, needs.language, needs.imports)
        found = resolve(absolute(spec, paths.base(self.profile.sources.get("environment"))), near)
        if needs.language == "python" and needs.kernel == "auto" and "ipykernel" not in found.packages:
            _refuse_old(found)  # what is there works, however old; nothing that it lacks could be installed
        return found, "asked for"

    def _workdir(self, notebook: Path) -> Path:
        """Where a notebook works; TargetError where that is no folder."""
        wanted = self.settings.workdir
        start = paths.base(self.profile.sources.get("workdir"))
        folder = start / Path(wanted).expanduser() if wanted else notebook.parent
        if not folder.is_dir():
            raise TargetError(f"the folder `{folder}` is not there", f"make it, or correct it in `{self.profile.name}`")
        return folder

    # -- a run ---------------------------------------------------------------------------------------------------

    def handle(self, run: Run) -> dict[str, str]:
        """The run's directory, and the machine whose processes it is one of."""
        return {"directory": str(place() / run.id), "host": os.uname().nodename}

    def submit(self, run: Run, bundle: Bundle, plan: Plan) -> None:
        """Lay the run's directory out, start its process detached and hand the environment over."""
        directory = paths.private(Path(run.handle["directory"]))
        for name, source in bundle.files.items():
            files.copy(source, directory / name)
        (directory / "files").mkdir(exist_ok=True)
        self._write_task(run, bundle, plan, directory)
        environment = {**self.inherited(), **self.settings.run.env, **bundle.secrets}
        if plan.launch.get("jupyter_path"):
            others = [environment["JUPYTER_PATH"]] if environment.get("JUPYTER_PATH") else []
            environment["JUPYTER_PATH"] = os.pathsep.join([plan.launch["jupyter_path"], *others])
        text = launch.script(
            run.id,
            str(directory),
            plan.launch.get("runner_python", sys.executable),
            self.settings.before,
            plan.launch.get("activation", ""),
        )
        self._spawn(run.id, launch.prepare(directory, text), directory)
        launch.hand_over(directory, launch.exports(environment, run.id))

    def _write_task(self, run: Run, bundle: Bundle, plan: Plan, directory: Path) -> None:
        task = {
            **bundle.task,
            "kernel_python": plan.launch.get("kernel_python"),
            "kernel": plan.launch.get("kernel", "auto"),
            "workdir": plan.launch.get("workdir"),
            "output": run.output,
        }
        paths.write(directory / "params.json", model.encode(task))

    def _spawn(self, run_id: str, file: Path, directory: Path) -> None:
        multiplexer.spawn(f"run-{run_id}", self.script_command(file), directory)

    def journal(self, handle: dict[str, str], offset: int) -> tuple[bytes, bool]:
        """Bytes from the offset on. The process is asked for first: once it is gone, all it wrote is there."""
        directory = files.reach(handle["directory"])
        gone = self._process(handle) is None
        with suppress(FileNotFoundError), (directory / "events.jsonl").open("rb") as file:
            file.seek(offset)
            data = file.read(TAIL_BYTES)
            return data, gone and len(data) < TAIL_BYTES
        return b"", gone

    def collect(self, handle: dict[str, str], name: str, destination: Path) -> str:
        """Copy a file of the run's directory; returns its SHA-256 where it lies."""
        import hashlib

        source = files.reach(handle["directory"]) / name
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files.copy(source, destination)
        return digest

    def cancel(self, handle: dict[str, str], grace: float | None) -> None:
        """SIGTERM to the runner; when `grace` has passed, or where there is none, kill what carries the run's mark."""
        runner = self._process(handle)
        if runner is not None:
            process.end(runner, signal.SIGTERM)
            if grace is None or process.await_that(lambda: self._process(handle) is None, grace):
                return
        for left in process.marked(launch.MARK, Path(handle["directory"]).name):
            process.end(left, signal.SIGKILL)
        process.await_that(lambda: self._process(handle) is None, KILL_SECONDS)

    def discard(self, handle: dict[str, str]) -> None:
        """Remove the run's directory."""
        shutil.rmtree(files.reach(handle["directory"]), ignore_errors=True)

    @staticmethod
    def _process(handle: dict[str, str]) -> psutil.Process | None:
        """The run's process, if it lives on this machine; UnreachableError where that cannot be told."""
        if handle.get("host") != os.uname().nodename:
            raise UnreachableError(f"the run is on `{handle.get('host')}`", "look at it from there")
        directory = Path(handle["directory"])
        try:
            pid = int((directory / launch.PID).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return process.named(pid, str(directory))
