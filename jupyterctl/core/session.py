"""The whole program as one object: every verb of the command line and of the dashboard is a method here.

The front ends only render. Modules are imported by the verb that needs them, so that a quick command stays quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from ..model import Profile
    from .authoring import Candidate
    from .doctor import Finding
    from .profiles import Entry, Value
    from .status import Status


class Session:
    """One person at one machine, with the profiles that hold in one folder."""

    def __init__(self, cwd: Path | None = None) -> None:
        self.cwd = cwd or _working_directory()

    def kinds(self) -> list[str]:
        """Names of all kinds."""
        from .. import target

        return target.kinds()

    def profiles(self) -> list[Entry]:
        """Every profile that holds here, by name, the broken ones with their error."""
        from . import profiles

        return profiles.entries(self.cwd)

    def entry(self, name: str) -> Entry | None:
        """One profile, valid or broken; None where no file has the name."""
        from . import profiles

        return profiles.entry(name, self.cwd)

    def profile(self, name: str) -> Profile:
        """What `--target NAME` means: a profile, a kind's only profile, or the kind's own default."""
        from . import profiles

        return profiles.resolve(name, self.cwd)

    def profile_values(self, profile: Profile) -> list[Value]:
        """Every setting of a profile with the file it comes from."""
        from . import profiles

        return profiles.values(profile)

    def profile_file(self, name: str, *, project: bool = False) -> Path:
        """Where a new profile of this name would stand."""
        from . import authoring

        return authoring.folder(self.cwd, project=project) / f"{name}.toml"

    def profile_files(self, name: str, *, project: bool | None = None) -> list[Path]:
        """The files of a profile, the nearest first: all, the project's alone, or the user's alone."""
        from .. import config, paths

        files = config.files(name, self.cwd)
        return [file for file in files if project is None or (file.parent == paths.profiles()) is not project]

    def new_profile(
        self, name: str, kind: str, settings: dict[str, Any], *, project: bool = False, replace: bool = False
    ) -> Path:
        """Write a profile with every setting explained; returns its file."""
        from . import authoring

        return authoring.new(name, kind, settings, authoring.folder(self.cwd, project=project), replace=replace)

    def candidates(self, source: str) -> list[Candidate]:
        """The profiles that a TOML file, a folder of them or a kind offers for import."""
        from . import authoring

        return authoring.candidates(source, self.cwd)

    def import_profile(self, candidate: Candidate, *, project: bool = False, replace: bool = False) -> Path:
        """Write one of `candidates`; returns its file."""
        from . import authoring

        return authoring.take(candidate, authoring.folder(self.cwd, project=project), replace=replace)

    def profile_schema(self) -> bytes:
        """The JSON schema of profiles, for editors."""
        from . import authoring

        return authoring.document()

    def status(self, target: str | None = None) -> list[Status]:
        """Every profile's server, link and health; or one target's."""
        from . import status

        return status.statuses(self.cwd, target)

    def doctor(self, target: str | None = None) -> Iterator[Finding]:
        """Look at a target, or at this installation and every profile, step by step."""
        from . import doctor

        return doctor.examine(self.cwd, target)


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the working directory no longer exists", "change to one that does") from error
