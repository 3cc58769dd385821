"""Reading notebooks, and saying what a file is that is none."""

import json
import os
from pathlib import Path

import pytest

from jupyterctl.core import notebook
from jupyterctl.errors import NotebookError


def write(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def v4(*cells, **metadata):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}


def code(source, *tags):
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "outputs": [], "source": source}


def refusal(path):
    with pytest.raises(NotebookError) as caught:
        notebook.read(path)
    return caught.value


def test_cells_keep_kind_source_tags_and_index(tmp_path):
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "more"]}
    raw = {"cell_type": "raw", "metadata": {}, "source": "raw"}
    read = notebook.read(write(tmp_path / "a.ipynb", v4(text, raw, code(["x = 1\n", "y = 2"], "parameters", "keep"))))
    assert [(cell.index, cell.kind, cell.source) for cell in read.cells] == [
        (0, "markdown", "# Title\nmore"),
        (1, "raw", "raw"),
        (2, "code", "x = 1\ny = 2"),
    ]
    assert read.code == read.tagged("parameters") == (read.cells[2],)
    assert read.cells[2].tags == ("parameters", "keep")
    assert read.folder == tmp_path


def test_kernel_and_language_come_from_the_metadata(tmp_path):
    path = tmp_path / "a.ipynb"
    read = notebook.read(write(path, v4(kernelspec={"name": "ir", "language": "R"})))
    assert (read.kernel, read.language) == ("ir", "r")
    read = notebook.read(write(path, v4(language_info={"name": "julia"})))
    assert (read.kernel, read.language) == (None, "julia")
    read = notebook.read(write(path, v4()))
    assert (read.kernel, read.language, read.nbformat) == (None, "python", 4)


def test_format_3_with_worksheets(tmp_path):
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "old"},
        "worksheets": [
            {"cells": [{"cell_type": "heading", "level": 1, "source": "Old"}]},
            {"cells": [{"cell_type": "code", "language": "python", "input": ["a = 1\n", "a"], "outputs": []}]},
        ],
    }
    read = notebook.read(write(tmp_path / "old.ipynb", old))
    assert [(cell.kind, cell.source) for cell in read.cells] == [("markdown", "Old"), ("code", "a = 1\na")]
    assert (read.nbformat, read.language) == (3, "python")


def test_what_jupyter_takes_and_strict_json_refuses_is_read(tmp_path):
    cell = code("x")
    cell["outputs"] = [{"output_type": "display_data", "data": {"application/json": [float("nan"), "\ud800"]}}]
    assert notebook.read(write(tmp_path / "nan.ipynb", v4(cell))).code[0].source == "x"


def test_odd_metadata_does_no_harm(tmp_path):
    cell = {"cell_type": "code", "metadata": {"tags": None}, "source": None}
    read = notebook.read(write(tmp_path / "a.ipynb", v4(cell, kernelspec=None, language_info="python")))
    assert read.cells[0].source == ""
    assert read.cells[0].tags == ()


def test_names_with_spaces_and_letters_of_any_script(tmp_path):
    path = write(tmp_path / "мой  файл 日本.ipynb", v4(code("1")))
    assert notebook.read(path).path == path


def test_a_notebook_that_is_not_there_names_its_neighbours(tmp_path):
    write(tmp_path / "analysis.ipynb", v4())
    assert "`analysis.ipynb`" in refusal(tmp_path / "analisys.ipynb").hint
    assert "did you mean `analysis.ipynb`?" in refusal(tmp_path / "analysis").hint
    assert "the notebooks in" in refusal(tmp_path / "zzz.ipynb").hint
    assert "there is no folder" in refusal(tmp_path / "none" / "a.ipynb").message


def test_a_folder(tmp_path):
    write(tmp_path / "b.ipynb", v4())
    error = refusal(tmp_path)
    assert "is a folder" in error.message
    assert "`b.ipynb`" in error.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path / "a.ipynb", v4())
    path.chmod(0)
    assert "may not be read" in refusal(path).message


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("a.ipynb", "", "is empty", "restore"),
        ("a.ipynb", "\0\0\0", "is empty", "restore"),
        ("a.ipynb", "[]", "is JSON, but not a notebook", "`nbformat`"),
        ("a.ipynb", '{"a": 1}', "is JSON, but not a notebook", "`nbformat`"),
        ("a.ipynb", '{"nbformat": 4, "cells": [{"source": 5}]}', "$.cells[0]", "JupyterLab"),
        ("a.ipynb", '{"nbformat": 5, "cells": []}', "notebook format 5", "JupyterLab"),
        ("a.ipynb", '{\n "cells": [\n<<<<<<< HEAD\n', "merge conflict, the first at line 3", "nbdime"),
        ("a.ipynb", '{\n "cells": [\n  {"cell_type": "co', "ends in the middle, at line 3", "restore"),
        ("a.ipynb", '{\n "cells": [\n', "ends in the middle, at line 2", "restore"),
        ("a.ipynb", '{\n "cells" [],\n "nbformat": 4}', "is damaged at line 2, column 10", "restore"),
        ("a.ipynb", "hello", "it is not JSON", ".ipynb"),
        ("a.ipynb", "<!DOCTYPE html><html>", "is a web page", "raw file"),
        ("a.ipynb", "version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer", "git lfs pull"),
        ("a.ipynb", "\ufeff{}", "byte order mark", "UTF-8"),
        ("a.ipynb", "# %%\nprint(1)", "is a text file", "jupytext --to ipynb"),
        ("a.py", "print(1)", "is a text file", "jupytext --to ipynb 'a.py'"),
        ("a.md", "---\njupyter:\n  kernelspec: x\n---\n", "is a text file", "jupytext"),
    ],
)
def test_what_the_file_is_instead(tmp_path, name, text, message, hint):
    error = refusal(write(tmp_path / name, text))
    assert message in error.message
    assert hint in error.hint
    assert name in error.message
    assert "\n" not in error.message + error.hint


def test_text_in_another_encoding(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(json.dumps(v4()).encode("utf-16"))
    assert "is not UTF-8" in refusal(path).message


def test_json_nested_beyond_reason(tmp_path):
    assert "is not a notebook" in refusal(write(tmp_path / "a.ipynb", '{"a":' * 100_000)).message


def test_a_damaged_notebook_points_to_its_checkpoint(tmp_path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    write(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.ipynb", v4())
    assert "a-checkpoint.ipynb" in refusal(write(tmp_path / "a.ipynb", "{")).hint


def test_paths_are_told_as_a_person_here_would_write_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "`a.ipynb`" in refusal(tmp_path / "a.ipynb").message
    assert "`a.ipynb`" in refusal(Path("a.ipynb")).message
