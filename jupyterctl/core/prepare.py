"""Everything about a run that can be known before anything starts: notebook, parameters, place, files.

What is wrong here is an error of two lines, and nothing has been made or sent.
"""

from __future__ import annotations

import ast
import os
import re
import secrets as randomness
import shlex
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from .. import target
from ..environments import absolute
from ..errors import TargetError, UsageError
from ..model import Json, Needs, Plan, Profile, Run, RunOptions, RunState, duration, now
from ..target import Target
from . import checking, imports, notebook, parameters, profiles, records, secrets
from .bundle import Gathered, gather
from .given import Given
from .notebook import Notebook


class Request(Struct, frozen=True, kw_only=True):
    """What a person asks for with `run`."""

    notebook: Path
    target: str
    given: Mapping[str, Given] = {}
    secrets: Mapping[str, str] = {}
    output: str | None = None
    options: RunOptions = RunOptions()


class Prepared(Struct, frozen=True, kw_only=True):
    """A request that can be carried out: `runs` are made of it, one a set of parameters."""

    request: Request
    notebook: Notebook
    declared: parameters.Declared
    profile: Profile
    plan: Plan
    files: dict[str, str]
    options: RunOptions
    bytes: int = 0
    """Size of the files that go along."""
    notices: tuple[str, ...] = ()
    """What the person should know before anything is sent."""


def prepare(request: Request, progress: Callable[[str], object] = len) -> Prepared:
    """Read, resolve and look; raises the errors a person can do something about. `progress` is told what is awaited."""
    read = notebook.read(request.notebook)
    profile = profile_of(request.target, request.options)
    options = with_defaults(request.options, profile)
    declared = parameters.declared(read)
    needs = Needs(
        notebook=read.path,
        language=read.language,
        kernel=options.kernel or "auto",
        imports=imports.modules(read),
        isolated=bool(options.isolated),
    )
    there = target_of(profile)
    if isinstance(there, target.Preparing):
        there.progress = progress
    plan = there.plan(needs)
    if plan.missing and not options.lenient:
        names = ", ".join(f"`{name}`" for name in plan.missing)
        raise TargetError(f"{plan.place} does not have {names}, which the notebook needs", plan.fix)
    left = gather(read, ()).files if plan.in_place and there.remote else ()
    gathered = Gathered() if plan.in_place else gather(read, options.include)
    return Prepared(
        request=request,
        notebook=read,
        declared=declared,
        profile=profile,
        plan=plan,
        files={name: str(path) for name, path in gathered.files.items()},
        options=options,
        bytes=gathered.bytes,
        notices=(*plan.notices, *_left(left), *_notices(gathered, request, in_place=plan.in_place)),
    )


def _left(names: Collection[str]) -> Iterator[str]:
    """What the notebook names, and must have where it works."""
    if names:
        named = ", ".join(f"`{name}`" for name in sorted(names))
        yield f"{named}: what the target's own folder has of that name is used (--isolated takes along what lies here)"


def _notices(gathered: Gathered, request: Request, *, in_place: bool) -> Iterator[str]:
    if in_place and request.options.include:
        yield "--include does nothing here: the notebook works in its own folder (--isolated makes it work on copies)"
    for skipped in gathered.skipped:
        yield f"`{skipped.path}` stays here: {skipped.reason}"
    for name in gathered.suspicious:
        yield f"`{name}` looks like a secret and stays here; --include {name} takes it along"
    yield from filter(None, map(secrets.concern, request.secrets.values()))


def run_of(prepared: Prepared, given: Mapping[str, Given], sweep: str | None = None) -> Run:
    """The run that these parameters make; ParameterError where they do not fit the notebook."""
    request, options = prepared.request, prepared.options
    values = checking.check(without(prepared.declared, request.secrets), given, lenient=options.lenient)
    run_id = new_id(prepared.notebook.path.stem)
    return Run(
        id=run_id,
        state=RunState.QUEUED,
        target=prepared.profile.name,
        kind=prepared.profile.kind,
        notebook=str(prepared.notebook.path),
        created=now(),
        parameters=values,
        secrets=dict(request.secrets),
        output=output_path(request, prepared.declared, values),
        sweep=sweep,
        options=options,
        settings=msgspec.to_builtins(prepared.profile.settings),
        plan=prepared.plan,
        files=prepared.files,
        task=_task(prepared, run_id, values),
    )


