"""`jupyterctl inspect`, as a person and as a program use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def jupyterctl(tmp_path):
    def run(*words, cwd=EXAMPLES):
        command = [Path(sys.executable).parent / "jupyterctl", *words]
        environment = {**os.environ, "JUPYTERCTL_HOME": str(tmp_path / "home"), "PYTHONWARNINGS": "error"}
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_a_person_reads_a_table(jupyterctl):
    done = jupyterctl("inspect", "hello.ipynb")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["notebook", "hello.ipynb"]
    assert lines[1].split() == ["kernel", "python3", "(python)"]
    assert next(line.split(maxsplit=3) for line in lines if line.startswith("steps")) == [
        "steps", "int", "5", "how often the flower grows",
    ]  # fmt: skip
    assert any(line.startswith("imports") and "IPython; 2 of the standard library" in line for line in lines)


def test_a_program_reads_one_document(jupyterctl):
    done = jupyterctl("inspect", "hello.ipynb", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["notebook"] == str(EXAMPLES / "hello.ipynb")
    assert (found["kernel"], found["language"]) == ("python3", "python")
    assert found["cells"] == {"code": 5, "markdown": 4}
    assert found["imports"] == ["IPython", "math", "time"]
    assert (found["files"], found["skipped"]) == ([], [])
    name = found["parameters"][0]
    assert {key: name[key] for key in ("name", "type", "default", "help", "required")} == {
        "name": "name", "type": "str", "default": "'world'", "help": "whom to greet", "required": False,
    }  # fmt: skip


def test_files_and_what_is_left_out(jupyterctl, tmp_path):
    (tmp_path / "x.csv").write_text("1")
    (tmp_path / ".env").write_text("A=1")
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "outputs": []}
    cell["source"] = "day: str  # which\nopen('x.csv'); open('.env'); open('/etc/passwd')"
    (tmp_path / "my notebook.ipynb").write_text(json.dumps({"nbformat": 4, "metadata": {}, "cells": [cell]}))
    done = jupyterctl("inspect", "my notebook.ipynb", cwd=tmp_path)
    assert "(required)" in done.stdout
    assert "x.csv (1 B)" in done.stdout
    assert ".env: it looks like a secret" in done.stdout
    assert "/etc/passwd: its path is absolute" in done.stdout


@pytest.mark.parametrize(
    ("language", "tags", "words"),
    [
        ("python", [], "no cell is tagged"),
        ("python", ["parameters"], "sets nothing"),
        ("julia", ["parameters"], "in julia"),
    ],
)
def test_a_notebook_without_known_parameters_says_why(jupyterctl, tmp_path, language, tags, words):
    cell = {"cell_type": "code", "metadata": {"tags": tags}, "outputs": [], "source": ""}
    metadata = {"language_info": {"name": language}}
    (tmp_path / "a.ipynb").write_text(json.dumps({"nbformat": 4, "metadata": metadata, "cells": [cell]}))
    assert words in jupyterctl("inspect", "a.ipynb", cwd=tmp_path).stdout


def test_an_error_is_two_lines(jupyterctl):
    done = jupyterctl("inspect", "helo.ipynb")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no notebook `helo.ipynb`\nhint: did you mean `hello.ipynb`?\n"


def test_nothing_heavy_is_imported():
    code = (
        "import sys; sys.argv = ['jupyterctl', 'inspect', 'hello.ipynb']\n"
        "from jupyterctl.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'nbformat', 'papermill', 'yaml', 'rich', 'keyring', 'textual'}.intersection(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=EXAMPLES, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("name", "ends_well"), [("hello", True), ("fails", False)])
def test_the_examples_do_what_they_say(tmp_path, name, ends_well):
    command = [
        sys.executable,
        "-m",
        "papermill",
        EXAMPLES / f"{name}.ipynb",
        tmp_path / "out.ipynb",
        "-p",
        "pause",
        "0",
    ]
    done = subprocess.run(
        [*map(str, command), "--no-progress-bar", "-k", "python3"],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode == 0) is ends_well
    assert ("could not convert string to float" in done.stderr) is not ends_well


@pytest.mark.parametrize("name", ["hello", "fails"])
def test_the_examples_are_clean(name):
    import nbformat

    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert not [cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
