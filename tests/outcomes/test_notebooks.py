"""Notebooks of every shape run, and come back whole."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import COMMAND, Cli, need, notebook

from .ground import carry_out, directory

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MEBIBYTE = 1 << 20
STREAMS = ("stdout", "stderr")


@pytest.mark.parametrize(
    "path", ["naïve {x} 'q' 日本.ipynb", 'a "b" $HOME `c` \\d.ipynb', "-n.ipynb", "日" * 80 + ".ipynb"]
)
@pytest.mark.parametrize("folder", ["plain", "földer {y} 'z'"])
def test_names_of_any_kind(home: Path, cli: Cli, tmp_path: Path, folder: str, path: str) -> None:
    source = notebook(tmp_path / folder / path, "# parameters\nwho = 'x'", "import os; print(who, os.getcwd())")
    outcome = carry_out(cli, source, "-p", "who", "{x}'\"$y", "-o", "out {who}.ipynb", cwd=source.parent)
    assert outcome.code == 0
    assert outcome.texts()[-1] == f"{{x}}'\"$y {source.parent}\n"
    assert Path(outcome.run["output"]) == source.parent / "out {x}'\"$y.ipynb"
    assert outcome.run["notebook"] == str(source)
    again = cli("runs", "rerun", outcome.run["id"], "--json", cwd=source.parent)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [{"cell_type": "markdown", "source": "# only words"}],
        [{"cell_type": "raw", "source": "raw"}, {"source": ""}, {"source": "  \n"}],
    ],
)
def test_nothing_to_execute(cli: Cli, tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", *cells))
    assert outcome.code == 0
    assert outcome.run["cells"] == {"done": 0, "total": 0}
    assert len(outcome.notebook.cells) == len(cells)


def test_format_3(cli: Cli, tmp_path: Path) -> None:
    cell = {"cell_type": "code", "input": "print(6 * 7)", "language": "python", "outputs": [], "collapsed": False}
    document = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": [cell], "metadata": {}}],
    }
    (tmp_path / "old.ipynb").write_text(json.dumps(document), encoding="utf-8")
    outcome = carry_out(cli, tmp_path / "old.ipynb")
    assert outcome.code == 0
    assert outcome.texts() == ["42\n"]
    assert outcome.notebook.nbformat == 4


def test_100_mebibytes_in_one_cell(home: Path, cli: Cli, tmp_path: Path) -> None:
    source = "line = 'x' * 1023 + '\\n'\nfor _ in range(100):\n    print(line * 1024, end='')"
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", source), env={"PYTHONMALLOC": "malloc"})
    assert outcome.code == 0
    text = outcome.texts()[0]
    assert (len(text), hashlib.sha256(text.encode()).hexdigest()) == (
        100 * MEBIBYTE,
        hashlib.sha256(("x" * 1023 + "\n").encode() * 1024 * 100).hexdigest(),
    )
    data = Path(outcome.run["output"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == outcome.events[-1]["sha256"]
    assert len(data) == outcome.events[-1]["bytes"]
    assert (directory(home, outcome.run["id"]) / "events.jsonl").stat().st_size < MEBIBYTE


def test_a_watcher_of_much_output_stays_small(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "for _ in range(30):\n    print('x' * (1 << 20))")
    watch = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, COMMAND, "run", path, "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    code, peak = map(int, done.stdout.split())
    assert code == 0
    assert peak < 100


def test_a_million_lines_in_order(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", "for number in range(1_000_000):\n    print(number)"))
    assert outcome.code == 0
    assert outcome.texts()[0] == "".join(f"{number}\n" for number in range(1_000_000))
    assert len(outcome.notebook.cells[0].outputs) == 1


def test_streams_keep_their_order(cli: Cli, tmp_path: Path) -> None:
    source = "import sys\nfor i in range(3):\n    print(i, flush=True)\n    print(-i, file=sys.stderr, flush=True)"
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", source))
    outputs = outcome.notebook.cells[0].outputs
    wanted = [("stdout", f"{i}\n") if name == "stdout" else (name, f"{-i}\n") for i in range(3) for name in STREAMS]
    assert [(output.name, output.text) for output in outputs] == wanted


def test_pictures_and_pages_are_named(cli: Cli, tmp_path: Path) -> None:
    show = (
        f"from IPython.display import HTML, Image, display\nimport base64\ndisplay(Image(base64.b64decode({PIXEL!r})))"
    )
    path = notebook(tmp_path / "nb.ipynb", show, "HTML('<b>[/bold]</b>')")
    done = cli("run", path)
    assert done.returncode == 0
    assert "image/png" in done.stdout
    assert "text/html" in done.stdout
    outcome = carry_out(cli, path)
    first, second = (cell.outputs[0].data for cell in outcome.notebook.cells)
    assert first["image/png"].strip() == PIXEL
    assert second["text/html"] == "<b>[/bold]</b>"
    kinds = [(event["kind"], sorted(event["mime"])) for event in outcome.of("output")]
    assert kinds == [("display", ["image/png", "text/plain"]), ("result", ["text/html", "text/plain"])]
    assert outcome.of("output")[0]["mime"]["image/png"] == len(base64.b64decode(PIXEL)), "as the dashboard has it"


def test_clear_output_and_updates(cli: Cli, tmp_path: Path) -> None:
    source = (
        "from IPython.display import clear_output, display\n"
        "handle = display('first', display_id=True)\n"
        "handle.update('second')\nprint('kept')"
    )
    cleared = "from IPython.display import clear_output\nprint('gone')\nclear_output()\nprint('stays')"
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", source, cleared))
    assert outcome.texts() == ["'second'kept\n", "stays\n"]


def test_widgets_keep_their_state(cli: Cli, tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "nb.ipynb", "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider", "slider.value = 7"
    )
    outcome = carry_out(cli, path)
    assert outcome.code == 0
    state = outcome.notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"].state
    assert [model["state"].get("value") for model in state.values() if model["model_name"] == "IntSliderModel"] == [7]


def test_input_is_refused_in_words(cli: Cli, tmp_path: Path) -> None:
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", "input('name? ')"))
    assert outcome.code == 1
    assert outcome.run["error"]["name"] == "StdinNotImplementedError"


def test_the_kernel_is_the_environments_own(cli: Cli, tmp_path: Path) -> None:
    """The notebook names a kernel of another machine."""
    outcome = carry_out(cli, notebook(tmp_path / "nb.ipynb", "import sys; print(sys.prefix)"))
    assert outcome.code == 0
    assert outcome.texts() == [f"{sys.prefix}\n"]
    named = carry_out(cli, notebook(tmp_path / "nb.ipynb", "import sys; print(sys.prefix)"), "--kernel", "python3")
    assert named.code == 0


def test_a_result_can_be_run_again(cli: Cli, tmp_path: Path) -> None:
    path = notebook(tmp_path / "nb.ipynb", "# parameters\nalpha = 1", "print(alpha)")
    first = carry_out(cli, path, "-p", "alpha", "2", "-o", "out.ipynb")
    assert first.texts()[-1] == "2\n"
    second = carry_out(cli, tmp_path / "out.ipynb", "-p", "alpha", "3", "-o", "again.ipynb")
    assert second.texts()[-1] == "3\n"
    tags = [cell.metadata.get("tags") for cell in second.notebook.cells]
    assert tags.count(["injected-parameters"]) == 1


@pytest.fixture
def r(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R's kernel, registered in a folder of the test's own."""
    program = shutil.which("R")
    has = program and any(
        (Path(folder) / "IRkernel").is_dir() for folder in ("/usr/lib/R/site-library", "/usr/local/lib/R/site-library")
    )
    need("r", has, "install r-base-core and r-cran-irkernel")
    spec = {
        "argv": [program, "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"],
        "display_name": "R",
        "language": "R",
    }
    folder = tmp_path / "jupyter/kernels/ir"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


