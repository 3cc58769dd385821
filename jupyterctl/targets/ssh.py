"""Kind `ssh`: a machine that is reached over ssh.

How to get there is `transport.ssh`'s; what is done there is `transport.afar`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .. import model
from ..model import Address, Dial, Profile, Server, ServerSettings
from ..transport.afar import Afar, dial_of

if TYPE_CHECKING:
    from ..transport.carrier import Carrier
    from ..transport.ssh.way import Ask, Report

ALIASES: tuple[str, ...] = ()
OPEN = ("--ServerApp.ip=0.0.0.0", "--ServerApp.allow_remote_access=True")
"""What a lab is told that is reached directly."""


class Listening(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[server]` table of a machine that others use too."""

    port: Annotated[
        int, Meta(ge=0, le=65535, description="Port that the lab listens on there; 0 lets it choose a free one")
    ] = 0
    socket: Annotated[
        bool,
        Meta(description="Listen on a unix socket there that only you can open, instead of a port of the loopback"),
    ] = False


class Settings(model.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which machine, and what runs there."""

    host: Annotated[
        str,
        Meta(
            description="A Host of ~/.ssh/config, or user@host:port", min_length=1, examples=["gpu-01", "me@lab:2222"]
        ),
    ]
    environment: Annotated[
        str,
        Meta(
            description="Python environment there: auto, conda:NAME, conda:/prefix, venv:/path or python:/path;"
            " a relative path starts at the home folder"
        ),
    ] = "auto"
    workdir: Annotated[
        str | None,
        Meta(
            description="Folder there that the lab shows and notebooks work in; left out, the home folder, and for a"
            " run a folder of its own"
        ),
    ] = None
    before: Annotated[
        tuple[str, ...],
        Meta(description="Shell lines to run there before the environment is activated", examples=["module load cuda"]),
    ] = ()
    transport: Annotated[
        Literal["auto", "paramiko", "openssh"],
        Meta(
            description="What carries the connection: openssh is the ssh program, for what paramiko cannot do; auto"
            " takes it only where it is needed"
        ),
    ] = "auto"
    ssh_config: Annotated[str | None, Meta(description="Another file in the place of ~/.ssh/config")] = None
    keep_passwords: Annotated[
        bool, Meta(description="Keep passwords and passphrases in this machine's keyring once they are typed")
    ] = False
    on_reboot: Annotated[
        Literal["tell", "restart"],
        Meta(description="What to do when the machine comes back without the lab: tell, or start it again"),
    ] = "tell"
    link: Annotated[
        Literal["tunnel", "direct"],
        Meta(
            description="How the lab is reached: through the ssh connection, or directly at the machine's address,"
            " where the network between is trusted"
        ),
    ] = "tunnel"
    server: Listening = Listening()


def create(profile: Profile) -> Ssh:
    """The target that a profile describes."""
    return Ssh(profile)


def default() -> None:
    """A machine must be named."""


def candidates() -> Iterator[tuple[str, dict[str, object]]]:
    """One profile for each Host of ~/.ssh/config."""
    from ..transport.ssh.configfile import hosts

    for host in hosts():
        yield host, {"host": host}


class Ssh(Afar):
    """The machine of a profile."""

    def __init__(self, profile: Profile) -> None:
        assert isinstance(profile.settings, Settings)  # noqa: S101 - validated as this kind's
        super().__init__(profile, _reachable(profile.settings))
        self.host = profile.settings.host
        self.direct = profile.settings.link == "direct"
        self.route = (self.host, profile.settings.transport, profile.settings.ssh_config or "")

    @property
    def _config(self) -> Path | None:
        return Path(self.settings.ssh_config).expanduser() if self.settings.ssh_config else None

    def warm(self) -> None:
        """Paramiko takes longer to import than the ssh program to tell the configuration."""
        if self.settings.transport != "openssh":
            from ..transport.ssh import connection, dialogue  # noqa: F401 - to have them

    def open(self, ask: Ask, report: Report) -> Carrier:
        """Log in; for the keeper."""
        from ..transport.carrier import Carrier
        from ..transport.ssh.open import connect

        way = connect(
            self.settings.host,
            ask=ask,
            report=report,
            transport=self.settings.transport,
            config=self._config,
            keep_passwords=self.settings.keep_passwords,
        )
        form, _, path = self.settings.environment.partition(":")
        pythons = {"venv": f"{path}/bin/python", "conda": f"{path}/bin/python", "python": path}
        return Carrier(way, [pythons[form]] if form in pythons and "/" in path else [])

    def address(self, server: Server) -> Address | Dial:
        """Where the link must lead; the machine's own address where it is reached directly."""
        found = self.broker.call("address", server=server)
        dial = dial_of(found)
        if not self.direct:
            return dial
        from ..transport.ssh.route import resolve

        host = resolve(self.settings.host, config=self._config).host
        scheme = "https" if found["url"].startswith("https") else "http"
        bracketed = f"[{host}]" if ":" in host else host
        return Address(url=f"{scheme}://{bracketed}:{dial.port}{dial.base_url}", token=dial.token)

    def warnings(self, facts: dict[str, Any]) -> Iterator[str]:
        """That a lab is open to a network, or may be where none should be."""
        if self.direct:
            yield "everybody who reaches the machine's port meets its login page: trust the network between"
        if facts["programs"]["sbatch"]:
            yield (
                "the machine has Slurm: where labs must not run on a login node, have one in a job (kind `slurm`), or"
                " reach a compute node through it by ProxyJump"
            )


def _reachable(settings: Settings) -> Settings:
    """The settings, with what a lab needs that is reached at the machine's own address."""
    if settings.link == "tunnel":
        return settings
    args = (*OPEN, *(arg for arg in settings.server.args if arg not in OPEN))
    return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, args=args))
