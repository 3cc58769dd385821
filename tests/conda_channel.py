"""A small, genuine conda channel in a folder, and environments made from it.

The channel holds this machine's CPython as the package `python` and wheels from PyPI as packages: real archives, run
dependencies, prefix placeholders, an activation script. It is built once for a Python version and a set of
requirements, and kept in the user's cache.

    make_environment(tmp_path / "lab")      a conda environment with ipykernel and papermill
    build_channel().as_uri()                for `jupyterctl env create --channel`

The test that needs it is skipped where there is no patchelf or strip, or where PyPI cannot be reached.
"""

from __future__ import annotations

import configparser
import email
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need

HOME = Path.home()
"""The user's own, whatever a test makes of the variable: pip is set up there."""
CACHE = HOME / ".cache/jupyterctl-tests"
REQUIREMENTS = ("ipykernel", "papermill", "pip")
VERSION = ".".join(map(str, sys.version_info[:3]))
SUBDIR = "linux-aarch64" if platform.machine() == "aarch64" else "linux-64"
MINOR = ".".join(map(str, sys.version_info[:2]))
SITE = f"lib/python{MINOR}/site-packages"
LEFT_OUT = ("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "config-*", "*.a")
SCRIPT = "#!{python}\nimport sys\nfrom {module} import {first}\nsys.exit({function}())\n"
Entry = tuple[str, Path | bytes]


def build_channel() -> Path:
    """The channel's folder, built now if this machine has none yet (10 s); skips the test where it cannot be."""
    return _built() / "channel"


def wheels() -> Path:
    """The folder of the wheels it was made of, for pip and uv without an index."""
    return _built() / "wheels"


def _built() -> Path:
    key = hashlib.sha256(f"{VERSION} {sys.base_prefix} {REQUIREMENTS} {Path(__file__).read_text()}".encode())
    place = CACHE / f"conda-{MINOR}-{key.hexdigest()[:12]}"
    if not place.exists():
        _require("patchelf", "strip")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="building-", ignore_cleanup_errors=True) as folder:
            _build(Path(folder) / "new")
            _settle(Path(folder) / "new", place)
    return place


def make_environment(prefix: Path) -> Path:
    """A conda environment with ipykernel and papermill, made by the code of `jupyterctl env create`.

    Packages are unpacked once for all tests, so that the second environment takes less than a second; the registry of
    conda that it is noted in is not the user's.
    """
    from jupyterctl.environments import create

    channel = build_channel().as_uri()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "JUPYTERCTL_HOME"):
            patch.setenv(name, str(CACHE / "home"))
        return create.create(prefix=prefix, packages=("ipykernel", "papermill"), channels=(channel,)).prefix


