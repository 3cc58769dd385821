"""The whole program as one object: every verb of the command line and of the dashboard is a method here.

The front ends only render. Modules are imported by the verb that needs them, so that a quick command stays quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ..errors import MissingLibraryError, UsageError

if TYPE_CHECKING:
    from ..environments.environment import Environment
    from ..environments.solve import Step
    from ..model import Event, Facts, Kernel, Loss, Phase, Profile, Run, RunOptions
    from ..schema import Field
    from ..store import Store
    from .authoring import Candidate
    from .autostart import Autostart
    from .copying import Mirroring
    from .copying import Progress as FileProgress
    from .doctor import Finding
    from .given import Given
    from .inspection import Inspection
    from .ledger import Ledger
    from .outputs import ResultCell
    from .prepare import Prepared
    from .profiles import Entry, Value
    from .removal import Removal
    from .report import Comparison, FailingCell
    from .servers import Place
    from .status import Overview, Status


class Session:
    """One person at one machine, with the profiles that hold in one folder."""

    LAB, RUNNER = "lab", "runner"
    """What the environment is called that is made where none has JupyterLab."""

    def __init__(
        self,
        cwd: Path | None = None,
        notify: Callable[[str], object] = len,
        progress: Callable[[str], object] = len,
    ) -> None:
        """`notify` is told, in words for the person, of what was mended on the way; `progress` what is waited for."""
        self.cwd = cwd or _working_directory()
        self.notify = notify
        self.progress = progress

    def kinds(self) -> list[str]:
        """Names of all kinds."""
        from .. import target

        return target.kinds()

    def profiles(self) -> list[Entry]:
        """Every profile that holds here, by name, the broken ones with their error."""
        from . import profiles

        return profiles.entries(self.cwd)

    def entry(self, name: str) -> Entry | None:
        """One profile, valid or broken; None where no file has the name."""
        from . import profiles

        return profiles.entry(name, self.cwd)

    def profile(self, name: str) -> Profile:
        """What `--target NAME` means: a profile, a kind's only profile, or the kind's own default."""
        from . import profiles

        return profiles.resolve(name, self.cwd)

    def server_profile(self, name: str) -> Profile:
        """What a server goes by: its own profile, or its kind's default where it was started without one."""
        return self._place(name).profile

    def profile_values(self, profile: Profile) -> list[Value]:
        """Every setting of a profile with the file it comes from."""
        from . import profiles

        return profiles.values(profile)

    def profile_file(self, name: str, *, project: bool = False) -> Path:
        """Where a new profile of this name would stand."""
        from . import authoring

        return authoring.folder(self.cwd, project=project) / f"{name}.toml"

    def profile_files(self, name: str, *, project: bool | None = None) -> list[Path]:
        """The files of a profile, the nearest first: all, the project's alone, or the user's alone."""
        from .. import config, paths

        files = config.files(name, self.cwd)
        return [file for file in files if project is None or (file.parent == paths.profiles()) is not project]

    def new_profile(
        self, name: str, kind: str, settings: dict[str, Any], *, project: bool = False, replace: bool = False
    ) -> Path:
        """Write a profile with every setting explained; returns its file."""
        from . import authoring

        return authoring.new(name, kind, settings, authoring.folder(self.cwd, project=project), replace=replace)

    def settings(self, kind: str) -> list[Field]:
        """Every setting of a kind, for forms and flags."""
        from .. import schema, target

        return schema.fields(target.load(kind).Settings)

    def change_profile(self, name: str, changes: Mapping[str, Any]) -> Path:
        """Set settings by dotted key in the nearest file of a profile, None taking one out; returns the file."""
        from . import amend

        return amend.change(name, changes, self.cwd)

    def profile_removal(self, name: str) -> Removal:
        """What removing a profile would delete, to be carried out; BusyError while its lab runs."""
        from . import removal

        return removal.Removal(self.store, name, self.cwd)

    def candidates(self, source: str) -> list[Candidate]:
        """The profiles that a TOML file, a folder of them or a kind offers for import."""
        from . import authoring

        return authoring.candidates(source, self.cwd)

    def import_profile(self, candidate: Candidate, *, project: bool = False, replace: bool = False) -> Path:
        """Write one of `candidates`; returns its file."""
        from . import authoring

        return authoring.take(candidate, authoring.folder(self.cwd, project=project), replace=replace)

    def profile_schema(self) -> bytes:
        """The JSON schema of profiles, for editors."""
        from . import authoring

        return authoring.document()

    def doctor(self, target: str | None = None) -> Iterator[Finding]:
        """Look at a target, or at this installation and every profile, step by step."""
        from . import doctor

        return doctor.examine(self.cwd, target)

    def inspect(self, notebook: Path) -> Inspection:
        """What a notebook is and asks for, told by reading it."""
        from . import inspection

        return inspection.inspect(self.cwd / notebook)

    # -- servers -------------------------------------------------------------------------------------------------

    def overview(self) -> Overview:
        """Every target's status, and the servers that nobody started from here; no server is waited for long."""
        from . import status

        return status.overview(self.cwd, lambda: self.store)

    def statuses(self) -> list[Status]:
        """Every profile's server, link and health, and those of servers whose profile is gone."""
        return self.overview().servers

    def status(self, name: str) -> Status:
        """One target's server, link and full health."""
        from . import status

        return status.status(self.cwd, name, lambda: self.store)

    def facts(self, name: str) -> Facts:
        """What a server's place says of it beside its state."""
        from . import status

        return status.facts(self._place(name))

    def glance(self, name: str) -> Status:
        """The same as `status`, of a server that has just been started, found or brought back."""
        from . import status

        return status.glance(self.cwd, name, lambda: self.store)

    def start_server(self, name: str) -> Iterator[Phase]:
        """Start a target's server, find the one that runs, or adopt one that was started by hand; step by step."""
        from . import servers

        yield from servers.start(self._place(name))

    def reconnect(self, name: str) -> Iterator[Phase]:
        """Bring the way to a target's server back, now, and prove it; step by step."""
        from . import links

        yield from links.reconnect(self._place(name))

    def link_url(self, name: str) -> str:
        """The near end of a target's link, without its token."""
        kept = self.store.kept(name).get(name)
        return kept.address.url if kept else ""

    def linked(self) -> list[str]:
        """The targets whose link is to be up."""
        return sorted(self.store.kept())

    def restart_server(self, name: str) -> Iterator[Phase]:
        """Stop and start a server: same port, same token, same root."""
        from . import servers

        yield from servers.restart(self._place(name))

    def stop_server(self, name: str, *, force: bool = False) -> None:
        """End a server; BusyError names the kernels that compute, and what else would go, unless it may be lost."""
        from . import servers

        servers.stop(self._place(name), force=force)

    def busy_kernels(self, name: str) -> list[Kernel]:
        """The kernels of a server that compute."""
        from . import servers

        return servers.busy_kernels(self._place(name))

    def would_lose(self, name: str) -> Loss | None:
        """What goes with a server that is stopped or restarted, beside what its kernels hold."""
        return self._place(name).loss()

    def server_url(self, name: str) -> str:
        """The lab's address, with its token."""
        from . import servers

        return servers.url(self._place(name))

    def server_log(self, name: str, lines: int = 2000) -> str:
        """The last lines of a server's log, of the last one where none runs."""
        from . import servers

        return servers.log(self._place(name), lines)

    def follow_server_log(self, name: str) -> Iterator[str]:
        """What is added to a server's log from now on, as it comes; empty where nothing is new for a moment."""
        from . import servers

        yield from servers.follow_log(self._place(name))

    def shell_command(self, name: str, *, terminal: bool = True) -> list[str]:
        """What to execute to get a shell there, the environment active; without a terminal in no window."""
        from . import servers

        return servers.shell_command(self._place(name), terminal=terminal)

    def enter(self, name: str) -> int | None:
        """Give this process's terminal to a shell elsewhere; its exit code. None where it is on this machine."""
        from . import servers

        return servers.enter(self._place(name))

    def server_page(self, name: str) -> Path:
        """A private page that leads a browser to the lab, so that the token stands on no command line."""
        from . import servers

        return servers.page(self._place(name))

    def copy(self, source: str, destination: str, progress: FileProgress, *, recursive: bool = False) -> str:
        """Copy to a target or back, one of the two written `NAME:PATH`; where it is now."""
        from . import copying

        ends = copying.Ends.of(source, destination)
        return copying.copy(self._place(ends.target), self.cwd, ends, progress, recursive=recursive)

    def mirror(
        self, name: str, folder: Path, progress: FileProgress, *, back: bool, delete: bool, dry_run: bool
    ) -> Mirroring:
        """Make a target's folder as one here, or with `back` the one here as the target's."""
        from . import copying

        return copying.mirror(self._place(name), self.cwd / folder, progress, back=back, delete=delete, dry_run=dry_run)

    def autostart_file(self, name: str) -> Autostart:
        """The exact file that would start a target's server at login."""
        from . import autostart

        return autostart.describe(self.profile(name).name, self.cwd)

    def autostart(self, name: str, on: bool) -> Path:
        """Start a target's server at login, or no longer; the file that says so."""
        from . import autostart

        if not on:
            return autostart.turn_off(name)
        wanted = self.autostart_file(name)
        autostart.turn_on(wanted)
        return wanted.file

    def autostarts(self) -> list[Autostart]:
        """What is started at login."""
        from . import autostart

        return autostart.listed()

    def _place(self, name: str) -> Place:
        from . import servers

        return servers.place(self.store, name, self.cwd)

    # -- environments --------------------------------------------------------------------------------------------

    def environments(self) -> list[Environment]:
        """Every Python environment on this machine, best first for a notebook in this folder."""
        from .. import environments

        return environments.environments(self.cwd)

    def environment(self, name: str) -> Environment:
        """One environment, by its name, its folder, or as a profile names it."""
        from .. import environments

        return environments.resolve(name, self.cwd)

    def create_environment(
        self,
        name: str = "",
        *,
        packages: Sequence[str] = (),
        channels: Sequence[str] = (),
        file: Path | None = None,
        prefix: Path | None = None,
        virtual: bool = False,
        report: Callable[[Step], None] = lambda _: None,
    ) -> Environment:
        """Make an environment under a name or at a prefix; `report` hears how far it is."""
        from ..environments import create

        return create.create(
            name,
            packages=packages,
            channels=channels,
            file=self.cwd / file.expanduser() if file else None,
            prefix=self.cwd / prefix.expanduser() if prefix else None,
            virtual=virtual,
            report=report,
        )

    def create_lab(self, name: str = "", report: Callable[[Step], None] = lambda _: None) -> None:
        """Make the environment `LAB` with JupyterLab, at a target or here: conda's where they can be made, else venv's.

        At another machine it is a virtual one, made with what that machine has.
        """
        from . import links

        at = links.distant(self._place(name).target) if name else None
        if at is not None:
            at.make_environment(self.LAB, report)
            return
        try:
            self.create_environment(self.LAB, report=report)
        except MissingLibraryError:
            self.create_environment(self.LAB, virtual=True, report=report)

    def create_runner(self, name: str, report: Callable[[Step], None] = lambda _: None) -> None:
        """Make the environment `RUNNER` with papermill and a kernel at a target elsewhere."""
        from . import links

        if (at := links.distant(self._place(name).target)) is not None:
            at.make_environment(self.RUNNER, report)

    def check_removable(self, environment: Environment) -> None:
        """UsageError for an environment that jupyterctl did not make or runs in."""
        from ..environments import create

        create.check_removable(environment)

    def remove_environment(self, environment: Environment) -> None:
        """Delete an environment that jupyterctl made."""
        from ..environments import create

        create.remove(environment)

    # -- runs ----------------------------------------------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """The store, opened when it is first needed; what it mended on the way is told to `notify`."""
        from ..store import Store

        return Store(notify=self.notify)

    def given(
        self,
        typed: Sequence[tuple[str, str]],
        raw: Sequence[tuple[str, str]],
        yaml_texts: Sequence[str],
        files: Sequence[Path],
    ) -> dict[str, Given]:
        """Parameter values from the flags `-p`, `-r`, `-y` and `-f`."""
        from . import given

        return given.given(typed, raw, yaml_texts, files)

    def secret_references(self, texts: Sequence[str]) -> dict[str, str]:
        """Secrets by name, each with its reference; every one of them can be resolved now."""
        from . import secrets

        references = dict(secrets.parse(text) for text in texts)
        for reference in references.values():
            secrets.resolve(reference)
        return references

    def prepare(
        self,
        notebook: Path,
        target: str = "",
        *,
        given: Mapping[str, Given],
        secrets: Mapping[str, str],
        output: str | None = None,
        options: RunOptions,
    ) -> Prepared:
        """Everything about a run that can be known before anything starts."""
        from .. import targets
        from . import prepare

        request = prepare.Request(
            notebook=self.cwd / notebook,
            target=target or targets.DEFAULT,
            given=given,
            secrets=secrets,
            output=output,
            options=structs.replace(options, cwd=str(self.cwd)),
        )
        return prepare.prepare(request, self.progress)

    def create_run(self, prepared: Prepared) -> Run:
        """Make the record of a run; nothing is started."""
        from . import prepare, runs

        run = prepare.run_of(prepared, prepared.request.given)
        return runs.create(self.store, run, prepared.notebook.path)

    def rehearse(self, prepared: Prepared, sweeps: Sequence[str] = (), jobs: int = 1) -> str:
        """What running it would make at the target, or the runs of a grid, as YAML; nothing is made."""
        from . import prepare, rehearsal, sweep

        made = sweep.points(prepared, sweeps) if sweeps else [prepare.run_of(prepared, prepared.request.given)]
        return rehearsal.rehearse(made, prepared.notebook.path, jobs)

    def submit(self, run: Run) -> Run:
        """Start a run at its target, detached."""
        from . import runs

        return runs.submit(self.store, run)

    def follow(self, run: Run) -> Iterator[tuple[Run, Event | None]]:
        """The run and its events from the first to the last, as they come; None while nothing is new."""
        from . import watch

        return watch.follow(self.store, run)

    def run(self, name: str | None = None) -> Run:
        """A run as it stands now, by its id, a unique beginning of it, or the newest."""
        from . import runs

        return runs.refresh(self.store, runs.find(self.store, name))

    def find_run(self, name: str | None = None) -> Run:
        """The same as it was last known, without asking the place."""
        from . import runs

        return runs.find(self.store, name)

    def runs(self, *, limit: int | None = None, live: bool = False) -> list[Run]:
        """Runs as they stand now, newest first."""
        from . import runs

        return [runs.refresh(self.store, run) for run in self.store.runs(limit=limit, live=live)]

    def ledger(self) -> Ledger:
        """All runs as a list shows them, to be looked at again and again for what is new."""
        from ..store import Store
        from .ledger import Ledger

        return Ledger(Store(notify=self.notify))

    def request_cancel(self, run: Run) -> None:
        """Ask a live run to end, without waiting for it."""
        from . import runs

        runs.cancel(self.store, self.store.run(run.id), wait=False)

    def cancel(self, run: Run, grace: float | None = None) -> Run:
        """End a live run, its notebook saved; by force after `grace` seconds, None: when it has had its time."""
        from . import runs

        return runs.cancel(self.store, run, grace)

    def fetch(self, run: Run, destination: Path | None = None) -> Path:
        """Bring a run's notebook home, as far as it is saved."""
        from . import runs

        return runs.fetch(self.store, run, self.cwd / destination if destination else None)

    def remove(self, run: Run) -> None:
        """Forget an ended run and all that is kept of it."""
        from . import runs

        runs.remove(self.store, run)

    def output(self, run: Run) -> Path | None:
        """Where a run's result is now."""
        from . import results

        return results.output(run)

    def events(self, run: Run) -> list[Event]:
        """A run's journal as far as it has been fetched."""
        from . import journal, records

        return journal.events(records.journal(run.id))

    def result_cells(self, run: Run) -> list[ResultCell]:
        """The cells of a run's result with their outputs, as far as it has come home."""
        from . import outputs

        return outputs.cells(run)

    def runner_log(self, run: Run) -> str:
        """What the runner itself has logged, as far as it can be had."""
        from . import runs

        return runs.log(run)

    def rerun(self, run: Run) -> Run:
        """Make a run like this one, of the notebook as it is now."""
        from . import again

        return again.rerun(self.store, run)

    def failing_cell(self, run: Run) -> FailingCell | None:
        """The cell in which a run failed, None where no cell is to blame."""
        from . import report

        return report.failing_cell(run)

    def report(self, run: Run, destination: Path | None = None) -> Path:
        """A run's result as one HTML page; returns where it is."""
        from . import report

        return report.html(self.store, run, self.cwd / destination if destination else None)

    def compare(self, first: Run, second: Run) -> Comparison:
        """What differs between two runs: parameters, durations, outputs."""
        from . import report

        return report.compare(self.store, first, second)

    # -- sweeps --------------------------------------------------------------------------------------------------

    def create_sweep(self, prepared: Prepared, sweeps: Sequence[str], jobs: int) -> str:
        """Keep a queued run for each point of the grid; returns the sweep's name."""
        from . import sweep

        return sweep.create(self.store, prepared, sweeps, jobs)

    def find_sweep(self, name: str) -> str | None:
        """The sweep of that name, or the only one that begins so where no run does; else None."""
        return self.store.find_sweep(name)

    def sweep(self, name: str) -> list[Run]:
        """The runs of a sweep as they stand, in the order of its grid."""
        return self.store.runs(sweep=name)[::-1]

    def follow_sweep(self, name: str) -> Iterator[tuple[Run, Event | None]]:
        """Go on with a sweep and give all its events as they come."""
        from . import sweep

        return sweep.follow(self.store, name)

    def detach_sweep(self, name: str) -> None:
        """Let the target have a sweep, or a process of its own go on with it."""
        from . import sweep

        sweep.detach(self.store, name)

    def cancel_sweep(self, name: str) -> None:
        """Ask every run of a sweep that has not ended to end; those still queued never start."""
        from . import sweep

        sweep.cancel(self.store, name)


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the working directory no longer exists", "change to one that does") from error
