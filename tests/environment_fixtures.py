"""A home of its own, with nothing active, and small real environments in it."""

from __future__ import annotations

import os
import venv
from pathlib import Path

import pytest

OUTSIDE = ("VIRTUAL_ENV", "PYENV_ROOT", "UV_PROJECT_ENVIRONMENT", "PYTHONPATH", "JUPYTER_PATH", "PYTHONHOME")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory; no environment of the real one is seen."""
    for name in [name for name in os.environ if name.startswith(("CONDA", "_CONDA", "MAMBA"))] + list(OUTSIDE):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("JUPYTERCTL_HOME", str(folder / "jupyterctl"))
    monkeypatch.setenv("PATH", os.defpath)
    return folder


def virtual(prefix: Path, *distributions: str, shared: bool = False) -> Path:
    """A virtual environment of this Python, with empty packages of these names in it."""
    venv.create(prefix, symlinks=True, system_site_packages=shared)
    for name in distributions:
        (site(prefix) / name).mkdir()
        (site(prefix) / name / "__init__.py").touch()
        (site(prefix) / f"{name}-1.0.dist-info").mkdir()
    return prefix


def site(prefix: Path) -> Path:
    """Where its packages are."""
    return next(prefix.glob("lib/python*/site-packages"))
