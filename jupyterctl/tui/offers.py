"""What is found on this machine and offered where a form asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.session import Session

MOST = 40


def targets(session: Session) -> list[str]:
    """What a run may be sent to by name."""
    from ..core import profiles

    return profiles.targets(session.cwd)


def environments(session: Session) -> list[str]:
    """The environments here, as a profile names them, the best first."""
    from ..environments import spec_of

    return ["auto", *dict.fromkeys(spec_of(found) for found in session.environments())]


def folders(session: Session) -> list[str]:
    """This folder, those above it, those of the notebooks that were run, and the home folder."""
    ran = [str(Path(run.notebook).parent) for run in session.store.runs(limit=200)]
    near = [str(session.cwd), *map(str, session.cwd.parents)]
    return [name for name in dict.fromkeys([near[0], *ran, str(Path.home()), *near[1:-1]]) if Path(name).is_dir()][
        :MOST
    ]


def notebooks(session: Session) -> list[str]:
    """The notebooks of this folder, and those that were run last."""
    here = sorted(str(path.relative_to(session.cwd)) for path in session.cwd.glob("*.ipynb"))
    ran = [run.notebook for run in session.store.runs(limit=200) if Path(run.notebook).is_file()]
    return list(dict.fromkeys([*here, *ran]))[:MOST]


FOUND = {"environment": environments, "workdir": folders, "root": folders}
"""A setting's name to what is offered for it, whatever kind it is of."""
