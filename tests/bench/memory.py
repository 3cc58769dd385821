"""How much memory the foreground `jupyterctl run` takes itself at most, kernel and runner aside, on heavy notebooks."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.conftest import notebook

from .run import KERNELSPEC, cells
from .timing import JUPYTERCTL, QUICK, Ground, ground, machine, pairs_asked, verdict

TARGET_MB = 60.0
MEGABYTE = 1_000_000


def printing(path: Path, megabytes: int) -> Path:
    """A notebook that prints so much, in lines of a kilobyte."""
    source = f"line = 'x' * 999\nfor _ in range({megabytes * 1000}):\n    print(line)"
    return notebook(path, source, kernelspec=KERNELSPEC)


def peak(pid: int) -> int | None:
    """The most resident memory, in bytes, a process had so far; None once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return found[0] if found else None


def watch(at: Ground, *flags: str) -> int:
    """Run `jupyterctl run` with these flags to its end; its own peak in bytes."""
    highest = 0
    command = [JUPYTERCTL, "run", *flags]
    with subprocess.Popen(
        command,
        cwd=at.folder,
        env=at.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            highest = max(highest, peak(process.pid) or 0)
            time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return highest


def main(pairs: int | None = None) -> None:
    """A notebook that prints 100 MB, then one of 2,000 cells."""
    quick = pairs == QUICK
    megabytes, number = (5, 50) if quick else (100, 2000)
    if not Path("/proc/self/status").exists():
        print("memory: this system does not tell a process's peak")
        return
    with ground() as at:
        printing(at.folder / "prints.ipynb", megabytes)
        cells(at.folder / "cells.ipynb", number)
        for name, notebook_name in (
            (f"memory, {megabytes} MB of output", "prints"),
            (f"memory, {number} cells", "cells"),
        ):
            used = watch(at, f"{notebook_name}.ipynb", "-o", "out.ipynb") / MEGABYTE
            print(f"{name:30} {used:.1f} MB  {verdict(used, TARGET_MB)}", flush=True)


if __name__ == "__main__":
    print(machine())
    main(pairs_asked())
