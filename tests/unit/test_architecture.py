"""The rules that the parts of the program keep: who imports whom, what is said where, how large a thing may get."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyterctl
from jupyterctl import targets
from tests.conftest import need

PACKAGE = Path(jupyterctl.__file__).parent
REPOSITORY = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
RUNNER = sorted((PACKAGE / "remote/runner").glob("*.py"))
LINES = 400
LONGER = {"core/session.py": 600, "model.py": 500}
"""The facade: one method of a line or two a verb, in one place on purpose."""
AT_THE_TARGET = {"papermill", "nbclient", "nbformat", "jupyter_client", "fsspec"}
"""What may be imported where a run executes: papermill, what papermill itself needs, and what a storage asks for."""


def name(module: Path) -> str:
    """`core/runs.py`, for ids."""
    return module.relative_to(PACKAGE).as_posix()


def tree(module: Path) -> ast.Module:
    """What a module says."""
    return ast.parse(module.read_text(encoding="utf-8"), str(module))


def documentation(of: ast.AST) -> Iterator[ast.Constant]:
    """Texts that stand alone: docstrings, and those under a field."""
    for node in ast.walk(of):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def literals(of: ast.AST) -> Iterator[ast.Constant]:
    """Texts that the program works with."""
    said = {id(node) for node in documentation(of)}
    for node in ast.walk(of):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


def imported(of: ast.AST) -> Iterator[tuple[int, str]]:
    """Every import: its level and the module's full name."""
    for node in ast.walk(of):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def test_imports_keep_the_contracts() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    need("import-linter", command.exists(), "pip install 'jupyterctl[lint]'")
    done = subprocess.run(
        [command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", RUNNER, ids=name)
def test_the_runner_needs_nothing_of_ours(module: Path) -> None:
    for level, full in imported(tree(module)):
        top = full.partition(".")[0]
        assert level == 1 or (level == 0 and (top in sys.stdlib_module_names or top in AT_THE_TARGET)), full


@pytest.mark.parametrize("module", [m for m in MODULES if m.parent.name != "targets"], ids=name)
def test_no_kind_is_named_outside_its_own_file(module: Path) -> None:
    kinds = {found.name for found in pkgutil.iter_modules(targets.__path__)}
    assert kinds
    kinds -= {module.parent.name}  # `transport/ssh` calls the program of that name
    named = [(node.lineno, node.value) for node in literals(tree(module)) if node.value in kinds]
    assert not named


def test_a_kind_names_no_other() -> None:
    kinds = {found.name for found in pkgutil.iter_modules(targets.__path__)}
    for kind in kinds:
        module = PACKAGE / "targets" / f"{kind}.py"
        assert {node.value for node in literals(tree(module))} & (kinds - {kind}) == set(), kind


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_holds_one_thing_and_says_what(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGER.get(name(module), LINES)
    assert ast.get_docstring(ast.parse(text)) or not text.strip()


def test_what_leaves_the_program_leaves_by_one_door() -> None:
    """Data by `cli/output.py`, messages by `cli/diagnostics.py`; `--version` is answered before either is imported.

    What is executed at another machine says so there, and what the ssh program asks is told it so.
    """
    ours = {"cli/output.py", "cli/diagnostics.py", "__main__.py"}
    doors = ours | {"remote/there/bootstrap.py", "remote/pod_lab.py", "transport/ssh/askpass.py"}
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            writes = called in {"print", "sys.stdout.write", "sys.stderr.write"}
            assert not writes or name(module) in doors, f"{module}:{node.lineno} {called}"
