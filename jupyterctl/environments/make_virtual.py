"""Make a virtual environment: by uv, which takes a second, where there is uv; else by venv and pip."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .child import Report, install
from .recipe import Recipe
from .solve import Step


def make(prefix: Path, recipe: Recipe, report: Report) -> None:
    """Everything of the recipe, at the prefix, with the Python that runs jupyterctl."""
    report(Step(step="venv", text=f"python {'.'.join(map(str, sys.version_info[:3]))}"))
    python = str(prefix / "bin/python")
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        install(prefix, [uv, "venv", "--quiet", "--seed", "--python", sys.executable, str(prefix)], report)
        install(prefix, [uv, "pip", "install", "--python", python, *recipe.packages], report)
    else:
        install(prefix, [sys.executable, "-m", "venv", str(prefix)], report)
        install(prefix, [python, "-m", "pip", "install", *recipe.packages], report)
