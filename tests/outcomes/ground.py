"""Runs carried out by the installed command, and what must be true of every one of them, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import psutil

from tests.conftest import COMMAND, PATIENCE, Cli, journal, wait_for

Events = list[dict[str, Any]]


class Outcome(NamedTuple):
    """What came of a run: the command's exit code, its journal, `runs show --json`, its messages."""

    code: int
    events: Events
    run: dict[str, Any]
    stderr: str

    @property
    def notebook(self) -> Any:
        """The result, valid for nbformat."""
        return valid(Path(self.run["output"]))

    def texts(self) -> list[str]:
        """What each code cell of the result printed and showed."""
        return texts(self.notebook)

    def of(self, kind: str) -> Events:
        """The events of one kind."""
        return [event for event in self.events if event["event"] == kind]


def carry_out(cli: Cli, notebook: Path, *flags: object, **kw: Any) -> Outcome:
    """Run a notebook in the foreground and check what holds for every run."""
    done = cli("run", notebook, "--json", *flags, **kw)
    events = journal(done.stdout)
    assert events, done.stderr
    return checked(cli, done.returncode, events, done.stderr)


def checked(cli: Cli, code: int, events: Events, stderr: str = "") -> Outcome:
    """The journal is whole, and the exit code and `runs show` agree with its last word."""
    whole(events)
    run = show(cli, events[0]["run"])
    last = events[-1]
    assert (run["state"], run["exit_code"]) == (last["status"], code)
    assert run["error"] == last["error"]
    return Outcome(code, events, run, stderr)


def whole(events: Events) -> None:
    """Every event from the first to the last, once, in order; nothing after the end."""
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert len({event["run"] for event in events}) == 1
    names = [event["event"] for event in events]
    assert names[:2] == ["queued", "submitted"]
    assert names.index("ended") == len(names) - 1
    times = [event["time"] for event in events]
    assert times == sorted(times)
    assert all(time.endswith("Z") for time in times)


def show(cli: Cli, run: str) -> dict[str, Any]:
    """`runs show --json`."""
    done = cli("runs", "show", run, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def valid(path: Path) -> Any:
    """The notebook in a file, which nbformat finds nothing wrong with."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    return notebook


def texts(notebook: Any) -> list[str]:
    """What each code cell printed, and the plain text of what it showed."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(map(_text, cell.outputs)) for cell in cells]


def _text(output: Any) -> str:
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def two_lines(done: subprocess.CompletedProcess[str], code: int) -> str:
    """A refusal: the exit code, two lines on stderr, nothing on stdout; returns the two lines."""
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    return done.stderr


def none_made(cli: Cli) -> bool:
    """Whether no run has been made at all."""
    return json.loads(cli("runs", "--json").stdout) == {"runs": []}


class Watcher:
    """The command in the background, its `--json` stream in a file as it comes."""

    def __init__(self, folder: Path, *arguments: object, **kw: Any) -> None:
        self.out = folder / f"watcher-{len(list(folder.glob('watcher-*.jsonl')))}.jsonl"
        self.err = self.out.with_suffix(".txt")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*kw.pop("before", ()), COMMAND, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=kw.pop("cwd", folder),
                **kw,
            )

    @property
    def events(self) -> Events:
        """The events that have come, but for a line that is not whole yet."""
        text = self.out.read_text(encoding="utf-8")
        return journal(text[: text.rfind("\n") + 1])

    @property
    def run(self) -> str:
        """The run's id."""
        name: str = self.await_event(lambda _: True)["run"]
        return name

    def event(self, kind: str, **fields: object) -> dict[str, Any]:
        """The first event of that kind with those fields, waited for."""
        return self.await_event(lambda event: event["event"] == kind and fields.items() <= event.items())

    def printed(self, text: str) -> None:
        """Wait until a cell has printed it."""
        self.await_event(lambda event: text in event.get("text", ""))

    def await_event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event like that; the test fails where the command ends without it."""

        def look() -> dict[str, Any] | None:
            ended = self.process.poll() is not None
            found = next(filter(wanted, self.events), None)
            assert found or not ended, self.err.read_text(encoding="utf-8")
            return found

        event: dict[str, Any] = wait_for(look)
        return event

    def signal(self, number: signal.Signals) -> None:
        """Send the command a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """The exit code, waited for."""
        return self.process.wait(PATIENCE)

    def outcome(self, cli: Cli) -> Outcome:
        """Wait for the end and check what holds for every run."""
        code = self.end()
        return checked(cli, code, self.events, self.err.read_text(encoding="utf-8"))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pid_in(file: Path) -> int:
    """The pid that a cell wrote to a file, waited for."""
    return int(wait_for(lambda: file.exists() and file.read_text(encoding="ascii").strip()))


def directory(home: Path, run: str) -> Path:
    """Where a run executes on this machine."""
    return home / "state" / "local" / run


def is_root() -> bool:
    """Whether mounting and the like may work."""
    return os.geteuid() == 0
