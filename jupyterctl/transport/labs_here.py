"""The server half of a target whose servers are processes of this machine.

A command that only reads profiles imports this module with the kind's, so what starting takes is imported by starting.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import paths
from ..errors import NotFoundError, TargetError
from ..model import Address, Phase, Profile, Server, ServerSettings, ServerSpec

if TYPE_CHECKING:
    from ..environments import Environment
    from .labs import Lab


class LabsHere(ABC):
    """What the Target protocol asks about servers; a kind says which environment and folder."""

    profile: Profile
    site = "this machine"
    remote = False

    @property
    @abstractmethod
    def server_settings(self) -> ServerSettings:
        """The `[server]` table."""

    @property
    @abstractmethod
    def before(self) -> tuple[str, ...]:
        """Shell lines to run before the environment is activated."""

    @property
    @abstractmethod
    def named(self) -> bool:
        """Whether the profile names its environment, so that no other will do."""

    @staticmethod
    def inherited() -> Mapping[str, str]:
        """The variables that a run or a server starts with."""
        return os.environ

    @staticmethod
    def script_command(file: Path) -> list[str]:
        """How a script that starts one is executed."""
        from ..environments import shell

        return [shell(), str(file)]

    @abstractmethod
    def lab_environment(self, near: Path) -> tuple[Environment, str]:
        """The environment to start JupyterLab from, and why this one."""

    @abstractmethod
    def kernel_environment(self, near: Path) -> Environment:
        """The environment that notebooks in a folder run in; NotFoundError where there is none."""

    @abstractmethod
    def lab_root(self, near: Path) -> Path:
        """The folder that a lab started in this one shows."""

    def start(self, spec: ServerSpec) -> Iterator[Phase]:
        """A JupyterLab in tmux, or in a session of its own; its environment, process, address and answer."""
        from . import lab_start

        with lab_start.alone(spec.name):
            lab = self._lab(spec.name)
            yield from self._start(spec) if lab is None else lab_start.join(lab, self.server_settings)

    def _start(self, spec: ServerSpec) -> Iterator[Phase]:
        from . import lab_start

        chosen: list[Environment | None] = []

        def choose() -> str:
            from ..environments import label

            lab, reason = self.lab_environment(spec.near)
            kernel = self._project_kernel(spec.near, lab)
            chosen.extend((lab, kernel))
            return f"{label(lab)}: {reason}" + (f"; with the kernel of {label(kernel)}" if kernel else "")

        yield from lab_start.step("environment", choose)
        environment, kernel = chosen
        assert environment is not None  # noqa: S101 - the step would have failed
        plan = lab_start.Plan(
            spec=spec,
            settings=self.server_settings,
            environment=environment,
            before=self.before,
            root=Path(spec.root) if spec.root else self.lab_root(spec.near),
            directory=_directory(spec.name),
            kernel=kernel,
            inherited=self.inherited(),
            command=self.script_command,
        )
        yield from lab_start.start(plan)

    def _project_kernel(self, near: Path, lab: Environment) -> Environment | None:
        """The environment that notebooks in the folder want, where the lab is another one's."""
        if self.named:
            return None
        with suppress(NotFoundError):  # nothing but the lab may have a kernel, and not even that
            wanted = self.kernel_environment(near)
            return wanted if wanted.prefix != lab.prefix else None
        return None

    def servers(self) -> list[Server]:
        """Those that carry a mark, and those that answer to the token of their record."""
        from . import labs

        return [labs.describe(lab, self.profile.kind) for lab in labs.labs() if lab.name or labs.answers(lab)]

    def find(self, name: str, known: Server | None = None) -> Server | None:
        """The process that carries the profile's mark, or the one that was adopted."""
        from . import labs

        lab = self._lab(name, known)
        return labs.describe(lab, self.profile.kind, name=name, adopted=not lab.name) if lab else None

    def _lab(self, name: str, known: Server | None = None) -> Lab | None:
        from . import labs

        return labs.find(name, known, _directory(name))

    def adoptable(self, name: str, near: Path) -> Server | None:
        """A server with no mark that shows the profile's folder and runs on its environment."""
        from . import labs

        root = self.lab_root(near).resolve()
        prefix = self.lab_environment(near)[0].prefix.resolve() if self.named else None
        for lab in labs.strangers():
            if lab.record is None or Path(lab.record.root_dir).resolve() != root:
                continue
            if prefix is None or Path(lab.program).parent.parent.resolve() == prefix:
                return labs.describe(lab, self.profile.kind, name=name, adopted=True)
        return None

    @staticmethod
    def address(server: Server) -> Address:
        """As the server itself says."""
        from . import labs

        return labs.address(server)

    @staticmethod
    def stop(server: Server) -> None:
        """Over HTTP, then by signals."""
        from . import labs

        labs.end(server)

    def log(self, server: Server | None, name: str, offset: int) -> tuple[bytes, int]:
        """From the file that its terminal is copied to; a server started by hand has none."""
        from . import labs

        if server is not None and "directory" not in server.handle:
            raise TargetError(f"the server of `{name}` was started by hand", "its log is in the terminal it runs in")
        return labs.tail(Path(server.handle["directory"]) if server else _directory(name), offset)

    def shell(self, server: Server | None, near: Path) -> list[str]:
        """A shell with the environment active, in a window of the server's tmux session where it has one."""
        from . import lab_shell

        directory = paths.private(_directory(self.profile.name))
        root = Path(server.root) if server and server.root else self.lab_root(near)
        return lab_shell.command(server, self.kernel_environment(near), self.before, root, directory)


def _directory(name: str) -> Path:
    """What is kept of a profile's server: its token, log and pid."""
    return paths.state() / "servers" / name
