"""What environments are made of, the ways in which making one ends, and that nothing half-made is left."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from jupyterctl import paths
from jupyterctl.environments import create as making
from jupyterctl.environments.create import create, remove
from jupyterctl.environments.environment import read
from jupyterctl.environments.explain import explain
from jupyterctl.environments.find import conda_registry, half_made
from jupyterctl.environments.recipe import DEFAULT, conda_recipe, read_file, virtual_recipe
from jupyterctl.errors import JupyterctlError, TargetError, UnreachableError, UsageError
from tests.conda_channel import build_channel, make_environment, wheels
from tests.conftest import need
from tests.environment_fixtures import home, virtual

__all__ = ["home"]


# -- recipes -----------------------------------------------------------------------------------------------------------


def test_nothing_asked_for_is_the_default_set() -> None:
    recipe = conda_recipe((), (), None)

    assert set(DEFAULT) <= set(recipe.packages)
    assert recipe.channels == ("conda-forge",)


def test_what_is_asked_for_always_has_a_kernel_and_each_package_once() -> None:
    assert conda_recipe(("python=3.12", "conda-forge::pip", "scipy"), (), None).packages == (
        "ipykernel",
        "python=3.12",
        "conda-forge::pip",
        "scipy",
    )
    assert virtual_recipe(("ipykernel<7", "scipy"), (), None).packages == ("ipykernel<7", "scipy")


def test_an_environment_file(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    file = tmp_path / "environment.yml"
    file.write_text(
        "name: lab\nchannels: [./local, defaults, nodefaults]\nvariables: {SEED: 1}\n"
        "dependencies: [python=3.12, numpy>=2, pip: [rich, 'httpx[http2]']]\n"
    )

    content = read_file(file)
    recipe = conda_recipe(["scipy"], ["conda-forge"], content)

    assert content.name == "lab"
    assert recipe.packages == ("pip", "ipykernel", "python=3.12", "numpy>=2", "scipy")
    assert recipe.channels[:2] == ("conda-forge", (tmp_path / "local").as_uri())
    assert recipe.channels[2:] == ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
    assert (recipe.pip, recipe.variables) == (("rich", "httpx[http2]"), {"SEED": "1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is no YAML"),
        ("just words", "has no list `dependencies`"),
        ("dependencies: numpy", "has no list `dependencies`"),
        ("dependencies: [{npm: [x]}]", "is no package"),
        ("dependencies: [3.12]", "is no package"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_is_no_environment_file(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "environment.yml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(UsageError, match=message):
        read_file(file)


# -- making ------------------------------------------------------------------------------------------------------------


def test_pip_requirements_and_variables_of_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    file = home / "environment.yml"
    file.write_text(
        f"name: lab\nchannels: ['{build_channel().as_uri()}']\nvariables: {{SEED: 1}}\n"
        "dependencies: [ipykernel, pip: [tenacity]]\n"
    )

    made = create(file=file)

    assert (made.name, made.prefix) == ("lab", paths.environments() / "lab")
    subprocess.run([made.python, "-c", "import tenacity, ipykernel"], check=True, timeout=60)
    assert json.loads((made.prefix / "conda-meta/state").read_text())["env_vars"] == {"SEED": "1"}


def test_conda_learns_of_it_and_forgets_it(home: Path) -> None:
    conda_registry().parent.mkdir()
    conda_registry().write_text("/elsewhere\n")
    made = create(prefix=home / "lab", packages=["ipykernel"], channels=[build_channel().as_uri()])
    assert (made.prefix / "conda-meta/history").exists()
    assert conda_registry().read_text() == f"/elsewhere\n{made.prefix}\n"

    remove(made)

    assert conda_registry().read_text() == "/elsewhere\n"
    assert not made.prefix.exists()


@pytest.mark.parametrize("with_uv", [True, False])
def test_a_virtual_environment(home: Path, monkeypatch: pytest.MonkeyPatch, *, with_uv: bool) -> None:
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(wheels())}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
        monkeypatch.setenv(f"UV_{name}", value)
    if not with_uv:
        monkeypatch.setattr(making.make_virtual.shutil, "which", lambda *_, **__: None)

    made = create("lab", packages=["tenacity"], virtual=True)

    assert made.kind == ("uv" if with_uv else "venv")
    subprocess.run([made.python, "-c", "import tenacity, ipykernel"], check=True, timeout=60)
    assert read(made.prefix) == made


def test_a_name_that_is_taken_is_refused_and_what_has_it_is_left(home: Path) -> None:
    lab = virtual(home / ".virtualenvs/lab")

    with pytest.raises(UsageError, match=r"there is an environment `lab` already: `~/\.virtualenvs/lab`"):
        create("lab", virtual=True)
    with pytest.raises(UsageError, match="exists already"):
        create(prefix=lab, virtual=True)

    assert (lab / "pyvenv.cfg").exists()
    assert not half_made(lab).exists()


@pytest.mark.parametrize("name", ["../up", "a/b", "auto", "-x", "conda:x", "two words"])
def test_names_that_could_not_be_told_from_something_else(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be an environment's name"):
        create(name)


def test_one_that_is_being_made_is_left_alone(home: Path) -> None:
    prefix = home / "lab"
    with half_made(prefix).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (prefix / "bin").mkdir(parents=True)

        with pytest.raises(UsageError, match="is being made right now"):
            create(prefix=prefix, virtual=True)

    assert (prefix / "bin").exists()


def test_what_a_killed_attempt_left_is_made_anew(home: Path) -> None:
    prefix = home / "lab"
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "half").touch()
    half_made(prefix).touch()

    make_environment(prefix)

    assert not (prefix / "half").exists()
    assert not half_made(prefix).exists()
    assert read(prefix) is not None


def test_a_place_that_cannot_be_written_to(home: Path) -> None:
    (home / "file").touch()

    with pytest.raises(UsageError, match="cannot make an environment in `~/file/deeper`"):
        create(prefix=home / "file/deeper/lab", virtual=True)


def test_only_what_jupyterctl_made_is_removed(home: Path) -> None:
    made = read(virtual(home / "lab"))
    assert made is not None

    with pytest.raises(UsageError, match="was not made by jupyterctl"):
        remove(made)

    assert made.prefix.exists()


def test_a_full_disk(home: Path) -> None:
    small = home / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", small]
    mounted = shutil.which("mount") and not subprocess.run(command, capture_output=True, check=False).returncode
    need("root", mounted, "this user may not mount a small disk")
    try:
        with pytest.raises(TargetError, match=r"the disk of `.*/small` is full"):
            make_environment(small / "lab")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


# -- explanations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (
            "SolverError: Cannot solve: No candidates were found for numpie *.\n",
            UsageError,
            "no package `numpie` in here",
        ),
        ("No candidates were found for python 3.9.*.", UsageError, "no package `python 3.9.*` in here"),
        (
            "\u00d7 No solution found\n╰─▶ Because zzz was not found in the package registry and",
            UsageError,
            "package `zzz`",
        ),
        ("ERROR: No matching distribution found for zzz==9\n", UsageError, "package `zzz==9`"),
        ("NewConnectionError: …\nERROR: No matching distribution found for six", UnreachableError, "cannot be reached"),
        ("GatewayError: error sending request\nCaused by: dns error", UnreachableError, "here cannot be reached"),
        ("TimeoutError: ", UnreachableError, "here cannot be reached"),
        ("could not find subdir 'noarch' in channel 'file:///x/'", UsageError, "no conda channel `file:///x`"),
        ("failed to link: No space left on device (os error 28)", TargetError, "is full"),
        ("SolverError: a\n├─ b\n└─ c", UsageError, "cannot be installed: a; b; c"),
    ],
)
def test_failures_in_words(said: str, kind: type[JupyterctlError], message: str) -> None:
    error = explain(said, "here", Path("/lab"))

    assert type(error) is kind
    assert message in error.message
    assert error.hint
    assert "\n" not in error.message + error.hint
