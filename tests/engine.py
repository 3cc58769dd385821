"""A container engine for tests: what is there, a socket to it that can be cut off, and what is left on it."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import PATIENCE, need

PREFIX = Path("/opt/venv")
"""Where the image has its Python environment."""
SOCKET = "/var/run/docker.sock"
IMAGE = os.environ.get("JUPYTERCTL_TEST_IMAGE", "")
"""An image that has jupyterlab, papermill and ipykernel in `PREFIX`."""
_images = tempfile.TemporaryDirectory(prefix="jupyterctl-images-")
"""What is known of images, shared by the tests of this process."""


@cache
def client(url: str = f"unix://{SOCKET}") -> Any:
    """The engine itself."""
    from docker import DockerClient

    return DockerClient(base_url=url, version="auto")


def pings(url: str) -> bool:
    """Whether an engine answers there."""
    try:
        return bool(client(url).ping())
    except Exception:  # noqa: BLE001 - whatever it is, there is none
        return False


def is_root() -> bool:
    """Whether engines of the test's own may be started."""
    return os.geteuid() == 0


@cache
def answers() -> bool:
    """Whether there is an engine that we may use."""
    return pings(f"unix://{SOCKET}")


@cache
def has_image() -> bool:
    """Whether the image is on it."""
    return bool(IMAGE) and any(IMAGE in image.tags for image in client().images.list())


BARE = "localhost/jupyterctl-test/bare:1"
"""An image with nothing in it: with folders of this machine mounted, it has this machine's Python."""


def bare(api: Any) -> None:
    """Have that image on an engine."""
    from docker.errors import ImageNotFound

    try:
        api.images.get(BARE)
    except ImageNotFound:
        repository, tag = BARE.split(":")
        made = json.loads(api.api.import_image_from_data(_root(), repository, tag).splitlines()[-1])
        api.images.get(made["status"]).tag(repository, tag)  # not every engine has given it the name


def _root() -> bytes:
    """A root file system, as an archive: folders that programs expect, and links as this machine has them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in ("tmp", "etc", "usr", "root"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for name in LINKED:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(Path(f"/{name}").readlink())
            tar.addfile(link)
        users = b"root:x:0:0:root:/root:/bin/sh\n"
        file = tarfile.TarInfo("etc/passwd")
        file.size = len(users)
        tar.addfile(file, io.BytesIO(users))
    return made.getvalue()


def pack(name: str, data: bytes) -> bytes:
    """An archive of one file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


SYSTEM = [name for name in ("bin", "lib", "lib64", "sbin") if Path(f"/{name}").exists()]
LINKED = [name for name in SYSTEM if Path(f"/{name}").is_symlink()]
MOUNTED = ["/usr", "/etc/ld.so.cache", *(f"/{name}" for name in SYSTEM if name not in LINKED), sys.prefix]
MOUNTED += [prefix for prefix in [sys.base_prefix] if not Path(prefix).is_relative_to("/usr")]


def need_engine() -> None:
    """Skip, or fail, the test without an engine and its image."""
    need("docker", answers(), f"a Docker Engine that answers at {SOCKET}")
    need("image", has_image(), "JUPYTERCTL_TEST_IMAGE, an image with jupyterlab, papermill and ipykernel on it")


FROM_WHEELS = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
"""What has pip in such an image take what it has, for nothing there need reach a registry."""


def without(image: str, folder: Path, *names: str) -> str:
    """The same image without these packages, and with wheels of them: made once."""
    need("docker", shutil.which("docker"), "apt install docker.io")
    tag = f"jupyterctl-test/without-{'-'.join(names)}:1"
    if subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode:
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "-d", wheels]
        wanted = {*names, "ipykernel", "ansicolors"}
        subprocess.run([*download, *sorted(wanted)], check=True, timeout=PATIENCE * 3)
        uninstall = f"RUN python3 -m pip uninstall --quiet --yes {' '.join(names)}"
        (folder / "Dockerfile").write_text(f"FROM {image}\nCOPY wheels /wheels\n{uninstall}\n")
        subprocess.run(["docker", "build", "--quiet", "-t", tag, folder], check=True, timeout=PATIENCE * 3)
    return tag


