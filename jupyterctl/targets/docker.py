"""Kind `docker`: containers of an engine that speaks Docker's API, on this machine or another.

What is done there is `transport.engine`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, field

from .. import model
from ..model import Check, Profile, ServerSettings
from ..transport.engine.labs import EngineLabs
from ..transport.engine.runs import EngineRuns

ALIASES: tuple[str, ...] = ("podman",)
IMAGE = "quay.io/jupyter/scipy-notebook:latest"
"""The image of the target that needs no profile."""
Size = Annotated[str, Meta(pattern=r"^\d+[kmgtKMGT]?[bB]?$")]
Gpus = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"^(all|\d+|device=.+)$")]


class Published(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[server]` table of a lab in a container."""

    publish: Annotated[
        str,
        Meta(
            description="Address of the engine's machine that the lab's port is published at; anything but the loopback"
            " lets others reach the login page. Left out, a lab on another machine's engine is not published: a link"
            " leads to it",
            examples=["127.0.0.1", "10.1.2.3"],
        ),
    ] = "127.0.0.1"


class Settings(model.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which image, on which engine, with what."""

    image: Annotated[
        str,
        Meta(
            description="Image with Python, and JupyterLab for labs, papermill for runs",
            min_length=1,
            examples=[IMAGE, "registry.example.org/team/lab:2.3"],
        ),
    ] = IMAGE
    engine: Annotated[
        str | None,
        Meta(
            description="Engine to use: a context's name, or unix:///path, tcp://host:port or ssh://host; left out,"
            " what DOCKER_HOST or the current context says, else the one of this machine, Docker's or Podman's",
            examples=["gpu-server", "unix:///run/podman/podman.sock", "ssh://gpu-01"],
        ),
    ] = None
    workdir: Annotated[
        str | None,
        Meta(
            description="Folder of the engine's machine that labs show and notebooks work in, mounted at the same path;"
            " or the name of a volume, mounted at /work. Left out: for a lab the folder it is started in, and for a"
            " run a folder of its own",
            examples=["~/project", "my-volume"],
        ),
    ] = None
    mounts: Annotated[
        tuple[str, ...],
        Meta(
            description="More folders or volumes: SOURCE, SOURCE:TARGET or SOURCE:TARGET:ro",
            examples=["/data:/data:ro", "models:/models"],
        ),
    ] = ()
    env: Annotated[
        dict[str, str], Meta(description="Environment variables of the container; no secrets here, use -s NAME=REF")
    ] = field(default_factory=dict)
    python: Annotated[str, Meta(description="Python of the image: a program on its PATH, or its path")] = "python3"
    install: Annotated[
        bool, Meta(description="Install JupyterLab or papermill with pip where the image has none, at each first start")
    ] = False
    pull: Annotated[
        Literal["missing", "always", "never"],
        Meta(description="When to pull the image: where the engine has none, before every start, or not at all"),
    ] = "missing"
    user: Annotated[
        str,
        Meta(
            description="User in the container: auto (you, so that files in mounted folders are yours), image (the"
            " image's own), or UID, UID:GID or a name that the image knows",
            min_length=1,
        ),
    ] = "auto"
    cpus: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="Most processors it may use; parts of one count too")
    ] = None
    memory: Annotated[
        Size | None, Meta(description="Most memory it may use, swap included", examples=["8g", "512m"])
    ] = None
    gpus: Annotated[
        Gpus | None,
        Meta(description="GPUs: how many, all, or device=0,2 for certain ones", examples=["all", "1", "device=0,2"]),
    ] = None
    shm_size: Annotated[
        Size | None,
        Meta(description="Size of /dev/shm, which data loaders share memory in", examples=["8g"]),
    ] = None
    network: Annotated[
        str | None,
        Meta(description="Network of the engine to be in; host is the engine's machine's own, none has no way out"),
    ] = None
    owner: Annotated[
        str | None,
        Meta(
            description="Whose the containers are, on an engine that several people use; left out, your name on this"
            " machine"
        ),
    ] = None
    server: Published = Published()


def create(profile: Profile) -> Docker:
    """The target that a profile describes."""
    return Docker(profile)


def default() -> Settings:
    """The engine of this machine, with an image that many know; what it lacks is installed."""
    return Settings(install=True)


def candidates() -> Iterator[tuple[str, dict[str, object]]]:
    """One profile for each context, which is how people name their engines."""
    from ..transport.engine.where import contexts

    for name in sorted(contexts()):
        yield name, {"engine": name}


class Docker(EngineRuns, EngineLabs):
    """An engine, with the image of a profile."""

    def __init__(self, profile: Profile) -> None:
        assert isinstance(profile.settings, Settings)  # noqa: S101 - validated as this kind's
        EngineLabs.__init__(self, profile)
        EngineRuns.__init__(self, profile)

    def check(self) -> Iterator[Check]:
        """The engine, the image and what is in it, the folders, the GPUs."""
        from ..transport.engine.doctor import look

        return look(self.profile)
