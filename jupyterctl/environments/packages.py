"""Which modules cannot be imported in an environment, told from its files.

Its Python is asked, once, only where files cannot tell: where start-up code adds importers (editable installs), and for
what another version's standard library has built in.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from .environment import Environment
from .searchpath import base, listing, search_path

TIMEOUT = 20.0
"""Seconds an environment's Python has to say what it can import; a cold network disk can take several."""

_ASK = """
import importlib.util, json, sys
sys.path = [entry for entry in sys.path if entry]
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return name in sys.modules
print("\\n" + json.dumps([name for name in sys.argv[1:] if not there(name)]))
"""


PACKAGES = {
    "Crypto": "pycryptodome",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "jwt": "pyjwt",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Packages that people import by another name."""

_CONDA_PACKAGES = {"cv2": "opencv", "torch": "pytorch"}


def missing(environment: Environment, modules: Iterable[str]) -> list[str]:
    """The top-level modules of these that cannot be imported in the environment, sorted."""
    folders, hooked = search_path(environment.prefix, environment.minor)
    wanted = set(modules) - _standard_library(environment)
    lacking = sorted(wanted.difference(*(_modules(folder, environment.minor) for folder in folders)))
    unsure = hooked or any(name in sys.stdlib_module_names for name in lacking)
    return _ask(environment, lacking) if lacking and unsure else lacking


def _standard_library(environment: Environment) -> frozenset[str]:
    if environment.minor == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.stdlib_module_names
    return _library(base(environment.prefix) / f"lib/python{environment.minor}", environment.minor)


@cache
def _library(folder: Path, minor: str) -> frozenset[str]:
    """Another version's: the files it lies in, and what every Python has built in."""
    return frozenset(sys.builtin_module_names) | _modules(folder, minor) | _modules(folder / "lib-dynload", minor)


def _modules(folder: Path, minor: str) -> frozenset[str]:
    """Top-level modules in a folder; any subfolder counts, for a namespace package needs no file of its own."""
    return frozenset(filter(None, (_module(name, minor) for name in listing(folder))))


def _module(name: str, minor: str) -> str:
    """The module a file or folder of this name is for a Python of this version; empty for none.

    >>> [_module(name, "3.11") for name in ("numpy", "six.py", "a.abi3.so", "b.cpython-310-linux.so", "c-1.dist-info")]
    ['numpy', 'six', 'a', '', '']
    """
    stem, _, ending = name.partition(".")
    if not stem.isidentifier():
        return ""
    if ending.endswith("so") and ending != "so":
        return stem if ending.startswith(("abi3", f"cpython-{minor.replace('.', '')}-")) else ""
    return stem if ending in {"", "py", "pyc", "so"} else ""


def _ask(environment: Environment, modules: list[str]) -> list[str]:
    """What its own Python cannot find; all of them where it does not answer. Nothing is imported."""
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONHOME", "PYTHONSTARTUP"}}
    command = [str(environment.python), "-c", _ASK, *modules]
    try:
        answer = subprocess.run(
            command, capture_output=True, check=True, timeout=TIMEOUT, cwd="/", env=variables, stdin=subprocess.DEVNULL
        )
        lacking: list[str] = json.loads(answer.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return modules
    return lacking


def install_command(environment: Environment, modules: Iterable[str]) -> str:
    """The command that would install what these modules come from, by the tool that made the environment."""
    conda = environment.kind in {"conda", "pixi"}
    names = PACKAGES | (_CONDA_PACKAGES if conda else {})
    return shlex.join([*_installer(environment), *sorted({names.get(module, module) for module in modules})])


def _installer(environment: Environment) -> list[str]:
    tool = next(filter(shutil.which, ("conda", "mamba", "micromamba")), None)
    if environment.kind == "pixi":
        return ["pixi", "add", "--manifest-path", str(environment.prefix.parent.parent.parent)]
    if environment.kind == "conda" and tool:
        return [tool, "install", "--prefix", str(environment.prefix)]
    if environment.kind == "uv":
        return ["uv", "pip", "install", "--python", str(environment.python)]
    return [str(environment.python), "-m", "pip", "install"]
