"""A place whose machine executes our program, behind a way that a keeper holds: what all such kinds share.

Everything but the login: what runs there is started, found and ended by the program there (`jupyterctl.remote.there`),
asked through the keeper; files go over SFTP; a run needs nothing of this machine once it is submitted.
"""

from __future__ import annotations

import base64
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..errors import TargetError, UnreachableError
from ..model import (
    Address,
    Bundle,
    Check,
    CheckState,
    Dial,
    Listing,
    Needs,
    Phase,
    PhaseState,
    Plan,
    Profile,
    Run,
    Server,
)
from .linked import Linked

if TYPE_CHECKING:
    from ..environments.solve import Step
    from ..model import ServerSpec
    from .carrier import Carrier, Progress

WAIT_SECONDS = 0.5
"""How long the machine waits for news of a run whose journal is asked for again."""
CLOCK_SECONDS = 30.0
"""By how much two clocks may differ before it is said."""


class Afar(Linked, ABC):
    """What the Target protocol asks of a place behind a keeper; a kind says how one gets there.

    `settings` has what the program there needs (`environment`, `workdir`, `before`, `server`, `run`) and `on_reboot`.
    """

    host: str
    """The machine's name, in messages."""
    files_by = "sftp"

    def __init__(self, profile: Profile, settings: Any) -> None:
        super().__init__(msgspec.structs.replace(profile, settings=settings))
        self.profile = profile
        self.settings = settings
        self.site = f"{profile.kind} {profile.name}"
        self._asked: tuple[str, int] | None = None

    def address(self, server: Server) -> Address | Dial:
        """Where the link must lead."""
        return dial_of(self.broker.call("address", server=server))

    @abstractmethod
    def warnings(self, facts: dict[str, Any]) -> Iterator[str]:
        """What a person should know before a lab is started, of a machine that is so."""

    def make_environment(self, name: str, report: Callable[[Step], object]) -> None:
        """A virtual environment there, by uv or by Python's own venv."""
        from ..environments.solve import Step

        for item in self.broker.items("make", name=name):
            report(msgspec.convert(item, Step))

    def dial(self, carrier: Carrier, *, anew: bool) -> Dial:
        """Where the lab listens; started again after a reboot where the profile says so."""
        server = self._over(carrier, "find", name=self.profile.name, known=None)
        if server is None and anew and self.settings.on_reboot == "restart":
            self._over(carrier, "start", spec=self._spec(None))
            server = self._over(carrier, "find", name=self.profile.name, known=None)
        if server is None:
            raise TargetError(
                f"the machine is there, and the lab of `{self.profile.name}` is not",
                f"start it: jupyterctl start {self.profile.name}",
            )
        return dial_of(self._over(carrier, "address", server=server))

    def _over(self, carrier: Carrier, method: str, **arguments: Any) -> Any:
        settings = msgspec.to_builtins(self.settings)
        *_, (_, result) = carrier.call(method, self.profile.name, settings, arguments)
        return result

    # -- the server ------------------------------------------------------------------------------------------------

    def start(self, spec: ServerSpec) -> Iterator[Phase]:
        """Start the lab there, step by step; warnings are steps too."""
        for warning in self.warnings(self.broker.call("facts")):
            yield Phase(name="warning", state=PhaseState.DONE, detail=warning)
        for phase in self.broker.items("start", spec=self._spec(spec)):
            yield msgspec.convert(phase, Phase)

    def _spec(self, spec: ServerSpec | None) -> dict[str, Any]:
        """What a start there is told; a lab that nothing is known of has the profile's port, or chooses one."""
        own = {"name": self.profile.name, "socket": getattr(self.settings.server, "socket", False)}
        if spec is None:
            return {**own, "port": self.settings.server.port}
        return {**own, "port": spec.port, "root": spec.root, "token": spec.token}

    def servers(self) -> list[Server]:
        """Every lab of this account there."""
        return [self._server(one) for one in self.broker.call("servers")]

    def find(self, name: str, known: Server | None = None) -> Server | None:
        """The profile's lab."""
        found = self.broker.call("find", name=name, known=known)
        return self._server(found) if found else None

    def adoptable(self, name: str, near: Path) -> Server | None:  # noqa: ARG002 - what is near is near here
        """One started there by hand that is what the profile describes."""
        found = self.broker.call("adoptable", name=name)
        return self._server(found) if found else None

    def _server(self, found: dict[str, Any]) -> Server:
        place = found["place"].replace("this machine", self.host)
        return msgspec.convert({**found, "kind": self.profile.kind, "place": place}, Server)

    def stop(self, server: Server) -> None:
        """End it there."""
        self.broker.call("stop", server=server)

    def log(self, server: Server | None, name: str, offset: int) -> tuple[bytes, int]:
        """Its log there."""
        data, end = self.broker.call("log", server=server, name=name, offset=offset)
        return base64.b64decode(data), end

    def shell(self, server: Server | None, near: Path) -> list[str]:  # noqa: ARG002 - both are found by the name
        """Our own command: it goes over the way that is open, and asks the person where there is none."""
        return [sys.executable, "-m", "jupyterctl", "shell", self.profile.name]

    def enter(self, server: Server | None) -> int:
        """Give our terminal to a shell there; what has none cannot be shown a window of the server's session."""
        from .terminal import carry

        server = server if sys.stdin.isatty() else None
        return carry(self.broker, f"exec {shlex.join(self.broker.call('shell', server=server))}")

    # -- files -----------------------------------------------------------------------------------------------------

    def look(self, path: str) -> Listing:
        """What a path there leads to."""
        return msgspec.convert(self.broker.call("look", path=path), Listing)

    def arrange(self, folders: Sequence[str], times: Mapping[str, float], remove: Sequence[str]) -> None:
        """Make folders, set times, remove files."""
        self.broker.call("arrange", folders=folders, times=times, remove=remove)

    def put(self, source: Path, destination: str, progress: Progress) -> None:
        """Copy a file there."""
        self.broker.copy("put", str(source), destination, progress=progress)

    def get(self, source: str, destination: Path, progress: Progress) -> None:
        """Copy a file here, checked."""
        place = PurePosixPath(source)
        digest = self.broker.call("digest", handle={"directory": str(place.parent)}, name=place.name)["sha256"]
        self.broker.copy("get", source, str(destination), digest, progress=progress)

    def shell_stream(self) -> list[str]:
        """The command that other programs take for a remote shell: `COMMAND HOST WORDS…`, over the same way."""
        return [sys.executable, "-m", "jupyterctl.transport.rsh"]

    # -- looking at it ---------------------------------------------------------------------------------------------

    def check(self) -> Iterator[Check]:
        """Each step of the way, then what the machine has."""
        try:
            for phase in self.reach():
                if phase.state is PhaseState.DONE:
                    took = f"{phase.detail} ({phase.seconds * 1000:.0f} ms)"
                    yield Check(name=phase.name, state=CheckState.OK, detail=took)
        except TargetError as error:
            yield Check(name="way", state=CheckState.FAIL, detail=error.message, fix=error.hint)
            return
        link = self.state()
        trip = f", {link.round_trip * 1000:.0f} ms there and back" if link.round_trip else ""
        yield Check(name="way", state=CheckState.OK, detail=f"{link.way}{trip}")
        facts = self.broker.call("facts")
        yield Check(name="machine", state=CheckState.OK, detail=f"{facts['host']}, {facts['system']}")
        yield Check(name="python", state=CheckState.OK, detail=f"{facts['python']}: {facts['executable']}")
        yield _clock(facts["time"])
        for item in self.broker.items("check"):
            yield msgspec.convert(item, Check)

    # -- a run -------------------------------------------------------------------------------------------------------

    def plan(self, needs: Needs) -> Plan:
        """Which environment there."""
        asked = {"language": needs.language, "kernel": needs.kernel, "imports": needs.imports}
        return msgspec.convert(self.broker.call("plan", needs={**asked, "isolated": needs.isolated}), Plan)

    def handle(self, run: Run) -> dict[str, str]:
        """The run's directory there."""
        facts = self.broker.call("facts")
        return {"directory": self.broker.call("directory", run=run.id), "host": facts["host"]}

    def submit(self, run: Run, bundle: Bundle, plan: Plan) -> None:
        """Send the files, then have the process started there."""
        directory = run.handle["directory"]
        for name, source in bundle.files.items():
            self.broker.copy("put", str(source), f"{directory}/{name}")
        self.broker.call(
            "submit",
            run={"id": run.id, "handle": run.handle},
            bundle={"task": bundle.task, "secrets": bundle.secrets},
            plan=plan,
        )

    def journal(self, handle: dict[str, str], offset: int) -> tuple[bytes, bool]:
        """The journal there; asked again for the same, the machine waits a moment for news. Nobody is asked."""
        wait = WAIT_SECONDS if self._asked == (handle["directory"], offset) else 0.0
        data, gone = self.broker.glance("journal", handle=handle, offset=offset, wait=wait)
        self._asked = (handle["directory"], offset)
        return base64.b64decode(data), gone

    def collect(self, handle: dict[str, str], name: str, destination: Path) -> str:
        """Fetch a file, checked against the digest made there."""
        found = self.broker.call("digest", handle=handle, name=name)
        if found["size"] is None:
            raise FileNotFoundError(name)
        self.broker.copy("get", found["path"], str(destination), found["sha256"])
        return cast(str, found["sha256"])

    def cancel(self, handle: dict[str, str], grace: float | None) -> None:
        """End it there."""
        self.broker.call("cancel", handle=handle, grace=grace)

    def discard(self, handle: dict[str, str]) -> None:
        """Remove its directory there."""
        self.broker.call("discard", handle=handle)


def dial_of(found: dict[str, Any]) -> Dial:
    """Where a lab listens there, as the program there says."""
    if not found["port"] and not found["socket"]:
        raise UnreachableError("the lab has not said where it is yet", "it may still be starting")
    return Dial(port=found["port"], socket=found["socket"], base_url=found["base_url"], token=found["token"])


def _clock(there: str) -> Check:
    """Whether the clocks agree: certificates, tokens and file times go by them."""
    from datetime import UTC, datetime

    off = abs((datetime.now(UTC) - datetime.fromisoformat(there)).total_seconds())
    state = CheckState.OK if off < CLOCK_SECONDS else CheckState.WARN
    fix = "" if state is CheckState.OK else "have the machine's clock set, by ntp for one"
    return Check(name="clock", state=state, detail=f"{off:.0f} s from ours", fix=fix)