def without(declared: parameters.Declared, names: Collection[str]) -> parameters.Declared:
    """The declaration less those parameters that come another way."""
    others = tuple(parameter for parameter in declared.parameters if parameter.name not in names)
    return msgspec.structs.replace(declared, parameters=others)


def _task(prepared: Prepared, run_id: str, values: dict[str, Json]) -> dict[str, Json]:
    request, options = prepared.request, prepared.options
    names = {parameter.name for parameter in prepared.declared.parameters}
    return {
        "run": run_id,
        "parameters": values,
        "secrets": sorted(request.secrets),
        "secret_parameters": sorted(name for name in request.secrets if name in names),
        "language": prepared.notebook.language,
        "kernel": options.kernel or "auto",
        "timeout": options.timeout,
        "cell_timeout": options.cell_timeout,
        "retries": options.retries or 0,
        "grace": duration(prepared.profile.settings.run.grace),
    }


def profile_of(name: str, options: RunOptions) -> Profile:
    """The profile a target's name stands for, with the environment that was asked for instead of its own."""
    profile = profiles.resolve(name, Path(options.cwd) if options.cwd else Path.cwd())
    if options.environment is None:
        return profile
    if "environment" not in profile.settings.__struct_fields__:
        raise UsageError(f"`{profile.name}` has no choice of environment", "leave --environment out")
    settings = msgspec.structs.replace(profile.settings, environment=absolute(options.environment, Path(options.cwd)))
    return msgspec.structs.replace(profile, settings=settings)


def target_of(profile: Profile) -> Target:
    """The profile brought to life."""
    return target.load(profile.kind).create(profile)


def with_defaults(options: RunOptions, profile: Profile) -> RunOptions:
    """The options as asked for, and where nothing was said as the profile's `[run]` table says."""
    table = profile.settings.run
    return msgspec.structs.replace(
        options,
        kernel=options.kernel or table.kernel,
        timeout=_seconds(options.timeout, table.timeout),
        cell_timeout=_seconds(options.cell_timeout, table.cell_timeout),
        retries=table.retries if options.retries is None else options.retries,
        isolated=table.isolated if options.isolated is None else options.isolated,
    )


def _seconds(asked: float | None, default: str | None) -> float | None:
    if asked is not None or default is None:
        return asked
    return duration(default)


def output_path(request: Request, declared: parameters.Declared, values: Mapping[str, Json]) -> str | None:
    """Where the result shall go: absolute, `{name}` replaced by the parameter; UsageError where it cannot."""
    if request.output is None:
        return None
    fields = {**dict(_defaults(declared)), **values, "notebook": request.notebook.stem}
    try:
        text = request.output.format(**fields)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        names = ", ".join(f"{{{name}}}" for name in fields)
        raise UsageError(f"`{request.output}` cannot be filled in: {error}", f"there are: {names}") from None
    path = Path(request.options.cwd) / Path(text).expanduser()
    if path.is_dir() or text.endswith("/"):
        path = path / request.notebook.name
    return str(writable(path, request.notebook))


def _defaults(declared: parameters.Declared) -> Iterator[tuple[str, Json]]:
    for parameter in declared.parameters:
        with suppress(ValueError, SyntaxError):
            yield parameter.name, ast.literal_eval(parameter.default or "")


def writable(path: Path, notebook: Path) -> Path:
    """The path, if a result can be put there; UsageError where it cannot, or would overwrite the notebook itself."""
    if not path.parent.is_dir():
        folder = shlex.quote(str(path.parent))
        raise UsageError(f"the folder `{path.parent}` is not there", f"make it: mkdir -p {folder}")
    if path.exists() and notebook.exists() and path.samefile(notebook):
        raise UsageError(f"the result would overwrite the notebook `{path}` itself", "give it another name with -o")
    probe = path.with_name(f".{path.name[:40]}.{os.getpid()}.probe")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write to `{path.parent}`: {error.strerror}", "choose another place with -o") from None
    return path


def new_id(stem: str) -> str:
    """A run's name: the notebook's, in plain letters, and four characters of chance.

    >>> new_id("Données & Modèle")[:-4]
    'donnees-modele-'
    """
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:32].strip("-") or "run"
    while True:
        run_id = f"{slug}-{''.join(randomness.choice('abcdefghjkmnpqrstuvwxyz23456789') for _ in range(4))}"
        if not records.directory(run_id).exists():
            return run_id


def bundle_secrets(run: Run) -> dict[str, str]:
    """The values of the run's secrets, asked for now."""
    return {name: secrets.resolve(reference) for name, reference in run.secrets.items()}
