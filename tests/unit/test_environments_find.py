"""Which environments are found, in which order, and what is read of each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jupyterctl import paths
from jupyterctl.environments import environments, resolve
from jupyterctl.environments.environment import read
from jupyterctl.environments.find import conda_registry, found, half_made
from tests.conda_channel import make_environment
from tests.environment_fixtures import home, site, virtual

__all__ = ["home"]
RUNNING = Path(sys.prefix).resolve()


def prefixes(near: Path) -> list[Path]:
    return [one.prefix for one in environments(near)]


@pytest.fixture
def project(home: Path) -> Path:
    folder = home / "work/project/notebooks"
    folder.mkdir(parents=True)
    (home / "work/project/pyproject.toml").touch()
    return folder


def test_the_projects_own_comes_before_the_running_python_and_the_nearest_first(project: Path) -> None:
    outer = virtual(project.parent / ".venv")
    named = virtual(project.parent / "plots")
    inner = virtual(project / "env")

    assert prefixes(project)[:4] == [inner, outer, named, RUNNING]


def test_an_oddly_named_one_beside_the_project_comes_after_the_running_python(project: Path) -> None:
    other = virtual(project.parent.parent / "other")

    order = prefixes(project)

    assert order.index(RUNNING) < order.index(other)


def test_the_active_one_is_first(project: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    virtual(project / ".venv")
    active = virtual(home / "active")
    monkeypatch.setenv("VIRTUAL_ENV", str(active))

    assert next(found(project)) == (read(active), "the active environment")


def test_a_base_that_every_shell_activates_is_not_preferred_to_the_projects_own(
    project: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_environment(home / "miniconda3")
    (base / "condabin").mkdir()
    own = virtual(project / ".venv")
    monkeypatch.setenv("CONDA_PREFIX", str(base))
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")

    assert prefixes(project)[:2] == [own, base]
    assert resolve("conda:base", project).prefix == base


def test_a_notebooks_path_is_as_good_as_its_folder(project: Path) -> None:
    own = virtual(project / ".venv")
    (project / "a.ipynb").touch()

    assert prefixes(project / "a.ipynb")[0] == own


def test_two_paths_to_one_environment_count_once(project: Path) -> None:
    own = virtual(project / ".venv")
    (project / "venv").symlink_to(own)

    assert prefixes(project).count(own) == 1


def test_stale_lines_of_condas_registry_are_passed_over(home: Path) -> None:
    real = make_environment(home / "far/away")
    (home / "far/emptied/conda-meta").mkdir(parents=True)
    conda_registry().parent.mkdir()
    conda_registry().write_text(f"{home}/gone\n\n{real}\n{home}/far/emptied\n")

    assert [one.prefix for one in environments(home) if one.kind == "conda"] == [real]


def test_a_virtual_environment_whose_python_was_removed_is_passed_over(project: Path) -> None:
    own = virtual(project / ".venv")
    (own / "bin/python").unlink()
    (own / "bin/python").symlink_to("/nowhere/python3")
    (own / "bin/python3").unlink()

    assert own not in prefixes(project)


def test_one_that_is_being_made_is_passed_over(home: Path) -> None:
    lab = virtual(paths.environments() / "lab")
    assert lab in prefixes(home)

    half_made(lab).touch()

    assert lab not in prefixes(home)


@pytest.mark.parametrize(
    ("place", "kind", "name"),
    [
        ("project/.venv", "venv", "project"),
        (".virtualenvs/stats", "venv", "stats"),
        (".cache/pypoetry/virtualenvs/thing-x1-py3", "venv", "thing-x1-py3"),
        (".pyenv/versions/tools", "venv", "tools"),
    ],
)
def test_where_virtual_environments_are_looked_for(home: Path, place: str, kind: str, name: str) -> None:
    prefix = virtual(home / place)

    one = next(one for one in environments(home / "project") if one.prefix == prefix)

    assert (one.kind, one.name) == (kind, name)


def test_what_uv_made_is_known_by_its_settings(project: Path) -> None:
    prefix = virtual(project.parent / ".venv")
    with (prefix / "pyvenv.cfg").open("a") as cfg:
        cfg.write("uv = 0.9.1\n")

    assert environments(project)[0].kind == "uv"


def test_uv_can_be_told_where_the_projects_environment_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = virtual(project.parent / "build/environment")
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", "build/environment")

    assert next(found(project))[1] == "the project's own `build/environment`"
    assert prefixes(project)[0] == prefix


def test_pixis_default_environment_is_the_projects(project: Path) -> None:
    for name in ("cuda", "default"):
        make_environment(project.parent / ".pixi/envs" / name)

    order = environments(project)

    assert [(one.kind, one.name) for one in order[:2]] == [("pixi", "project"), ("pixi", "project:cuda")]


@pytest.mark.parametrize("variable", ["CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"])
def test_folders_of_named_conda_environments(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    prefix = make_environment(home / "scratch/envs/deep")
    monkeypatch.setenv(variable, f"/nowhere:{prefix.parent}")

    assert resolve("conda:deep", home).prefix == prefix


def test_versions_are_what_the_environments_own_python_says(home: Path) -> None:
    prefix = make_environment(home / "lab")
    code = (
        "import importlib.metadata as m, json, platform;"
        "print(json.dumps([platform.python_version(), m.version('ipykernel'), m.version('papermill')]))"
    )
    told = subprocess.run([prefix / "bin/python", "-c", code], capture_output=True, check=True, timeout=60).stdout

    one = read(prefix)

    assert one is not None
    assert [one.version, one.packages["ipykernel"], one.packages["papermill"]] == json.loads(told)


def test_no_python_is_started_to_read_one(project: Path) -> None:
    prefix = virtual(project / ".venv", "ipykernel")
    (prefix / "bin/python").unlink()
    (prefix / "bin/python").write_text(f"#!/bin/sh\ntouch {project}/started\n")
    (prefix / "bin/python").chmod(0o755)

    assert environments(project)[0].packages["ipykernel"] == "1.0"
    assert not (project / "started").exists()


def test_packages_of_the_system_count_where_they_are_shared(home: Path) -> None:
    shared, alone = virtual(home / "shared", shared=True), virtual(home / "alone")
    user = home / f".local/lib/{site(shared).parent.name}/site-packages/papermill-2.5.dist-info"
    user.mkdir(parents=True)

    assert [one.packages.get("papermill") for one in map(read, (shared, alone)) if one] == ["2.5", None]
