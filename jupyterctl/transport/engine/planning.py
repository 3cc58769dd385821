"""What a run needs of an image, and where its notebook works."""

from __future__ import annotations

from typing import cast

from ...environments.packages import PACKAGES
from ...errors import TargetError
from ...model import Needs, Profile
from . import recipe
from .images import Contents
from .where import Engine

NEEDED = ("papermill", "ipykernel")


def lacking(settings: recipe.Settings, contents: Contents, needs: Needs) -> list[str]:
    """Modules that the notebook imports and the image does not have; TargetError where it cannot run notebooks."""
    absent = [name for name in NEEDED if name not in contents.modules]
    if absent and not settings.install:
        raise TargetError(
            f"`{settings.python}` of `{settings.image}` has no {' and no '.join(absent)}",
            "take an image that has it, or have it installed: install = true",
        )
    if "PYTHONPATH" in settings.env or needs.language != "python":
        return []
    return sorted(set(needs.imports) - contents.modules - set(NEEDED))


def fix(modules: list[str]) -> str:
    """How to have them."""
    names = " ".join(sorted({PACKAGES.get(name, name) for name in modules}))
    return f"have the image install it: RUN pip install {names}" if modules else ""


def folders(profile: Profile, engine: Engine, needs: Needs) -> tuple[list[recipe.Bind], str | None]:
    """What is mounted, and the folder of the container that the notebook works in; None for one of its own.

    With a folder to work in, a notebook that lies in it works where it lies.
    """
    settings = cast(recipe.Settings, profile.settings)
    binds = recipe.binds(settings, recipe.base(profile.sources, "mounts"))
    if settings.workdir is None or needs.isolated:
        return binds, None
    source = recipe.folder(settings.workdir, recipe.base(profile.sources, "workdir"))
    work = recipe.work(source, engine)
    beneath = engine.here and not work.volume and needs.notebook.is_relative_to(work.source)
    return [work, *binds], str(needs.notebook.parent) if beneath else work.target
