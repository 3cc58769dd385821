"""The Target protocol and the registry of kinds.

A kind is one module that offers `Settings` (its settings struct), `ALIASES`, `create(profile)` and
`default()` (the settings of the kind's own default target, or None). Ours live in `jupyterctl.targets`; third parties
add theirs by the entry-point group `jupyterctl.targets`. Listing kinds imports none; `load` imports that one alone.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import msgspec

from . import model, targets
from .errors import ConfigError
from .model import (
    Address,
    Bundle,
    Check,
    Dial,
    Facts,
    Fate,
    Link,
    Listing,
    Loss,
    Needs,
    Phase,
    Plan,
    Profile,
    Run,
    Server,
    ServerSpec,
)

if TYPE_CHECKING:
    from .environments.solve import Step
    from .transport.carrier import Progress
    from .transport.linked import Opened
    from .transport.ssh.way import Ask, Report

GROUP = "jupyterctl.targets"
"""Entry-point group of kinds from other packages."""


class Target(Protocol):
    """A profile brought to life. Every method may raise UnreachableError where the place does not answer."""

    profile: Profile
    site: str
    """Which place it is: targets of one site see the same servers."""
    remote: bool
    """Whether it lies beyond a way that can be lost, so that it is `Distant` too."""

    def check(self) -> Iterator[Check]:
        """Look at the place step by step, each step with its fix."""

    def start(self, spec: ServerSpec) -> Iterator[Phase]:
        """Start a server, detached, step by step, unless it is there; over once it answers an authenticated request.

        TargetError with the last log lines where a step fails,
        NoLabError where no environment has JupyterLab.
        """

    def servers(self) -> list[Server]:
        """Every Jupyter server at the place, whoever started it."""

    def find(self, name: str, known: Server | None = None) -> Server | None:
        """The server of a profile, however it was started; `known` is what was last known of it."""

    def adoptable(self, name: str, near: Path) -> Server | None:
        """A server started by hand that is what the profile describes, if there is one."""

    def address(self, server: Server) -> Address | Dial:
        """Where it can be reached directly, with its token; or where a link must lead."""

    def stop(self, server: Server) -> None:
        """End a server, gently at first; TargetError where it does not end."""

    def log(self, server: Server | None, name: str, offset: int) -> tuple[bytes, int]:
        """Its log from a byte offset on, and the offset to go on from; a negative offset counts from the end.

        Without a server that of the last one of that name.
        """

    def shell(self, server: Server | None, near: Path) -> list[str]:
        """The command that gives a person a shell there, in the server's terminal if it has one."""

    def plan(self, needs: Needs) -> Plan:
        """Decide where and with what a notebook would run, and what is missing there; starts nothing."""

    def handle(self, run: Run) -> dict[str, str]:
        """What will find the run again; kept before `submit`, so that a crash in between loses nothing."""

    def submit(self, run: Run, bundle: Bundle, plan: Plan) -> None:
        """Start the run of `run.handle` detached: nothing on this machine need stay alive."""

    def journal(self, handle: dict[str, str], offset: int) -> tuple[bytes, bool]:
        """The journal's bytes from `offset` on, and whether the run's process is gone."""

    def collect(self, handle: dict[str, str], name: str, destination: Path) -> str:
        """Copy one file of the run's directory here; returns its SHA-256 as made at the target.

        FileNotFoundError where the run has no such file.
        """

    def cancel(self, handle: dict[str, str], grace: float | None) -> None:
        """Ask the run to end, its notebook saved; after `grace` seconds end it by force. None: only ask."""

    def discard(self, handle: dict[str, str]) -> None:
        """Remove the run's directory at the target."""


@runtime_checkable
class Telling(Protocol):
    """A target whose place says more of a server than how it is."""

    def facts(self, name: str) -> Facts:
        """What it says of a profile's server now; nothing where there is none."""


@runtime_checkable
class Losing(Protocol):
    """A target where a stop may take more than kernels along."""

    def loses(self, name: str) -> Loss | None:
        """What would be gone if a profile's server, as it is now, were stopped; None where everything is kept."""


@runtime_checkable
class Knowing(Protocol):
    """A target whose place remembers how a process ended."""

    def fate(self, handle: dict[str, str]) -> Fate | None:
        """Why a run's process is gone that left no last word; None where the place cannot tell."""


@runtime_checkable
class Queueing(Protocol):
    """A target where a run may have to wait before it starts."""

    def pending(self, handle: dict[str, str]) -> str:
        """Why it has not started, in words, as the last look at its journal showed; empty where nothing is wrong."""


@runtime_checkable
class Following(Protocol):
    """A target that goes on reading a journal by itself while it is asked for it again and again."""

    def unfollow(self, handle: dict[str, str]) -> None:
        """Nobody asks any more."""


@runtime_checkable
class Rehearsing(Protocol):
    """A target that makes objects of a run, and can show them before it does."""

    def manifest(self, run: Run, bundle: Bundle, plan: Plan) -> str:
        """What `submit` would make, as YAML documents; no secret stands in it."""


Load = tuple[Run, Bundle, Plan]
"""A run, what goes along with it, and where it would run."""


