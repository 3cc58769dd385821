"""The nouns of the program: frozen structs and the enums of their states.

Times are RFC 3339 strings in UTC, durations are seconds, sizes are bytes. `duration()` reads what people write.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

Json = Any
"""A value made of what JSON knows."""

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"\d+(\.\d+)?(ms|s|m|h|d)"
_DURATION = rf"^(({_PART})+|\d+(\.\d+)?)$"

Duration = Annotated[str, Meta(pattern=_DURATION, examples=["90s", "30m", "8h", "1h30m"])]
"""A length of time as people write it: `90s`, `30m`, `1h30m`, `2d`; a bare number is seconds."""


Port = Annotated[int, Meta(ge=1, le=65535)]


def duration(text: str) -> float:
    """Seconds in a duration such as `1h30m`; ValueError for anything else.

    >>> duration("1h30m"), duration("45"), duration("250ms")
    (5400.0, 45.0, 0.25)
    """
    if not re.search(_DURATION, text):
        raise ValueError(f"`{text}` is no duration; write it like 90s, 30m or 1h30m")
    parts = re.findall(r"([\d.]+)([a-z]*)", text)
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


def now() -> str:
    """This moment, RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RunState(StrEnum):
    """What a run has come to; `unknown` is laid over a live state while the place does not answer."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    KERNEL_DIED = "kernel-died"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        return self not in _LIVE


_LIVE = {RunState.QUEUED, RunState.SUBMITTED, RunState.RUNNING, RunState.UNKNOWN}

EXIT_CODES = {
    RunState.SUCCEEDED: 0,
    RunState.FAILED: 1,
    RunState.LOST: 3,
    RunState.CANCELLED: 4,
    RunState.TIMED_OUT: 5,
    RunState.KERNEL_DIED: 6,
}
"""Exit code of `run` and `runs attach` by final state; a failure outside any cell is the target's: 3."""


class CheckState(StrEnum):
    """How one check of the doctor came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Check(Struct, frozen=True, kw_only=True):
    """One thing the doctor looked at, and what to do where it is not well."""

    name: str
    state: CheckState
    detail: str = ""
    fix: str = ""


class RunSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[run]` table: how notebooks are executed headless at this target."""

    kernel: Annotated[
        str,
        Meta(description="Kernel to run notebooks with; auto is the environment's own, whatever the notebook names"),
    ] = "auto"
    timeout: Annotated[Duration | None, Meta(description="Longest time a whole run may take")] = None
    cell_timeout: Annotated[Duration | None, Meta(description="Longest time one cell may take")] = None
    grace: Annotated[
        Duration, Meta(description="Time that an interrupted cell has to end by itself before its kernel is killed")
    ] = "10s"
    retries: Annotated[int, Meta(ge=0, description="How often a run that failed is tried again from the start")] = 0
    isolated: Annotated[
        bool, Meta(description="Run on a copy of the notebook's files instead of in the notebook's own folder")
    ] = False
    env: Annotated[
        dict[str, str], Meta(description="Environment variables for the kernel; no secrets here, use -s NAME=REF")
    ] = {}


class ServerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[server]` table: how the Jupyter server of this target is started and reached."""

    port: Annotated[
        int, Meta(ge=0, le=65535, description="Port that the server listens on; 0 takes the port it is reached at")
    ] = 0
    link_port: Annotated[
        Port | None,
        Meta(description="Local port it is reached at; left out, one is chosen once and remembered", examples=[8801]),
    ] = None
    args: Annotated[
        tuple[str, ...],
        Meta(description="More arguments for JupyterLab; no secrets here, for every user of the machine can see them"),
    ] = ()
    idle_stop: Annotated[
        Duration | None,
        Meta(description="Stop kernels, then the server, after so long without activity; a busy kernel is never idle"),
    ] = None
    start_timeout: Annotated[
        Duration, Meta(description="Longest time that each step of starting the server may take")
    ] = "60s"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every kind's settings have; a kind adds its own fields in a subclass.

    The subclass is at once the kind's validation, its flags in `profile new`, its form and its JSON schema, so
    every field carries a `Meta(description=…)`.
    """

    run: RunSettings = RunSettings()


class Profile(Struct, frozen=True, kw_only=True):
    """A target's description: where, and how. `sources` maps dotted keys to the file each value came from."""

    name: str
    kind: str
    settings: Settings
    file: Path | None = None
    sources: dict[str, Path] = {}


class ServerState(StrEnum):
    """How a server is; `unknown` and `unreachable` say that nobody can tell, never that it is gone."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class Server(Struct, frozen=True, kw_only=True):
    """A Jupyter server that was found at a place."""

    name: str
    """Of its profile; empty for one that nobody started from here."""
    kind: str
    state: ServerState
    place: str
    """In few words: `this machine, tmux session jupyterctl-lab`."""
    pid: int | None = None
    port: int | None = None
    url: str | None = None
    """Without its token."""
    version: str = ""
    """JupyterLab's; empty where it cannot be told."""
    root: str = ""
    """The folder that its file browser shows."""
    since: str | None = None
    handle: dict[str, str] = {}
    """What the target needs to find it again; written by it, read by it alone."""
    adopted: bool = False
    """It was started by hand, and taken over."""


class Facts(Struct, frozen=True, kw_only=True):
    """What a place says of a server beside what every place does, in the order to show it in."""

    values: dict[str, str] = {}
    """`image`, `pod`, `node`, `restarts`, `cpu`, `memory` …, in words."""
    events: tuple[str, ...] = ()
    """What happened to it lately, the newest last."""


class ServerSpec(Struct, frozen=True, kw_only=True):
    """How a server is to be started. An empty token: the one that the place keeps for the name, or a new one."""

    name: str
    port: int
    near: Path
    """Folder whose environments are preferred, and the root where the profile names none."""
    root: str = ""
    """Folder to show instead of the profile's."""
    token: str = ""
    socket: bool = False
    """Listen on a unix socket beside the token, which only its owner can open, instead of a port."""

    def __repr__(self) -> str:
        return f"ServerSpec(name={self.name!r}, port={self.port}, near={self.near}, root={self.root!r})"


class Dial(Struct, frozen=True, kw_only=True):
    """Where a server answers at its place, for one that a link leads to."""

    host: str = "127.0.0.1"
    port: int = 0
    socket: str = ""
    """Path of a unix socket, instead of host and port."""
    base_url: str = "/"
    token: str = ""

    def __repr__(self) -> str:
        return f"Dial(host={self.host!r}, port={self.port}, socket={self.socket!r})"


class Address(Struct, frozen=True, kw_only=True):
    """Where a server answers, and what it wants to be told."""

    url: str
    """Ends in a slash."""
    token: str
    via: Dial | None = None
    """Where the link to it leads, for one at another place."""

    def __repr__(self) -> str:
        return f"Address(url={self.url!r})"


class Listing(Struct, frozen=True, kw_only=True):
    """What a path at another place leads to."""

    path: str
    """Absolute."""
    kind: str
    """`file`, `folder`, or empty for nothing."""
    files: tuple[tuple[str, int, float], ...] = ()
    """Everything below a folder: relative path, bytes, seconds since 1970."""
    home: bool = False
    """Whether the folder is the account's home, or one above it."""


class LinkState(StrEnum):
    """How a link is. `gone`: the place answers and its server is not there; `refused`: a person must see to it."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"
    GONE = "gone"
    REFUSED = "refused"


class Link(Struct, frozen=True, kw_only=True):
    """What a keeper says of its link. Times are RFC 3339 in UTC, durations seconds."""

    name: str
    state: LinkState
    port: int | None = None
    """The local one, None where only commands go this way."""
    pid: int = 0
    """The keeper's."""
    since: str = ""
    """When this state began."""
    error: str | None = None
    hint: str = ""
    coming: bool = False
    """Whether a lab that is gone comes up by itself."""
    next_try: str | None = None
    round_trip: float | None = None
    way: str = ""
    """What carries it, in words."""
    reconnects: int = 0


class PhaseState(StrEnum):
    """How far one step of a start is."""

    DOING = "doing"
    DONE = "done"
    FAILED = "failed"


class Phase(Struct, frozen=True, kw_only=True):
    """One step of a start (`environment`, `process`, `address`, `http`) or of a link.

    A link's are `resolve`, `connect`, `authenticate`, `server`, `tunnel`, `http`; those there is nothing to do for are
    left out. Each comes at least as doing and as done.
    """

    name: str
    state: PhaseState
    seconds: float = 0.0
    detail: str = ""
    hint: str = ""
    """What to do about it, where it is a warning."""


class Loss(Struct, frozen=True, kw_only=True):
    """What goes when a server is stopped, beside what its kernels hold in memory."""

    what: str
    """In words that follow `lose`: `the files in /work`."""
    why: str
    """A sentence."""
    hint: str
    """What would keep it."""


class Kernel(Struct, frozen=True, kw_only=True):
    """A kernel of a server."""

    id: str
    name: str
    """Of its kernelspec."""
    path: str = ""
    """The notebook or console that uses it, from the server's root; empty where none does."""
    state: str
    """`busy`, `idle`, `starting` …, in the server's words."""
    last_activity: str = ""


class RunError(Struct, frozen=True, kw_only=True):
    """Why a run did not succeed. `cell` is the failing cell's index from 0, None where no cell is to blame."""

    name: str
    value: str = ""
    cell: int | None = None
    traceback: tuple[str, ...] = ()


class Cells(Struct, frozen=True, kw_only=True):
    """How far a run is, in cells."""

    done: int = 0
    total: int = 0


class RunOptions(Struct, frozen=True, kw_only=True):
    """How a run was asked for, beside its parameters; kept for `rerun`. Times in seconds, None: the profile's."""

    cwd: str = ""
    """Folder whose profiles hold."""
    environment: str | None = None
    kernel: str | None = None
    timeout: float | None = None
    cell_timeout: float | None = None
    retries: int | None = None
    include: tuple[str, ...] = ()
    isolated: bool | None = None
    lenient: bool = False


class Needs(Struct, frozen=True, kw_only=True):
    """What a notebook asks of a place: its language, the kernel wanted, the modules it imports."""

    notebook: Path
    language: str = "python"
    kernel: str = "auto"
    imports: tuple[str, ...] = ()
    isolated: bool = False
    """Work on copies of the notebook's files rather than where they lie."""


class Plan(Struct, frozen=True, kw_only=True):
    """Where and with what a run would execute, decided before anything starts."""

    place: str
    """The place in a few words: `python 3.12 in ~/lab/.venv`."""
    reason: str
    """Why this one."""
    missing: tuple[str, ...] = ()
    """Modules the notebook imports that are not there."""
    fix: str = ""
    """The command that would install what is missing."""
    in_place: bool = False
    """The notebook works in its own folder, so that nothing has to go along."""
    launch: dict[str, Json] = {}
    """For the target itself: what `submit` needs of this decision."""
    notices: tuple[str, ...] = ()
    """What the person should know before anything starts."""


def encode(value: object) -> bytes:
    """JSON of any struct of this module."""
    return msgspec.json.encode(value)


class Outline(Struct, frozen=True, kw_only=True):
    """What a list of runs shows of one."""

    id: str
    state: RunState
    target: str
    notebook: str
    """Absolute path of the notebook on this machine."""
    created: str
    parameters: dict[str, Json] = {}
    started: str | None = None
    seconds: float | None = None
    cells: Cells = Cells()
    early: bool = False
    """A cell called sys.exit(0): the run ended well before its last cell."""
    error: RunError | None = None
    sweep: str | None = None
    """Name of the sweep that this run is a point of."""
    waiting: str = ""
    """Why it has not started, as its place last told; empty where nothing is known, and once it has."""


class Run(Outline, frozen=True, kw_only=True):
    """One headless execution of one notebook at a target; what the store keeps of it."""

    secrets: dict[str, str] = {}
    """Name to reference (`env:VAR`, `keyring:SERVICE/USER`), never the value."""
    kind: str = ""
    handle: dict[str, str] = {}
    """What the target needs to find the run again; written by it, read by it alone."""
    output: str | None = None
    """Where the user asked for the result (`-o`), absolute."""
    handed_over: str | None = None
    """When it was begun to be submitted."""
    ended: str | None = None
    sha256: str | None = None
    """Digest of `out.ipynb`, made at the target when the run ended."""
    undelivered: str | None = None
    """Why the result is not where the user asked for it, though the run's directory has it."""
    collected: bool = False
    """Whether the verified result is in the run's record on this machine."""
    seen: str | None = None
    """When the place last answered about this run."""
    options: RunOptions = RunOptions()
    settings: dict[str, Json] = {}
    """The profile's settings as they were when the run was made."""
    plan: Plan | None = None
    task: dict[str, Json] = {}
    """What the runner is told, but for what only the target knows."""
    files: dict[str, str] = {}
    """What goes along beside the notebook: path below `files/` to the file on this machine."""
    attempt: int = 1
    seq: int = -1
    """Number of the last event that this record has taken in, and `offset` the bytes of the journal up to its end."""
    offset: int = 0

    @property
    def exit_code(self) -> int | None:
        """Exit code of `run`; None while the run goes on."""
        if self.state is RunState.FAILED and self.error is not None and self.error.cell is None:
            return 3
        return EXIT_CODES.get(self.state)


class Fate(Struct, frozen=True, kw_only=True):
    """How a run ended that left no last word, as its place tells it."""

    state: RunState
    name: str
    """Of the error: `OutOfMemory`, `ImagePullBackOff` …"""
    value: str
    """In words."""


Event = dict[str, Json]
"""One decoded line of a journal: `event`, `seq`, `time` and the fields of its kind."""


class Bundle(Struct, frozen=True, kw_only=True):
    """What a run takes along: `files` maps a path in the run's directory at the target to the file on this machine.

    `secrets` are values, NAME to value: they go to the run's process environment and nowhere else.
    """

    files: dict[str, Path]
    task: dict[str, Json] = {}
    """What `params.json` tells the runner; the target adds what only it knows."""
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Bundle(files={sorted(self.files)}, secrets={sorted(self.secrets)})"
