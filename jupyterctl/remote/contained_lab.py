"""The first process of a lab's container: JupyterLab is its child, and it ends as that one does.

    PYTHON contained_lab.py ARGUMENT…

It needs Python 3.8 and JupyterLab, and nothing else of ours but `lab.py` beside it. What its exit code says decides
whether an engine brings the container back: 0 where JupyterLab ended by itself, as it does when nobody uses it, or was
ended for good, by SIGINT; else what killed it, and 143 after SIGTERM, for then the engine itself may be going down.

As a container's first process it takes in those that others left behind, and its signals are those of the container.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import List

HERE = Path(__file__).resolve().parent
WANTED = ("jupyterlab", "ipykernel")
_told: List[int] = []


def prepare() -> None:
    """A home that can be written to, and no traces of a lab that was here before."""
    home = os.environ.get("HOME") or "/"
    if home == "/" or not os.access(home, os.W_OK):
        os.environ["HOME"] = str(HERE / "home")
    for left in Path(os.environ["JUPYTER_RUNTIME_DIR"]).iterdir():
        left.unlink()


def install() -> None:
    """Have what is missing installed, into the environment where that may be, else for this user."""
    missing = [name for name in WANTED if importlib.util.find_spec(name) is None]
    if missing:
        shared = sys.prefix != sys.base_prefix or os.access(os.path.dirname(importlib.util.__file__), os.W_OK)
        command = [sys.executable, "-m", "pip", "install", "--no-input", *([] if shared else ["--user"]), *missing]
        quiet = {
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_BREAK_SYSTEM_PACKAGES": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }
        subprocess.call(command, env={**os.environ, **quiet})


def tell(child: subprocess.Popen[bytes], number: int) -> None:
    """Ask JupyterLab to end; SIGINT would have it ask back."""
    _told.append(number)
    with suppress(OSError):
        child.terminate()


def wait(child: subprocess.Popen[bytes]) -> int:
    """Until the child has ended; whatever else ends meanwhile is taken in. Its exit code, as a shell tells it."""
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def main(arguments: List[str]) -> int:
    """The exit code."""
    prepare()
    if os.environ.pop("JUPYTERCTL_INSTALL", ""):
        install()
    child = subprocess.Popen([sys.executable, str(HERE / "lab.py"), *arguments])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda told, _: tell(child, told))
    return wait(child) or (128 + signal.SIGTERM if signal.SIGTERM in _told else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