@runtime_checkable
class Gathering(Protocol):
    """A target that can take all runs of a sweep at once, and starts one as another ends whatever becomes of us."""

    def handles(self, runs: Sequence[Run]) -> list[dict[str, str]]:
        """What will find each of them again, as `handle`."""

    def gather(self, runs: Sequence[Load], at_once: int) -> Callable[[], None] | None:
        """What starts them all, each with its handle, detached, so many at a time, or leaves nothing behind.

        None where the place, as it is now, cannot take these together.
        """

    def gathered(self, runs: Sequence[Load], at_once: int) -> str | None:
        """What would be made of them, as YAML documents; no secret stands in it."""

    def withhold(self, handles: Sequence[dict[str, str]]) -> None:
        """Let those runs of a sweep not begin that have not; their fate is to be cancelled."""


@runtime_checkable
class Preparing(Protocol):
    """A target that may have to fetch something before it can plan."""

    progress: Callable[[str], object]
    """Is told how far that is."""


class Distant(Target, Protocol):
    """A target beyond a way that a keeper holds open."""

    direct: bool
    """Whether its lab is reached without a link, at an address of its own."""
    route: tuple[str, ...]
    """What tells one way from another: profiles with the same one could share it."""
    files_by: str
    """What files go by, in a word."""

    def link(self, port: int, dial: Dial | None) -> Link:
        """Have the keeper hold the lab's link up at a local port; None: to where it finds the lab."""

    def reach(self) -> Iterator[Phase]:
        """Have the way opened, unless it is open, step by step."""

    def reconnect(self) -> Iterator[Phase]:
        """Have the way opened anew and the link proved, step by step."""

    def state(self) -> Link:
        """What the keeper says; UnreachableError where there is none."""

    def let_go(self) -> None:
        """Have the keeper let go of the link."""

    def look(self, path: str) -> Listing:
        """What a path there leads to; a relative one starts at the profile's folder."""

    def arrange(self, folders: Sequence[str], times: Mapping[str, float], remove: Sequence[str]) -> None:
        """Make folders, set the times of files, and remove files there, by absolute path."""

    def put(self, source: Path, destination: str, progress: Progress) -> None:
        """Copy a file there, in place at once; resumed where it was broken off."""

    def get(self, source: str, destination: Path, progress: Progress) -> None:
        """Copy a file here, likewise, checked against its digest."""

    def shell_stream(self) -> list[str]:
        """The command that other programs, as rsync, take for a remote shell; a host's name and words follow it.

        Empty where there is none.
        """

    def enter(self, server: Server | None) -> int:
        """Give this process's terminal to a shell there, as `shell`, until it ends; its exit code."""

    def make_environment(self, name: str, report: Callable[[Step], object]) -> None:
        """Make the environment `lab` or `runner` there; `report` hears how far it is."""

    def warm(self) -> None:
        """Import what `open` needs, while there is nothing else to do; for the keeper alone."""

    def open(self, ask: Ask, report: Report) -> Opened:
        """Open the way; for the keeper alone."""

    def dial(self, carrier: Opened, *, anew: bool) -> Dial:
        """Where the profile's lab listens now, asked over an open way; for the keeper alone. TargetError: nowhere.

        `anew`: one that is gone may be started again.
        """


class Kind(Protocol):
    """What the module of a kind offers."""

    Settings: type[model.Settings]
    ALIASES: tuple[str, ...]

    def create(self, profile: Profile) -> Target:
        """The target that a profile of this kind describes."""

    def default(self) -> model.Settings | None:
        """Settings of the target that exists with no profile at all, None where there is none."""

    def candidates(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Profiles that could be made of what is found on this machine: (name, settings)."""


def kinds() -> list[str]:
    """Names of all kinds, ours first, and of those the one that needs no profile; imports none of them."""
    return [*_ours(), *(name for name in _foreign() if name not in _ours())]


def exists(kind: str) -> bool:
    """Whether there is a kind of that name; imports none of them."""
    return kind in _ours() or kind in _foreign()


def load(kind: str) -> Kind:
    """Import one kind; ConfigError names the kinds there are."""
    module = _imported(kind)
    settle(module.Settings)
    return module


def settle(settings: type) -> None:
    """Let msgspec look at a struct for the first time: two threads that do so at once end the process."""
    with _SETTLING:
        if settings not in _settled:
            with suppress(msgspec.ValidationError):
                msgspec.convert({}, settings)
            _settled.add(settings)


_SETTLING = threading.Lock()
_settled: set[type] = set()


def _imported(kind: str) -> Kind:
    if kind in _ours():
        return cast(Kind, importlib.import_module(f"{targets.__name__}.{kind}"))
    entry = _foreign().get(kind)
    if entry is None:
        raise ConfigError(f"there is no kind `{kind}`", f"the kinds are: {', '.join(kinds())}")
    try:
        return cast(Kind, importlib.import_module(entry))
    except ImportError as error:
        raise ConfigError(f"the kind `{kind}` cannot be loaded: {error}", f"install what `{entry}` needs") from error


@cache
def _ours() -> tuple[str, ...]:
    found = (module.name for module in pkgutil.iter_modules(targets.__path__))
    return tuple(sorted(found, key=lambda name: (name != targets.DEFAULT, name)))


@cache
def _foreign() -> dict[str, str]:
    """Kinds of other packages: name to module. Only asked when our own do not answer: every package is looked at."""
    from importlib.metadata import entry_points

    return {entry.name: entry.module for entry in entry_points(group=GROUP)}
