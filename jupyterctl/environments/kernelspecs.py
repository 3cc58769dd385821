"""Kernelspecs on this machine: kernels other than an environment's own ipykernel, found by name or language."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from ..errors import NotFoundError


class KernelSpec(Struct, frozen=True, kw_only=True):
    """One installed kernelspec."""

    name: str
    language: str
    directory: Path


def kernelspecs(prefixes: Iterable[Path]) -> Iterator[KernelSpec]:
    """Every kernelspec below the prefixes, JUPYTER_PATH, the user's folder and the system's, nearest first."""
    for root in _roots(prefixes):
        for file in sorted(root.glob("*/kernel.json")):
            try:
                language = str(json.loads(file.read_bytes()).get("language", ""))
            except (OSError, ValueError):
                continue
            yield KernelSpec(name=file.parent.name, language=language, directory=file.parent)


def find(name: str, language: str, prefixes: Iterable[Path]) -> KernelSpec:
    """The kernelspec of that name, or with `auto` the first of the language; NotFoundError lists those there are."""
    found = list(kernelspecs(prefixes))
    for spec in found:
        if spec.name == name or (name == "auto" and spec.language.lower() == language.lower()):
            return spec
    wanted = f"`{name}`" if name != "auto" else f"for {language}"
    there = ", ".join(dict.fromkeys(f"{spec.name} ({spec.language})" for spec in found)) or "none"
    raise NotFoundError(f"there is no kernel {wanted} here", f"the kernels are: {there}")


def _roots(prefixes: Iterable[Path]) -> Iterator[Path]:
    jupyter = [Path(part) for part in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if part]
    user = Path.home() / ("Library/Jupyter" if sys.platform == "darwin" else ".local/share/jupyter")
    data = [Path(os.environ["JUPYTER_DATA_DIR"])] if os.environ.get("JUPYTER_DATA_DIR") else [user]
    system = [Path("/usr/local/share/jupyter"), Path("/usr/share/jupyter")]
    seen: set[Path] = set()
    for base in [*jupyter, *(prefix / "share/jupyter" for prefix in prefixes), *data, *system]:
        if base not in seen:
            seen.add(base)
            yield base / "kernels"
