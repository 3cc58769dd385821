"""A session whose answers are the same every time: servers in every state, runs in every state, findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag

from jupyterctl.core.doctor import Finding
from jupyterctl.core.profiles import Value
from jupyterctl.core.session import Session
from jupyterctl.core.status import Health, Kernels, Link, Status
from jupyterctl.errors import TargetError, UsageError
from jupyterctl.model import Cells, CheckState, Event, Plan, Run, RunError, RunState

NOW = "2026-03-01T12:00:00.000Z"
NEVER = Flag()


def servers() -> list[Status]:
    """One server in each state."""
    running = Status(
        name="lab",
        kind="local",
        state="running",
        place="this machine, tmux session jupyterctl-lab",
        link=Link(state="up", port=22718, url="http://127.0.0.1:22718/"),
        health=Health(way="up", http="ok", kernels=Kernels(busy=1, idle=2, last_activity="2026-03-01T11:58:00Z")),
        since="2026-03-01T09:30:00Z",
        version="4.5.0",
        root="/home/ada/work",
    )
    away = Status(name="gpu-01", kind="ssh", state="unreachable", place="gpu-01", error="no answer from gpu-01 in 10 s")
    broken = Status(name="old", kind=None, state="unknown", error="`kind` is missing")
    return [
        running,
        Status(name="teaching", kind="local", state="stopped"),
        Status(name="nightly", kind="local", state="starting", place="this machine"),
        away,
        broken,
    ]


def run(name: str, state: RunState, **more: object) -> Run:
    """A run of `train.ipynb`."""
    known: dict[str, object] = {
        "id": name,
        "state": state,
        "target": "lab",
        "notebook": "/home/ada/work/train.ipynb",
        "created": "2026-03-01T11:40:00.000Z",
        "started": "2026-03-01T11:40:02.000Z",
        "parameters": {"rate": 0.1, "steps": 500},
        "cells": Cells(done=6, total=12),
        "plan": Plan(place="python 3.12 in ~/work/.venv", reason="the project's own .venv"),
        "kind": "local",
    }
    return Run(**(known | more))  # type: ignore[arg-type]


def runs() -> list[Run]:
    """One run in each state, the newest first."""
    failed = RunError(name="ValueError", value="could not convert string to float: 'n/a'", cell=3)
    ended = {"ended": NOW, "seconds": 65.2, "collected": True}
    return [
        run("train-live", RunState.RUNNING),
        run("train-wait", RunState.QUEUED, started=None, cells=Cells()),
        run("train-fail", RunState.FAILED, error=failed, **ended),
        run("train-good", RunState.SUCCEEDED, **(ended | {"cells": Cells(done=12, total=12)})),
        run("train-stop", RunState.CANCELLED, **ended),
        run("train-long", RunState.TIMED_OUT, error=RunError(name="Timeout", value="8 h are over"), **ended),
        run("train-dead", RunState.KERNEL_DIED, error=RunError(name="KernelDied", value="out of memory"), **ended),
        run("train-lost", RunState.LOST, error=RunError(name="Lost", value="its process was killed"), **ended),
        run("train-away", RunState.UNKNOWN, error=RunError(name="Unreachable", value="no answer from gpu-01")),
    ]


EVENTS: list[Event] = [
    {"seq": 0, "event": "started", "cells": 12, "time": NOW},
    {"seq": 1, "event": "cell", "index": 0, "source": "# parameters", "time": NOW},
    {"seq": 2, "event": "cell-done", "index": 0, "status": "ok", "seconds": 0.0, "time": NOW},
    {"seq": 3, "event": "cell", "index": 1, "source": "data = read(path)", "time": NOW},
    {"seq": 4, "event": "output", "index": 1, "kind": "stream", "text": "read 12 000 rows\n", "time": NOW},
    {"seq": 5, "event": "cell-done", "index": 1, "status": "ok", "seconds": 2.5, "time": NOW},
    {"seq": 6, "event": "cell", "index": 3, "source": "values = [float(text) for text in data]", "time": NOW},
    {"seq": 7, "event": "output", "index": 3, "kind": "stream", "text": "\x1b[32mrow\x1b[0m\n[/not]\n", "time": NOW},
]  # fmt: skip
FAILED: list[Event] = [
    {"seq": 8, "event": "output", "index": 3, "kind": "error", "text": "\x1b[31mValueError\x1b[0m: 'n/a'", "time": NOW},
    {"seq": 9, "event": "cell-done", "index": 3, "status": "error", "seconds": 0.4, "time": NOW},
]
DONE: list[Event] = [{"seq": 8, "event": "cell-done", "index": 3, "status": "ok", "seconds": 61.2, "time": NOW}]
FINDINGS = [
    Finding(target=None, name="python", state=CheckState.OK, detail="3.12.1 at /usr/bin/python3", fix=""),
    Finding(target=None, name="tmux", state=CheckState.WARN, detail="not on the PATH", fix="install tmux"),
    Finding(target=None, name="disk", state=CheckState.FAIL, detail="0.1 GiB free at /home/ada", fix="make room"),
    Finding(target="lab", name="profile", state=CheckState.OK, detail="lab.toml", fix=""),
    Finding(target="lab", name="gpu", state=CheckState.SKIP, detail="[/there] is none", fix=""),
]
VALUES = [
    Value(key="kind", text='"local"', file=Path("/home/ada/lab.toml")),
    Value(key="environment", text='"conda:jupyterlab"', file=Path("/home/ada/lab.toml")),
    Value(key="workdir", text="-", file=None),
    Value(key="run.timeout", text='"8h"', file=Path("/home/ada/work/.jupyterctl/lab.toml")),
]


class Canned(Session):
    """Everything there is, crowded."""

    def statuses(self) -> list[Status]:
        """One in each state, and many more."""
        return [*servers(), *(Status(name=f"place-{n:02}", kind="local", state="stopped") for n in range(60))]

    def kinds(self) -> list[str]:
        """One kind."""
        return ["local"]

    def profile_values(self, profile: object) -> list[Value]:
        """The same for each."""
        return VALUES

    def profile(self, name: str) -> object:  # type: ignore[override]
        """Only its name is looked at."""
        return name

    server_profile = profile  # type: ignore[assignment]

    def run(self, name: str | None = None) -> Run:
        """As it is known."""
        return self.find_run(name)

    def follow(self, run: Run) -> Iterator[tuple[Run, Event | None]]:
        """Some cells; the failed one fails."""
        rest = FAILED if run.state is RunState.FAILED else DONE if run.state.ended else []
        for event in [*EVENTS, *rest]:
            yield run, event
        if not run.state.ended:
            NEVER.wait()

    def doctor(self, target: str | None = None) -> Iterator[Finding]:
        """One finding of each sort."""
        return iter(FINDINGS)

    def server_log(self, name: str, lines: int = 2000) -> str:
        """Many lines."""
        return "".join(f"[I 12:{n // 60:02}:{n % 60:02} ServerApp] GET /api/kernels/{n} [/x]\n" for n in range(200))

    def follow_server_log(self, name: str) -> Iterator[str]:
        """Nothing more."""
        yield ""
        NEVER.wait()

    def environments(self) -> list[object]:  # type: ignore[override]
        """None found."""
        return []


class Empty(Canned):
    """Nothing yet."""

    def statuses(self) -> list[Status]:
        """No server."""
        return []

    def kinds(self) -> list[str]:
        """No kind that needs no profile."""
        return []

    def doctor(self, target: str | None = None) -> Iterator[Finding]:
        """Nothing to find."""
        return iter(())


class Loading(Canned):
    """Nothing has answered."""

    def statuses(self) -> list[Status]:
        """Never."""
        NEVER.wait()
        return []

    def ledger(self) -> object:  # type: ignore[override]
        """Never."""
        NEVER.wait()

    def doctor(self, target: str | None = None) -> Iterator[Finding]:
        """Never."""
        NEVER.wait()
        yield from ()

    def server_log(self, name: str, lines: int = 2000) -> str:
        """Never."""
        NEVER.wait()
        return ""


class Failing(Canned):
    """Everything fails."""

    def statuses(self) -> list[Status]:
        """It cannot be told."""
        raise TargetError("the profiles cannot be read: [/home] is not there", "mount it")

    def ledger(self) -> object:  # type: ignore[override]
        """It cannot be opened."""
        raise UsageError("the store `/home/ada/jupyterctl.db` cannot be opened: disk I/O error", "check the disk")

    def doctor(self, target: str | None = None) -> Iterator[Finding]:
        """It is ill itself."""
        yield FINDINGS[0]
        raise TargetError("the doctor has no access to [/proc]", "run it as yourself")

    def server_log(self, name: str, lines: int = 2000) -> str:
        """It is gone."""
        raise TargetError("the log of `lab` is gone", "start it again")
