"""Solve and install a conda environment with py-rattler: `python -m jupyterctl.environments.solve`.

A program of its own because rattler can crash the interpreter as it ends, after all is done. It reads one `Request` as
JSON, a line, from stdin and writes a `Step` a line to stdout; the last one is `done` or `error`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

SOLVE_LIMIT = 300.0
"""Seconds that fetching the channels' indexes and solving may take together."""

_INTERVAL = 0.1


class Request(Struct, frozen=True, kw_only=True):
    """What is to be made, and where."""

    prefix: str
    packages: tuple[str, ...]
    channels: tuple[str, ...]
    cache: str
    """Folder that packages are downloaded and unpacked to, to be linked into environments."""


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far it is: `solve`, `install`, `done` or `error`, and how many packages of how many are there."""

    step: str
    text: str = ""
    done: int = 0
    total: int = 0


class Reporter:
    """Hears from rattler, on any of its threads, and writes a line at most every tenth of a second."""

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._names: dict[int, str] = {}
        self._done, self._total, self._said = 0, total, 0.0

    def on_transaction_start(self, total_operations: int) -> None:
        """All that there is to do."""
        self._total = total_operations

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        """A package is looked for in the cache."""
        self._names[operation] = package_name
        return operation

    def on_download_start(self, cache_entry: int) -> int:
        """It is not there."""
        self._say(f"downloading {self._names.get(cache_entry, '')}")
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        """Bytes so far, of how many."""
        size = f" of {total / 1e6:.1f}" if total else ""
        self._say(f"downloading {self._names.get(download_idx, '')}, {progress / 1e6:.1f}{size} MB")

    def on_transaction_operation_complete(self, operation: int) -> None:
        """One package is in the environment."""
        with self._lock:
            self._done += 1
        self._say(self._names.get(operation, ""), at_once=self._done == self._total)

    def _say(self, text: str, *, at_once: bool = False) -> None:
        with self._lock:
            if at_once or time.monotonic() - self._said > _INTERVAL:
                self._said = time.monotonic()
                say(Step(step="install", text=text, done=self._done, total=self._total))

    def __getattr__(self, name: str) -> Any:
        """Whatever else rattler tells is of no interest; what it is given back as a token neither."""
        if name.startswith("on_"):
            return lambda *_: 0
        raise AttributeError(name)


def say(step: Step) -> None:
    """Write one line, at once."""
    os.write(1, msgspec.json.encode(step) + b"\n")


async def make(request: Request) -> None:
    """Solve, then install; raises what rattler raises, TimeoutError where the channels do not answer."""
    from rattler import MatchSpec, VirtualPackage, install, solve

    say(Step(step="solve", text=", ".join(request.channels)))
    solving = solve(sources=request.channels, specs=request.packages, virtual_packages=VirtualPackage.detect())
    records = await asyncio.wait_for(solving, SOLVE_LIMIT)
    say(Step(step="install", total=len(records)))
    specs = [MatchSpec(spec)._match_spec for spec in request.packages]  # noqa: SLF001 - install wants the inner object
    await install(
        records,
        target_prefix=request.prefix,
        cache_dir=Path(request.cache),
        requested_specs=specs,
        show_progress=False,
        reporter=Reporter(len(records)),
    )


def _end_with_the_caller() -> None:
    """Whoever asked is gone when stdin ends: nobody wants the environment any more."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Do what the first line of stdin asks."""
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    try:
        asyncio.run(make(request))
    except Exception as error:  # noqa: BLE001 - whatever it is goes to the other side, which knows what to say
        say(Step(step="error", text=f"{type(error).__name__}: {error}"))
    else:
        say(Step(step="done"))
    os._exit(0)


if __name__ == "__main__":
    main()
