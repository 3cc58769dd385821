"""What is shipped to a target: the runner, as one file that Python executes.

The archive has each module twice: as source, for any Python there, and compiled, which the Python that made it takes
instead of compiling it at every start.
"""

from __future__ import annotations

import sys
from pathlib import Path

OLDEST = (3, 9)
"""The oldest Python that anything of ours is executed by, and that what notebooks need can be installed for."""
RUNNER = "runner.pyz"
"""Its name in a run's directory: `python runner.pyz` runs the notebook that lies beside it."""

LAB = Path(__file__).with_name("lab.py")
"""What an environment's Python executes to become its JupyterLab."""
CONTAINED_LAB = Path(__file__).with_name("contained_lab.py")
"""What a container's Python executes to have one."""
POD_LAB = Path(__file__).with_name("pod_lab.py")
"""What a pod's Python executes to have one."""
CHANNELS = Path(__file__).with_name("channels.py")
"""What a container's Python executes to carry connections to its ports."""

_SOURCES = Path(__file__).with_name("runner")
_MAIN = "from runner.main import run\n\nrun()\n"


def fingerprint() -> str:
    """Changes when a module of the runner does, or the Python that compiles it."""
    stats = [source.stat() for source in sorted(_SOURCES.glob("*.py"))]
    of_sources = f"{sum(stat.st_size for stat in stats):x}-{max(stat.st_mtime_ns for stat in stats):x}"
    return f"{of_sources}-{sys.implementation.cache_tag}"


def archive(file: Path) -> None:
    """Write the runner's modules as one executable archive (PEP 441)."""
    import zipfile
    from tempfile import TemporaryDirectory

    with zipfile.ZipFile(file, "w") as packed, TemporaryDirectory() as folder:
        packed.writestr("__main__.py", _MAIN)
        for source in sorted(_SOURCES.glob("*.py")):
            name = f"runner/{source.name}"
            packed.write(source, name)
            packed.write(_compiled(source, name, Path(folder)), f"{name}c")


def _compiled(source: Path, name: str, folder: Path) -> Path:
    """A module's bytecode, valid whatever the times of files: they lie in one archive."""
    import py_compile

    made = folder / f"{source.name}c"
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), str(made), dfile=name, doraise=True, invalidation_mode=mode)
    return made