class Ground:
    """One test's part of the engine: containers of an owner of its own, which are gone afterwards."""

    def __init__(self, folder: Path, socket: str = SOCKET) -> None:
        self.folder = folder
        self.owner = f"test-{secrets.token_hex(4)}"
        self.socket = socket

    def open(self) -> Ground:
        """Have the engine at a socket of the test's own."""
        if self.socket == SOCKET:
            need_engine()
        self.client = client(f"unix://{self.socket}")
        self.relay = Relay(self.folder / "engine.sock", self.socket)
        self.url = f"unix://{self.relay.path}"
        known = self.folder / "home/cache/images"
        known.parent.mkdir(parents=True, exist_ok=True)
        known.symlink_to(_images.name)
        return self

    def close(self) -> None:
        """Nothing is left."""
        for container in self.containers():
            with suppress(Exception):  # another one has removed it
                container.remove(force=True, v=True)
        self.relay.close()

    def profile(self, **settings: object) -> str:
        """A profile of it, as TOML."""
        import tomli_w

        own = {"kind": "docker", "engine": self.url, "owner": self.owner}
        return tomli_w.dumps({**own, "image": IMAGE, "pull": "never", **settings})

    def bare(self, **settings: Any) -> str:
        """A profile of an image without anything, with this machine's Python and environment in it."""
        bare(self.client)
        mounts = [f"{path}:{path}:ro" for path in MOUNTED] + settings.pop("mounts", [])
        return self.profile(**{"image": BARE, "python": sys.executable, "mounts": mounts, **settings})

    def containers(self) -> list[Any]:
        """All of this owner, stopped ones too."""
        wanted = {"label": f"jupyterctl/owner={self.owner}"}
        found: list[Any] = self.client.containers.list(all=True, filters=wanted, ignore_removed=True)
        return found

    def named(self, name: str) -> Any:
        """One of this owner's, None where there is none."""
        return next((one for one in self.containers() if name in {one.name, one.labels.get("jupyterctl/server")}), None)

    def pid(self, name: str) -> int:
        """Of its first process on this machine; 0 where it does not run."""
        found = self.named(name)
        return found.attrs["State"]["Pid"] if found else 0

    def processes(self, name: str) -> list[psutil.Process]:
        """All that run in it."""
        found = self.named(name)
        if found is None or found.status != "running":
            return []
        with suppress(Exception):  # it has ended meanwhile
            return [psutil.Process(int(line[1])) for line in found.top()["Processes"]]
        return []

    def python(self, name: str, code: str) -> None:
        """Execute something in it."""
        done = self.named(name).exec_run(["python3", "-c", code])
        assert done.exit_code == 0, done.output

    def copies(self, name: str, path: str) -> dict[str, bytes]:
        """All files below a path in it, its log, and all that the engine tells of it."""
        found = self.named(name)
        if found is None:
            return {}
        with _archive(found, path) as tar:
            files = {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]
        return {**files, "log": found.logs(), "inspect": json.dumps(found.attrs, ensure_ascii=False).encode()}

    def kept(self, name: str, kept: Any) -> Any:
        """What it keeps of its lab."""
        found = self.named(name)
        with _archive(found, "/jupyterctl") as tar:
            token = tar.getmember("jupyterctl/token")
            mode = token.mode | tar.getmember("jupyterctl/runtime").mode & 0o077
            data = tar.extractfile(token).read().decode()  # type: ignore[union-attr] # it is a file
        return kept(data, mode, found.logs().decode(), json.dumps(found.attrs), None)


def _archive(container: Any, path: str) -> tarfile.TarFile:
    chunks, _ = container.get_archive(path)
    return tarfile.open(fileobj=io.BytesIO(b"".join(chunks)))


class Relay:
    """A socket that leads to another one, until it is cut off."""

    def __init__(self, at: Path | tuple[str, int], to: str, secured: ssl.SSLContext | None = None) -> None:
        self.at, self.to, self.secured = at, to, secured
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def path(self) -> str:
        """Of a socket of the file system."""
        return str(self.at)

    @property
    def port(self) -> int:
        """Of one of a network."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    @contextmanager
    def cut(self) -> Iterator[None]:
        """While open, nothing listens there, and what was connected is not any more."""
        self.close()
        try:
            yield
        finally:
            self._listen()

    def close(self) -> None:
        """For good, unless it is opened again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            if isinstance(self.at, Path):
                self.at.unlink()
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX if isinstance(self.at, Path) else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(str(self.at) if isinstance(self.at, Path) else self.at)
        if not isinstance(self.at, Path):
            self.at = self._listener.getsockname()
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._join, args=listener.accept()[:1], daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX)
        try:
            if self.secured is not None:
                near = self.secured.wrap_socket(near, server_side=True)
            far.connect(self.to)
        except OSError:
            near.close()
            far.close()
            return
        with self._lock:
            if self._listener is None:  # it was cut off meanwhile
                near.close()
                far.close()
                return
            self._open |= {near, far}
        for pair in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._open.discard(source)
            done = sink not in self._open
        if done:
            source.close()
            sink.close()