def r_notebook(tmp_path: Path, *cells: str) -> Path:
    """A notebook that says it is R's."""
    spec = {"name": "ir", "language": "R", "display_name": "R"}
    return notebook(tmp_path / "nb.ipynb", *cells, kernelspec=spec, language_info={"name": "R"})


@pytest.mark.usefixtures("r")
def test_r_with_parameters(cli: Cli, tmp_path: Path) -> None:
    path = r_notebook(tmp_path, "# parameters\nalpha <- 1\nname <- 'x'", "cat(alpha * 2, name)")
    outcome = carry_out(cli, path, "-p", "alpha", "21", "-p", "name", "it's")
    assert outcome.code == 0
    assert outcome.texts()[-1] == "42 it's"
    assert outcome.of("started")[0]["kernel"] == "ir"


@pytest.mark.usefixtures("r")
@pytest.mark.parametrize(
    ("source", "flags", "code"),
    [("stop('no data')", [], 1), ("Sys.sleep(60)", ["--cell-timeout", "1s"], 5)],
)
def test_r_that_fails(cli: Cli, tmp_path: Path, source: str, flags: list[str], code: int) -> None:
    outcome = carry_out(cli, r_notebook(tmp_path, "cat('before')", source, "cat('after')"), *flags)
    assert outcome.code == code
    assert outcome.run["error"]["cell"] == 1
    assert outcome.texts()[0] == "before"
    assert outcome.texts()[2] == ""
