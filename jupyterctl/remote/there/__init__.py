"""The program that acts at a machine we reach over a network: our own modules, executed by that machine's Python.

It is the kind `local` as it is here, so that a lab or a run there is started, found and ended by the same code. It
needs a Python of `OLDEST` and nothing else: `stand_ins` take the place of the libraries. The archive is unpacked once
there, in a folder named after its contents; `bootstrap` sees to that, and `serve` answers requests, a line of JSON
each.

| module | what is in it |
| --- | --- |
| bootstrap | has the program there, and starts it |
| serve | the loop that answers, and what each request does |
| stand_ins | as much of msgspec, psutil and libtmux as the program asks for |
"""

from __future__ import annotations

import hashlib
import io
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from .. import OLDEST

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_MODULES = (
    "__init__.py",
    "errors.py",
    "model.py",
    "paths.py",
    "environments/*.py",
    "transport/*.py",
    "remote/__init__.py",
    "remote/lab.py",
    "targets/__init__.py",
    "targets/local.py",
)
_TOO_OLD = 97
_UNKNOWN_OPTION = 2
"""What a Python 2 ends with, which has no `-I`; nothing of ours does."""
_PYTHONS = (
    "python3",
    "/usr/bin/python3",
    *(f"python3.{minor}" for minor in range(14, 8, -1)),
    *('"$HOME"/' + folder for folder in ("miniforge3/bin/python", "miniconda3/bin/python", "anaconda3/bin/python")),
    *('"$HOME"/' + folder for folder in ("mambaforge/bin/python", ".local/bin/python3", ".venv/bin/python")),
    "/opt/conda/bin/python",
)
"""Where a Python may be, for `sh`. A shell that is no login shell has a short PATH, so the usual places come too."""
_LOGIN = '"$("${SHELL:-/bin/sh}" -lc "command -v python3" </dev/null)"'
"""The one that a login finds; asked last, for a login may take long."""


@cache
def archive() -> bytes:
    """Everything that goes along, as a zip file."""
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, source in _sources():
            file.writestr(zipfile.ZipInfo(name), source.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


@cache
def name() -> str:
    """What its folder is called: it changes with any module."""
    digest = hashlib.sha256()
    for path, source in _sources():
        digest.update(path.encode() + source.read_bytes())
    return f"there-{digest.hexdigest()[:16]}"


@cache
def _count() -> int:
    return sum(1 for _ in _sources())


def command(mark: str, pythons: Sequence[str] = ()) -> tuple[str, bytes]:
    """A command line for any login shell, and what it reads first; `pythons` are tried before the usual ones.

    `MARK none` is what it says where no Python will do.
    """
    code = (_HERE / "bootstrap.py").read_bytes() + f"\nstart({mark!r}, {name()!r}, {_count()})\n".encode()
    check = f"import sys; sys.version_info >= {OLDEST} or sys.exit({_TOO_OLD})"
    load = f"{check}; exec(sys.stdin.buffer.read({len(code)}))"
    tried = " ".join([*map(shlex.quote, pythons), *_PYTHONS])
    others = f"{_UNKNOWN_OPTION}|126|127|{_TOO_OLD}"
    script = (
        f'become() {{ "$1" -I -S -c "{load}" 2>&3; case $? in {others}) ;; *) exit;; esac; }}; '
        f'exec 3>&2 2>/dev/null; for python in {tried}; do become "$python"; done; become {_LOGIN}; '
        f"echo; echo {mark} none"
    )
    return f"exec sh -c {shlex.quote(script)}", code


def _sources() -> Iterator[tuple[str, Path]]:
    for pattern in _MODULES:
        for source in sorted(_ROOT.glob(pattern)):
            yield f"jupyterctl/{source.relative_to(_ROOT)}", source
    yield "serve.py", _HERE / "serve.py"
    for source in sorted((_HERE / "stand_ins").glob("*.py")):
        yield f"stand_ins/{source.name}", source
