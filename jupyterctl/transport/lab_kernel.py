"""A kernel of a project's own environment, for a lab that is started from another one.

JupyterLab need not be installed in every project: where the project's environment has only ipykernel, the lab offers it
as a kernel, its environment activated as in a shell.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .. import paths
from ..environments import Environment, script, shell

_FOLDER = "jupyter"


def offer(environment: Environment | None, directory: Path) -> dict[str, str]:
    """Write its kernelspec below the server's directory; the variable by which the server finds it. None: no kernel."""
    shutil.rmtree(directory / _FOLDER, ignore_errors=True)
    if environment is None:
        return {}
    folder = paths.private(directory / _FOLDER / "kernels" / _name(environment))
    paths.write(folder / "kernel.json", msgspec.json.encode(_spec(environment)))
    return {"JUPYTER_PATH": _before(str(directory / _FOLDER), os.environ)}


def _spec(environment: Environment) -> dict[str, object]:
    kernel = [str(environment.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return {
        "argv": [shell(), "-c", f'{script(environment)}exec "$@"', "kernel", *kernel],
        "display_name": f"Python {environment.minor} ({environment.name})",
        "language": "python",
        "metadata": {"debugger": True},
    }


def _name(environment: Environment) -> str:
    """As Jupyter allows it; not `python3`, which is the lab's own."""
    return "project-" + re.sub(r"[^a-z0-9._-]", "-", environment.name.lower())


def _before(folder: str, environment: Mapping[str, str]) -> str:
    return os.pathsep.join(filter(None, [folder, environment.get("JUPYTER_PATH")]))
