"""What the doctor looks at on an engine: itself, the image, what is in it, what is mounted, what is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from ...errors import JupyterctlError
from ...model import Check, CheckState, Profile
from . import images, recipe
from .client import client, words
from .where import Engine, engine

OK, WARN, FAIL = CheckState.OK, CheckState.WARN, CheckState.FAIL
GIB = 1 << 30


def look(profile: Profile) -> Iterator[Check]:
    """Each step; one that fails hides those that need it."""
    settings = cast(recipe.Settings, profile.settings)
    at = engine(settings.engine, profile.kind)
    try:
        with words(at):
            info = client(at).info()
    except JupyterctlError as error:
        yield Check(name="engine", state=FAIL, detail=error.message, fix=error.hint)
        return
    yield _engine(at, info)
    yield _user(settings, at, info)
    yield from _folders(profile, settings, at)
    yield from _gpus(settings, info)
    yield from _image(profile, settings, at)


def _engine(at: Engine, info: dict[str, Any]) -> Check:
    memory = (info.get("MemTotal") or 0) / GIB
    size = f"{info.get('NCPU')} processors, {memory:.0f} GiB"
    return Check(
        name="engine",
        state=OK,
        detail=f"{info.get('ServerVersion')} at {at.url} ({at.source}): {info.get('OperatingSystem')}, {size}",
    )


def _user(settings: recipe.Settings, at: Engine, info: dict[str, Any]) -> Check:
    mapped = recipe.user(settings, at, info)
    return Check(name="user", state=OK, detail=f"processes are {mapped or 'those of the image'}")


def _folders(profile: Profile, settings: recipe.Settings, at: Engine) -> Iterator[Check]:
    """Those of the profile, where they are on this machine."""
    for one in _binds(profile, settings):
        how = "read-only" if one.read_only else "writable"
        if one.volume or not at.here or Path(one.source).exists():
            yield Check(name="mount", state=OK, detail=f"{one.source} at {one.target}, {how}")
        else:
            yield Check(name="mount", state=FAIL, detail=f"`{one.source}` is not there", fix="make it, or correct it")


def _binds(profile: Profile, settings: recipe.Settings) -> list[recipe.Bind]:
    wanted = recipe.binds(settings, recipe.base(profile.sources, "mounts"))
    if settings.workdir is not None:
        source = recipe.folder(settings.workdir, recipe.base(profile.sources, "workdir"))
        wanted.insert(0, recipe.Bind(source=source, target=source if source.startswith("/") else recipe.WORK))
    return wanted


def _gpus(settings: recipe.Settings, info: dict[str, Any]) -> Iterator[Check]:
    if settings.gpus:
        there = "nvidia" in (info.get("Runtimes") or {}) or bool(info.get("CDISpecDirs"))
        fix = "" if there else "install the NVIDIA Container Toolkit at the engine"
        state, detail = (OK, "the engine has a runtime for them") if there else (WARN, "the engine names no runtime")
        yield Check(name="gpus", state=state, detail=detail, fix=fix)


def _image(profile: Profile, settings: recipe.Settings, at: Engine) -> Iterator[Check]:
    found = images.here(at, settings.image)
    if found is None:
        fix = "" if settings.pull != "never" else f"docker pull {settings.image}"
        detail = f"`{settings.image}` is not on the engine" + ("" if fix else "; it is pulled when it is needed")
        yield Check(
            name="image", state=FAIL if fix else WARN, detail=detail, fix=fix or f"docker pull {settings.image}"
        )
        return
    size = found.attrs["Size"] / 10**6
    yield Check(name="image", state=OK, detail=f"{settings.image}, {found.short_id}, {size:.0f} MB")
    binds = _binds(profile, settings)
    mounted = {"mounts": recipe.mounts(binds)} if recipe.within(settings.python, binds) else None
    try:
        contents = images.contents(at, found, settings.python, mounted)
    except JupyterctlError as error:
        yield Check(name="python", state=FAIL, detail=error.message, fix=error.hint)
        return
    yield Check(name="python", state=OK, detail=f"{contents.python}: {contents.prefix}")
    for name, use in (("jupyterlab", "labs"), ("papermill", "runs"), ("ipykernel", "kernels")):
        yield _package(settings, contents, name, use)


def _package(settings: recipe.Settings, contents: images.Contents, name: str, use: str) -> Check:
    version = contents.versions.get(name)
    if version:
        return Check(name=name, state=OK, detail=version)
    if settings.install:
        return Check(name=name, state=OK, detail="not in the image; it is installed where it is needed")
    fix = f"have the image install it (RUN pip install {name}), or set install = true"
    return Check(name=name, state=WARN, detail=f"not in the image: no {use}", fix=fix)
