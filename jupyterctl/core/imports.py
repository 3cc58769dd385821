"""What a notebook imports, and which of it lies beside it; found by reading, nothing is run.

A module counts as needed from the environment unless it is optional (imported under `try: … except ImportError` or `if
TYPE_CHECKING`), installed or written by the notebook itself (`%pip install`, `%%writefile`), or a file beside it. What
local modules import counts too, and so do folders that the notebook puts on `sys.path`.
"""

from __future__ import annotations

import ast
import os.path
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from ..environments.packages import PACKAGES
from . import magics
from .notebook import Notebook

_INSTALL = re.compile(
    r"^\s*[!%]\s*(?:\S+\s+-m\s+)?\S*?(?:pip3?|conda|mamba|micromamba|uv)\s+(?:pip\s+)?(?:install|add)\s+(.+)$",
    re.MULTILINE,
)
_WRITES = re.compile(r"\s*%%(?:writefile|file)\s+(?:-a\s+)?[\"']?(?:\S*/)?(\w+)\.py\b")
_RUNS = re.compile(r"^\s*%run\s+(?:-\w+\s+)*[\"']?([^\s\"']+\.py)\b", re.MULTILINE)
_REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*")
_FILE_FLAGS = {"-r", "--requirement", "--file"}
_FORGIVING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Imports(Struct, frozen=True, kw_only=True):
    """The modules of one notebook."""

    needed: tuple[str, ...] = ()
    """Top-level names the environment must have, sorted; the standard library's are among them."""
    local: tuple[Path, ...] = ()
    """Files of modules under the notebook's folder, absolute, sorted."""
    outside: tuple[Path, ...] = ()
    """Modules found where the notebook points `sys.path`, beyond its own folder."""


def find(notebook: Notebook) -> Imports:
    """All that the notebook and its local modules import; nothing for a language other than Python."""
    if notebook.language != "python":
        return Imports()
    search = _Search(notebook.folder)
    for cell in notebook.code:
        search.scan(cell.source, cell=True)
    own = _own(notebook)
    return Imports(
        needed=tuple(sorted(name for name in search.needed if own.isdisjoint(_names(name)))),
        local=tuple(sorted(search.local)),
        outside=tuple(sorted(search.outside)),
    )


def modules(notebook: Notebook) -> tuple[str, ...]:
    """Top-level names of the modules that the environment must have."""
    return find(notebook).needed


def requirements(notebook: Notebook) -> list[Path]:
    """Requirement files that the notebook's own install lines name and that are there."""
    names = (name for words in _installs(notebook) for flag, name in pairwise(words) if flag in _FILE_FLAGS)
    return [path for name in names if (path := notebook.folder / name).is_file()]


def _names(module: str) -> set[str]:
    """A module's name and its package's, folded."""
    return {_folded(module), _folded(PACKAGES.get(module, module))}


def _own(notebook: Notebook) -> set[str]:
    """Names that the notebook installs or writes itself, folded."""
    written = {_folded(name) for cell in notebook.code for name in _WRITES.findall(cell.source)}
    words = [word for words in _installs(notebook) for word in words if not word.startswith("-")]
    for path in requirements(notebook):
        words += _text(path).splitlines()
    return written | {_folded(name[0]) for word in words if (name := _REQUIREMENT.match(word.strip()))}


def _installs(notebook: Notebook) -> Iterator[list[str]]:
    """The words after `pip install` and its like, line by line."""
    for cell in notebook.code:
        for line in _INSTALL.findall(cell.source.replace("\\\n", " ")):
            yield [word.strip("\"'") for word in line.split()]


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class _Search:
    """Follows imports from the notebook through its local modules, each file once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots = [folder]
        self.needed: set[str] = set()
        self.local: set[Path] = set()
        self.outside: set[Path] = set()

    def scan(self, source: str, *, cell: bool = False) -> None:
        """Take in one cell or module; one that cannot be parsed imports nothing."""
        try:
            tree = magics.parse(source) if cell else magics.tree(source)
        except SyntaxError:
            return
        for added in _path_additions(tree):
            self.roots.append((self.folder / added).absolute())
        for path in _RUNS.findall(source) if cell else ():
            self._follow(self.folder / path)
        for name in _imported(tree):
            self._add(name)

    def _add(self, name: str) -> None:
        for root in self.roots:
            files = _files(root, name)
            if files:
                for file in files:
                    self._follow(file)
                return
        self.needed.add(name)

    def _follow(self, file: Path) -> None:
        inside = _inside(file, self.folder)
        seen = self.local if inside else self.outside
        path = self.folder / inside if inside else file
        if path in seen or not path.is_file():
            return
        seen.add(path)
        if path.suffix == ".py":
            self.scan(_text(path))


def _inside(file: Path, folder: Path) -> str:
    """The file's path from the folder, `..` taken out as written; empty where it is not under it."""
    relative = os.path.relpath(file, folder)
    return "" if relative.startswith("..") else relative


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def _files(root: Path, name: str) -> list[Path]:
    """The files of a module of that name in a folder: a package whole, a file, or a compiled module."""
    package = root / name
    if (package / "__init__.py").is_file() or _is_namespace(package):
        return sorted(file for file in package.rglob("*") if file.is_file() and not _left(file.relative_to(package)))
    if (module := root / f"{name}.py").is_file():
        return [module]
    return sorted([*root.glob(f"{name}.*.so"), *root.glob(f"{name}.so")])


def _is_namespace(package: Path) -> bool:
    """A folder with modules and no `__init__.py`; the standard library's modules come before such a one."""
    if package.name in sys.stdlib_module_names:
        return False
    return any(package.glob("*.py")) or any(package.glob("*/__init__.py"))


def _left(file: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in file.parts)


def _imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of every import that must succeed, wherever it stands."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call):
            yield from _by_name(node)
        stack.extend(_required(node))


def _required(node: ast.AST) -> list[ast.AST]:
    """The parts of a node in which imports must succeed."""
    if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
        return list(node.orelse)
    if isinstance(node, ast.Try) and any(_forgives(handler.type) for handler in node.handlers):
        return [*node.orelse, *node.finalbody]
    if isinstance(node, ast.With) and any(_suppresses(item.context_expr) for item in node.items):
        return []
    return list(ast.iter_child_nodes(node))


def _forgives(caught: ast.expr | None) -> bool:
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(name is None or dotted(name).rpartition(".")[2] in _FORGIVING for name in names)


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and dotted(context.func).endswith("suppress")
        and any(map(_forgives, context.args))
    )


def _by_name(call: ast.Call) -> Iterator[str]:
    """`importlib.import_module("name")` and `__import__("name")`."""
    if dotted(call.func) in {"importlib.import_module", "import_module", "__import__"} and call.args:
        name = call.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("."):
            yield name.value.partition(".")[0]


def _path_additions(tree: ast.AST) -> Iterator[str]:
    """Folders named in `sys.path.append(…)` and `sys.path.insert(0, …)`, as far as they are literals."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in {"sys.path.append", "sys.path.insert"}:
            yield from _texts(node)


def _texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and "\0" not in part.value:
            yield part.value


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or of attributes of one; empty for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
