"""The run half of a target whose runs are containers: made, filled, started, and left to themselves.

A run's container stays when the run is over, with its log, which is the journal, and its files, until it is discarded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...errors import TargetError, UnreachableError
from ...model import Bundle, Fate, Needs, Plan, Profile, Run, RunState
from . import recipe
from .where import Engine, engine, of_handle

if TYPE_CHECKING:
    from docker.models.containers import Container

    from .reading import Reading

LOOK_EVERY = 2.0
"""Seconds after which a container whose log is followed is looked at."""
NEWS_SECONDS = 0.5
"""How long to wait for news of a run whose journal is asked for again."""
KILL_SECONDS = 10.0
_LIVE = {"running", "paused", "restarting"}
_GONE = {"removing", "dead"}
_KILLED = 137


class EngineRuns:
    """What the Target protocol asks about runs."""

    profile: Profile

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.settings = cast(recipe.Settings, profile.settings)
        self.progress: Callable[[str], object] = len
        """Is told how far a pull is."""
        self._readings: dict[str, Reading] = {}

    # -- before --------------------------------------------------------------------------------------------------

    def plan(self, needs: Needs) -> Plan:
        """Have the image, and see what the notebook would miss in it."""
        from . import images, planning
        from .client import client, words

        at = engine(self.settings.engine, self.profile.kind)
        with words(at):
            info = client(at).info()
        image = images.have(at, self.settings.image, self.settings.pull, self.progress)
        binds, workdir = planning.folders(self.profile, at, needs)
        mounted = {"mounts": recipe.mounts(binds)} if recipe.within(self.settings.python, binds) else None
        contents = images.contents(at, image, self.settings.python, mounted)
        lacking = planning.lacking(self.settings, contents, needs)
        return Plan(
            place=f"{contents.summary} in {self.settings.image}",
            reason=f"on {at.url}",
            missing=tuple(lacking),
            fix=planning.fix(lacking),
            in_place=workdir is not None,
            launch={
                "image": image.id,
                "kernel": needs.kernel,
                "workdir": workdir,
                "binds": [[one.source, one.target, one.read_only] for one in binds],
                "info": {name: info.get(name) for name in recipe.ABOUT_USERS},
            },
        )

    def handle(self, run: Run) -> dict[str, str]:
        """The container's name, whose it is, and the engine."""
        at = engine(self.settings.engine, self.profile.kind)
        return {"container": f"jupyterctl-run-{run.id}", "owner": recipe.owner(self.settings), **at.handle()}

    def submit(self, run: Run, bundle: Bundle, plan: Plan) -> None:
        """Make the container, fill it and start it; one that cannot be started is taken away again."""
        from . import images
        from .client import client, words

        at = of_handle(run.handle)
        with words(at):
            container = client(at).containers.create(name=run.handle["container"], **self._order(run, plan, at))
            try:
                self._fill(container, run, bundle, plan)
                images.start(container, self.settings.image, self.settings.python)
            except BaseException:
                with suppress(Exception):  # the reason is on its way already
                    container.remove(force=True, v=True)
                raise

    def _order(self, run: Run, plan: Plan, at: Engine) -> dict[str, Any]:
        """What the container is made with."""
        from docker.types import LogConfig

        from ...remote import RUNNER
        from ..contained import RUN

        binds = [recipe.Bind(source=source, target=target, read_only=ro) for source, target, ro in plan.launch["binds"]]
        order = recipe.options(self.settings, at, plan.launch["info"], binds)
        order["environment"] |= self.settings.run.env
        return {
            **order,
            "image": plan.launch["image"],
            "entrypoint": [self.settings.python],
            "command": [f"{RUN}/{RUNNER}", "contained"],
            "labels": {recipe.RUN: run.id, recipe.OWNER: run.handle["owner"]},
            "log_config": LogConfig(type=LogConfig.types.JSON, config={}),
        }

    def _fill(self, container: Container, run: Run, bundle: Bundle, plan: Plan) -> None:
        """Everything of the run's, its own user's and nobody else's."""
        from tempfile import SpooledTemporaryFile

        from .. import contained
        from .archive import owner

        wanted = {"install": self.settings.install}
        files: dict[str, bytes | Path] = {
            **contained.head(run, bundle, plan, wanted, plan.launch["workdir"]),
            **contained.body(bundle),
        }
        with SpooledTemporaryFile(max_size=1 << 24) as packed:
            below = {f"{contained.RUN}/{name}".lstrip("/"): content for name, content in files.items()}
            contained.tar(below, packed, owner=owner(container)[0])
            packed.seek(0)
            container.put_archive("/", packed)

    # -- meanwhile -----------------------------------------------------------------------------------------------

    def _container(self, handle: dict[str, str], *, acting: bool = False) -> Container | None:
        """The run's container, None where there is none: somebody else's is not it, nor one that is being removed."""
        from .client import ACT_SECONDS, LOOK_SECONDS, container

        found = container(of_handle(handle), handle["container"], ACT_SECONDS if acting else LOOK_SECONDS)
        if found is None or found.status in _GONE or recipe.RUN not in found.labels:
            return None
        return found if found.labels.get(recipe.OWNER) == handle["owner"] else None

    def journal(self, handle: dict[str, str], offset: int) -> tuple[bytes, bool]:
        """The log's bytes from the offset on. Asked again for what comes next, it waits a moment for it."""
        from .reading import Reading

        reading = self._readings.setdefault(handle["container"], Reading())
        if reading.followed and offset >= reading.start and reading.fresh(LOOK_EVERY):
            if reading.end <= offset:
                reading.wait(NEWS_SECONDS)
            data = reading.take(offset)
            if data or reading.followed:
                return data, False
        try:
            return self._look(handle, reading, offset)
        except UnreachableError:
            raise
        except TargetError:
            if self._container(handle) is None:  # removed between two questions
                return b"", True
            raise

    def _look(self, handle: dict[str, str], reading: Reading, offset: int) -> tuple[bytes, bool]:
        """Look at the container, then read: once it is gone, all it wrote is there."""
        from .client import words
        from .reading import Reading

        container = self._container(handle)
        if container is None:
            return b"", True
        if offset < reading.start:
            reading.close()
            reading = self._readings[handle["container"]] = Reading()
        again = offset == reading.end and offset > 0
        reading.looked = time.monotonic()
        with words(of_handle(handle)):
            if not reading.followed:
                reading.read(container)
            gone = container.status not in _LIVE
            if not gone and again and not reading.followed:
                reading.follow(container)
        data = reading.take(offset)
        return data + (self._rest(container, handle, offset + len(data)) if gone else b""), gone

    @staticmethod
    def _rest(container: Container, handle: dict[str, str], offset: int) -> bytes:
        """What the journal's file has beyond the log, which an engine that was killed may have cut short."""
        from ..contained import RUN
        from .archive import read
        from .client import words

        with suppress(FileNotFoundError, TargetError), words(of_handle(handle)):
            (data,) = read(container, f"{RUN}/events.jsonl").values()
            return data[offset:]
        return b""

    def fate(self, handle: dict[str, str]) -> Fate | None:
        """What the engine knows of a run that left no last word."""
        container = self._container(handle)
        if container is None:
            return Fate(state=RunState.LOST, name="ContainerRemoved", value="its container was removed by somebody")
        state = container.attrs["State"]
        if state.get("OOMKilled"):
            limit = self.settings.memory or "that of its engine"
            value = f"the engine killed its container because memory ran out; the limit is {limit}"
            return Fate(state=RunState.KERNEL_DIED, name="OutOfMemory", value=value)
        if state.get("Error"):
            return Fate(state=RunState.LOST, name="NotStarted", value=state["Error"])
        code = state.get("ExitCode")
        how = "was killed, by somebody or with its engine" if code == _KILLED else f"ended with code {code}"
        last = self._complaint(container, handle)
        kept = f": {last}" if last else "; the notebook is kept as far as it was saved"
        return Fate(state=RunState.LOST, name="ContainerEnded", value=f"its container {how}{kept}")

    @staticmethod
    def _complaint(container: Container, handle: dict[str, str]) -> str:
        """The last that it said past its own log, as a Python does that is too old for it."""
        from .client import words

        with suppress(TargetError), words(of_handle(handle)):
            lines = container.logs(stdout=False, stderr=True, tail=5).decode("utf-8", "replace").strip().splitlines()
            return lines[-1].strip() if lines else ""
        return ""

    # -- afterwards ----------------------------------------------------------------------------------------------

    def collect(self, handle: dict[str, str], name: str, destination: Path) -> str:
        """Copy a file out of the container, whether it runs or not."""
        from ..contained import RUN
        from .archive import copy
        from .client import words

        container = self._container(handle, acting=True)
        if container is None:
            raise FileNotFoundError(name)
        with words(of_handle(handle)):
            return copy(container, f"{RUN}/{name}", destination)

    def cancel(self, handle: dict[str, str], grace: float | None) -> None:
        """SIGTERM to the container's first process; when `grace` has passed, the whole container is killed."""
        container = self._container(handle, acting=True)
        if container is None or container.status not in _LIVE:
            return
        if grace != 0.0:
            self._signal(container, handle, "SIGTERM")
            if grace is None or self._over(handle, grace):
                return
        self._signal(container, handle, "SIGKILL")
        self._over(handle, KILL_SECONDS)

    @staticmethod
    def _signal(container: Container, handle: dict[str, str], name: str) -> None:
        from .client import words

        with suppress(TargetError), words(of_handle(handle)):  # it has ended meanwhile
            if container.status == "paused":
                container.unpause()
            container.kill(name)

    def _over(self, handle: dict[str, str], seconds: float) -> bool:
        """Whether the container has ended within so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            container = self._container(handle)
            if container is None or container.status not in _LIVE:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)

    def discard(self, handle: dict[str, str]) -> None:
        """Remove the container and what is in it."""
        from .client import words

        reading = self._readings.pop(handle["container"], None)
        if reading is not None:
            reading.close()
        container = self._container(handle, acting=True)
        if container is not None:
            with words(of_handle(handle)):
                container.remove(force=True, v=True)
