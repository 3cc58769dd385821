"""What a notebook imports, and what of it lies beside it."""

import warnings

import pytest

from jupyterctl.core import imports
from jupyterctl.core.notebook import Cell, Notebook


@pytest.fixture
def notebook(tmp_path):
    def make(*sources, language="python"):
        cells = [Cell(kind="code", source=source, index=index) for index, source in enumerate(sources)]
        return Notebook(path=tmp_path / "a.ipynb", cells=tuple(cells), language=language)

    return make


@pytest.fixture
def beside(tmp_path):
    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return make


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import numpy as np, pandas.io\nfrom a.b import c", ("a", "numpy", "pandas")),
        ("def f():\n    import inner", ("inner",)),
        ("if x:\n    import one\nelse:\n    import two", ("one", "two")),
        ("from . import x\nfrom .y import z", ()),
        ("import importlib\nimportlib.import_module('a.b')\n__import__('c')", ("a", "c", "importlib")),
        ("try:\n    import a\nexcept ImportError:\n    import b\nelse:\n    import c", ("c",)),
        ("try:\n    import a\nexcept (ValueError, ModuleNotFoundError):\n    a = None", ()),
        ("try:\n    import a\nexcept:\n    pass", ()),
        ("try:\n    import a\nexcept KeyError:\n    pass\nfinally:\n    import b", ("a", "b")),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b", ("b", "typing")),
        ("import typing as t\nif t.TYPE_CHECKING:\n    import a", ("typing",)),
        ("with contextlib.suppress(ImportError):\n    import a", ()),
        ("with open('x') as f:\n    import a", ("a",)),
        ("%matplotlib inline\n!ls\nimport a\nx = !date", ("a",)),
        ("%%time\nimport a", ("a",)),
        ("%%bash\nimport a", ()),
        ("%time import a", ("a",)),
        ("import a\nx = = 1", ()),
        ("%pip install -q 'spam[extra]>=1' eggs\nimport spam, eggs, ham", ("ham",)),
        ("!pip install my-pkg \\\n  other\nimport my_pkg, other", ()),
        ("!{sys.executable} -m pip install spam\nimport spam", ()),
        ("!uv pip install spam\nimport spam", ()),
        ("%conda install -c conda-forge spam\nimport spam", ()),
        ("await f()\nimport a", ("a",)),
    ],
)
def test_modules_of_one_cell(notebook, source, modules):
    assert imports.modules(notebook(source)) == modules


def test_a_cell_that_cannot_be_parsed_hides_no_other(notebook):
    assert imports.modules(notebook("x = = 1", "import a")) == ("a",)


def test_other_languages_import_nothing_known(notebook):
    assert imports.find(notebook("import a", language="julia")) == imports.Imports()


def test_modules_beside_the_notebook_are_followed(notebook, beside, tmp_path):
    beside(
        {"helper.py": "import numpy\nimport deeper", "deeper.py": "import helper, scipy", "unused.py": "import never"}
    )
    found = imports.find(notebook("import helper, pandas"))
    assert found.needed == ("numpy", "pandas", "scipy")
    assert found.local == (tmp_path / "deeper.py", tmp_path / "helper.py")


def test_a_package_is_taken_whole(notebook, beside, tmp_path):
    files = ("lib/__init__.py", "lib/data.csv", "lib/.hidden", "lib/__pycache__/one.pyc", "lib/sub/two.py")
    beside({"lib/one.py": "import yaml", **dict.fromkeys(files, "")})
    found = imports.find(notebook("from lib.one import x"))
    names = [path.relative_to(tmp_path).as_posix() for path in found.local]
    assert names == ["lib/__init__.py", "lib/data.csv", "lib/one.py", "lib/sub/two.py"]
    assert found.needed == ("yaml",)


def test_a_folder_without_python_is_no_module(notebook, tmp_path):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text("FROM x")
    (tmp_path / "email").mkdir()
    (tmp_path / "email" / "draft.py").write_text("")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "part.py").write_text("import six")
    found = imports.find(notebook("import docker, email, ours.part"))
    assert found.needed == ("docker", "email", "six")
    assert found.local == (tmp_path / "ours" / "part.py",)


def test_folders_put_on_the_path(notebook, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "inner.py").write_text("import six")
    folder = tmp_path / "nb"
    folder.mkdir()
    (folder / "code").mkdir()
    (folder / "code" / "own.py").write_text("")
    (tmp_path / "above.py").write_text("")
    source = "import sys, os\nsys.path.append('code')\nsys.path.insert(0, os.path.join('..', 'src'))\n"
    source += "sys.path.insert(0, '..')\nimport own, inner, above"
    moved = notebook(source)
    moved = Notebook(path=folder / "a.ipynb", cells=moved.cells)
    found = imports.find(moved)
    assert found.local == (folder / "code" / "own.py",)
    assert [path.name for path in found.outside] == ["above.py"]
    assert "above" not in found.needed


def test_modules_that_the_notebook_writes_or_runs(notebook, beside, tmp_path):
    beside({"script.py": "import six"})
    found = imports.find(notebook("%%writefile tool.py\nx = 1", "import tool", "%run -i script.py --fast"))
    assert found.needed == ("six",)
    assert found.local == (tmp_path / "script.py",)


def test_requirement_files(notebook, tmp_path):
    (tmp_path / "req.txt").write_text("# ours\nspam==1.0\n\neggs\n")
    book = notebook("%pip install -r req.txt\nimport spam, eggs, ham")
    assert imports.modules(book) == ("ham",)
    assert imports.requirements(book) == [tmp_path / "req.txt"]


def test_expressions_of_any_depth_do_no_harm(notebook):
    deep = "x = " + "(" * 150 + "1" + ")" * 150
    chain = "df" + ".a(1)" * 800
    assert imports.modules(notebook(deep, chain, "x = " + "-" * 5000 + "1", "import a")) == ("a",)


def test_warnings_of_the_parser_are_not_shown(notebook, beside):
    beside({"helper.py": "import six\nx = '\\d'; 1 is 1"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert imports.modules(notebook("import helper\ny = '\\d'")) == ("six",)