@pytest.fixture(scope="session")
def conda_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a conda environment with ipykernel and papermill, for tests that only use it."""
    return make_environment(tmp_path_factory.mktemp("conda") / "lab")


def _require(*programs: str) -> None:
    absent = [name for name in programs if shutil.which(name) is None]
    need("conda", not absent, f"its channel is made with {' and '.join(absent)} (apt install patchelf binutils)")


def _settle(built: Path, place: Path) -> None:
    """Put what is finished in its place; another test process may have been faster."""
    try:
        built.rename(place)
    except OSError:
        if not place.exists():
            raise


def _build(folder: Path) -> None:
    out = folder / "channel" / SUBDIR
    out.mkdir(parents=True)
    (folder / "channel/noarch").mkdir()
    # a prefix recorded in a binary can only be replaced by a shorter one, so packages are laid out under a long one
    layout = folder / ("placeholder-" * 12)
    _python_package(layout / "python", out)
    for wheel in _wheels(folder / "wheels"):
        _wheel_package(wheel, layout, out)
    # in a process of its own, for rattler can crash when the interpreter ends
    code = (
        "import asyncio, os, sys; from rattler.index import index_fs; asyncio.run(index_fs(sys.argv[1])); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, folder / "channel"], check=True, timeout=60)
    shutil.rmtree(layout)


def _wheels(folder: Path) -> list[Path]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", str(folder)]
    environment = {**os.environ, "HOME": str(HOME)}
    done = subprocess.run(
        [*command, *REQUIREMENTS], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    need("conda", done.returncode == 0, f"its channel is made of wheels: {done.stderr.strip()[-200:]}")
    return sorted(folder.glob("*.whl"))


def _python_package(root: Path, out: Path) -> None:
    """This CPython: its executable, its shared library if it has one, and the standard library without its tests."""
    base = Path(sys.base_prefix)
    (root / "bin").mkdir(parents=True)
    shutil.copy2(base / f"bin/python{MINOR}", root / "bin")
    for link in ("python3", "python"):
        (root / "bin" / link).symlink_to(f"python{MINOR}")
    shutil.copytree(base / f"lib/python{MINOR}", root / f"lib/python{MINOR}", ignore=shutil.ignore_patterns(*LEFT_OUT))
    (root / SITE).mkdir(exist_ok=True)
    (root / SITE / "README.txt").write_text("site packages of a test channel\n")
    library = base / f"lib/libpython{MINOR}.so.1.0"
    if library.exists():
        shutil.copy2(library, root / "lib")
        subprocess.run(["strip", "-S", root / "lib" / library.name], check=True)
        subprocess.run(["patchelf", "--set-rpath", "$ORIGIN/../lib", root / f"bin/python{MINOR}"], check=True)
    for file in (root / f"lib/python{MINOR}").glob("_sysconfigdata*.py"):
        file.write_text(file.read_text().replace(str(base), str(root)))
    _activation(root / "etc/conda")
    _emit("python", VERSION, [], root, out)


def _activation(folder: Path) -> None:
    """A script that only bash reads, as many packages bring one, and a variable."""
    (folder / "activate.d").mkdir(parents=True)
    script = '[[ -d $CONDA_PREFIX ]] && export JUPYTERCTL_TEST_ACTIVATED="$CONDA_PREFIX"\n'
    (folder / "activate.d/python_test.sh").write_text(script)
    (folder / "env_vars.d").mkdir()
    (folder / "env_vars.d/python.json").write_text('{"JUPYTERCTL_TEST_VARIABLE": "from the package"}\n')


def _wheel_package(wheel: Path, layout: Path, out: Path) -> None:
    from packaging.utils import parse_wheel_filename

    name, version, _, _ = parse_wheel_filename(wheel.name)
    root = layout / name
    with zipfile.ZipFile(wheel) as archive:
        info = next(file.split("/")[0] for file in archive.namelist() if file.endswith(".dist-info/METADATA"))
        for member in archive.infolist():
            if not member.is_dir():
                _unpack(archive, member, root)
    (root / SITE / info / "INSTALLER").write_text("conda\n")
    _entry_points(root / SITE / info / "entry_points.txt", root / "bin")
    _kernels(root)
    _emit(name, str(version), _dependencies(root / SITE / info / "METADATA"), root, out)


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, root: Path) -> None:
    """Put one file where pip would put it."""
    placed = re.match(r"[^/]+\.data/([^/]+)/(.*)", member.filename)
    folders = {"data": root, "scripts": root / "bin", "headers": root / "include"}
    target = folders.get(placed[1], root / SITE) / placed[2] if placed else root / SITE / member.filename
    data = archive.read(member)
    script = placed is not None and placed[1] == "scripts"
    if script and data.startswith(b"#!python"):
        data = f"#!{root}/bin/python".encode() + data[len(b"#!python") :]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    if script or (member.external_attr >> 16) & 0o111:
        target.chmod(0o755)


def _entry_points(file: Path, folder: Path) -> None:
    if not file.exists():
        return
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    points.read_string(file.read_text())
    for name, point in points["console_scripts"].items() if "console_scripts" in points else ():
        module, _, function = point.split("[")[0].strip().partition(":")
        folder.mkdir(exist_ok=True)
        text = SCRIPT.format(python=folder / "python", module=module, first=function.split(".")[0], function=function)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def _kernels(root: Path) -> None:
    """Kernelspecs name the interpreter: the environment's own."""
    for file in (root / "share/jupyter/kernels").glob("*/kernel.json"):
        spec = json.loads(file.read_text())
        spec["argv"][0] = f"{root}/bin/python"
        file.write_text(json.dumps(spec, indent=1))


def _dependencies(metadata: Path) -> list[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    declared = email.message_from_bytes(metadata.read_bytes()).get_all("Requires-Dist") or ()
    needed = (one for one in map(Requirement, declared) if not one.marker or one.marker.evaluate({"extra": ""}))
    return [f"python {MINOR}.*", *(f"{canonicalize_name(one.name)} {one.specifier}".strip() for one in needed)]


def _emit(name: str, version: str, depends: list[str], root: Path, out: Path) -> None:
    """Write the files below `root` as one package in the .conda format: a zip of two tar archives."""
    import zstandard

    index = {"name": name, "version": version, "build": "0", "build_number": 0, "subdir": out.name, "depends": depends}
    files = [(path.relative_to(root).as_posix(), path) for path in _files(root)]
    listed = {"paths": [_listed(name, path, root) for name, path in files], "paths_version": 1}
    info = [("info/index.json", json.dumps(index).encode()), ("info/paths.json", json.dumps(listed).encode())]
    compress = zstandard.ZstdCompressor(level=3).compress
    with zipfile.ZipFile(out / f"{name}-{version}-0.conda", "w", zipfile.ZIP_STORED) as package:
        package.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        package.writestr(f"pkg-{name}-{version}-0.tar.zst", compress(_tar(files)))
        package.writestr(f"info-{name}-{version}-0.tar.zst", compress(_tar(info)))
    shutil.rmtree(root)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_symlink() or not path.is_dir())


def _listed(name: str, path: Path, root: Path) -> dict[str, object]:
    """The file's line in paths.json; one that holds the prefix says so, for the installer to put the real one in."""
    if path.is_symlink():
        return {"_path": name, "path_type": "softlink", "sha256": hashlib.sha256().hexdigest(), "size_in_bytes": 0}
    data = path.read_bytes()
    line = {"_path": name, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest()}
    placeholder = os.fsencode(root)
    if placeholder in data:
        line |= {"prefix_placeholder": str(root), "file_mode": "binary" if b"\0" in data else "text"}
    return {**line, "size_in_bytes": len(data)}


def _tar(entries: Iterable[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, source in entries:
            if isinstance(source, bytes):
                member = tarfile.TarInfo(name)
                member.size = len(source)
                archive.addfile(member, io.BytesIO(source))
            else:
                archive.add(source, name, recursive=False)
    return buffer.getvalue()
