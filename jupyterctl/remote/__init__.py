"""What is shipped to a target: the runner, as one file that Python executes."""

from __future__ import annotations

from pathlib import Path

RUNNER = "runner.pyz"
"""Its name in a run's directory: `python runner.pyz` runs the notebook that lies beside it."""

_SOURCES = Path(__file__).with_name("runner")
_MAIN = "from runner.main import run\n\nrun()\n"


def fingerprint() -> str:
    """Changes when a module of the runner does."""
    stats = [source.stat() for source in sorted(_SOURCES.glob("*.py"))]
    return f"{sum(stat.st_size for stat in stats):x}-{max(stat.st_mtime_ns for stat in stats):x}"


def archive(file: Path) -> None:
    """Write the runner's modules as one executable archive (PEP 441)."""
    import zipfile

    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("__main__.py", _MAIN)
        for source in sorted(_SOURCES.glob("*.py")):
            packed.write(source, f"runner/{source.name}")
