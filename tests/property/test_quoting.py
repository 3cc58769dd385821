"""Whatever text an environment or a path is, a shell gives it back as it was; no document shows a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jupyterctl.remote.runner.task import SHORTEST_SECRET, Mask
from jupyterctl.transport import launch

SHELLS = [shell for shell in ("/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/zsh") if Path(shell).exists()]
PRINT = r'import os, sys; sys.stdout.buffer.write(b"\0".join(os.environb[name.encode()] for name in sys.argv[1:]))'
SHOW = f"exec '{sys.executable}' -I -S -c '{PRINT}' "
FEW = settings(max_examples=25, deadline=None)

values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "",
        "'",
        "''",
        "a'b",
        "$HOME",
        "`id`",
        "$(id)",
        "\\",
        "\\'",
        "\n",
        "a\nb\n",
        "\n\n",
        "!!",
        '"',
        "~",
        "=",
        "=ls",
        "a:=ls:~root",
        "*",
        "\r\n",
        "%s",
    ]
)
names = st.from_regex(r"JCT_[A-Za-z0-9_]{0,8}", fullmatch=True)
environments = st.dictionaries(names, values, max_size=5)
folders = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
) | st.sampled_from(["a b", "it's", "$HOME", "-n", "a\nb", "`id`", "*", "&& false", "#", "~", "\\"])


def run(shell: str, script: str, *, cwd: str | None = None, **variables: str) -> bytes:
    """What a script prints; it must end well and say nothing else."""
    done = subprocess.run(
        [shell, "-s"],
        input=os.fsencode(script),
        cwd=cwd,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", **variables},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@FEW
@given(environment=environments)
def test_a_shell_gives_back_the_environment(shell: str, environment: dict[str, str]) -> None:
    asked = [*environment, launch.MARK]
    printed = run(shell, launch.exports(environment, "nb-abcd") + SHOW + " ".join(asked))
    assert printed.decode().split("\0") == [*environment.values(), "nb-abcd"]


@pytest.mark.parametrize("shell", SHELLS)
@FEW
@given(value=st.binary(max_size=40).filter(lambda data: b"\0" not in data))
def test_bytes_that_are_no_text_pass_too(shell: str, value: bytes) -> None:
    script = launch.exports({"JCT_RAW": os.fsdecode(value)}, "nb-abcd") + SHOW + "JCT_RAW"
    assert run(shell, script) == value


@FEW
@given(environments, st.text(max_size=12))
def test_what_is_no_name_of_a_variable_is_left_out(environment: dict[str, str], name: str) -> None:
    assume(not (name.isascii() and name.isidentifier()))
    assert launch.exports({**environment, name: "x"}, "r") == launch.exports(environment, "r")


@pytest.mark.parametrize("shell", SHELLS)
@FEW
@given(folder=folders, environment=environments)
def test_the_script_starts_the_runner_wherever_it_lies(shell: str, folder: str, environment: dict[str, str]) -> None:
    """The runner is one that prints where it works, what it is called and what it was given."""
    seen = "os.getcwdb(), sys.argv[0].encode(), *map(os.environb.get, {!r})"
    show = f"import os, sys; print(*map(repr, [{seen}]), sep='\\0')"
    with TemporaryDirectory() as above:
        directory = Path(above) / folder
        directory.mkdir()
        (directory / "runner.pyz").write_text(show.format([name.encode() for name in environment]))
        text = launch.script("nb-abcd", str(directory), sys.executable, [], "")
        (directory / "starter").write_text(f"{os.getpid()}\n")
        (directory / launch.PIPE).write_bytes(os.fsencode(launch.exports(environment, "nb-abcd")))
        printed = run(shell, text).decode().rstrip("\n").split("\0")
        pid = (directory / launch.PID).read_text()
        assert not (directory / launch.PIPE).exists()
    expected = [os.fsencode(directory), os.fsencode(directory / "runner.pyz"), *map(os.fsencode, environment.values())]
    assert printed == [repr(value) for value in expected]
    assert int(pid) > 0


@pytest.mark.parametrize("cut", [2, 10, 1000])
def test_an_environment_that_is_not_whole_starts_nothing(tmp_path: Path, cut: int) -> None:
    (tmp_path / "runner.pyz").write_text("open('started', 'w')")
    (tmp_path / "starter").write_text(f"{os.getpid()}\n")
    whole = launch.exports({"JCT_LONG": "x" * 5000}, "nb-abcd")
    (tmp_path / launch.PIPE).write_text(whole[:-cut])
    script = launch.script("nb-abcd", str(tmp_path), sys.executable, [], "")
    done = subprocess.run(["/bin/sh", "-s"], input=script.encode(), capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    assert not (tmp_path / "started").exists()


ESCAPES = 'ntrbfu"\\\\/0001\n\t\x7f,:{}[] é🔑'
"""What means something to JSON, or begins what does: with so few characters they meet all the time."""
awkward = st.text(st.sampled_from(ESCAPES), min_size=SHORTEST_SECRET, max_size=8)
telling = [
    'pass"word',
    "back\\slash",
    "naïve-ключ",
    "two\nlines-long",
    "emoji🔑key",
    '": "',
    "true",
    "null",
    "1234",
    "nabc",
]
ordinary = st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST_SECRET, max_size=30)
secrets = (awkward | st.sampled_from(telling) | ordinary).filter(lambda value: "*" not in value)
said = st.text(st.sampled_from(ESCAPES), max_size=12) | st.text(max_size=12)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | said,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(said, inner, max_size=4),
    max_leaves=8,
)


def texts(value: object) -> list[str]:
    """Every text of a document, its keys among them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    return [text for part in value for text in texts(part)] if isinstance(value, list) else []


@settings(deadline=None)
@given(values=st.lists(secrets, min_size=1, max_size=3), around=said, document=documents, ascii_only=st.booleans())
def test_no_document_shows_a_secret(values: list[str], around: str, document: object, ascii_only: bool) -> None:
    whole = {
        "outputs": [around + value + around for value in values],
        "source": "".join(values),
        values[0]: 1,
        "other": document,
    }
    shown = json.loads(Mask(values).document(json.dumps(whole, ensure_ascii=ascii_only)))
    for text in texts(shown):
        for value in values:
            assert value not in text
            assert all(line not in text for line in value.splitlines() if len(line) >= SHORTEST_SECRET)


@given(
    value=st.sampled_from(["code", "name", "stream", "text", "source", "data", "meta", "1234", "true", "null", ": 4,"])
)
def test_a_notebook_stays_one_whatever_the_secret_is(value: str) -> None:
    code = nbformat.v4.new_code_cell("print(x)", execution_count=1234)
    code.outputs = [nbformat.v4.new_output("stream", text=f"it is {value}, of course\n")]
    result = nbformat.v4.new_output("execute_result", {"text/plain": "1", "application/json": {"n": 1234, "ok": True}})
    code.outputs.append(result)
    written = nbformat.writes(nbformat.v4.new_notebook(cells=[code]))
    shown = nbformat.reads(Mask([value]).document(written), as_version=4)
    nbformat.validate(shown)
    assert shown.cells[0].outputs[0].text == "it is ***, of course\n"


@given(documents, st.booleans())
def test_a_document_without_secrets_stays_as_it_is(document: object, ascii_only: bool) -> None:
    written = json.dumps(document, ensure_ascii=ascii_only)
    assert Mask([]).document(written) == written
    assert Mask(["a-secret-that-is-not-there"]).document(written) == written


@given(values=st.lists(secrets, min_size=1, max_size=3), before=said, after=said)
def test_no_line_shows_a_secret(values: list[str], before: str, after: str) -> None:
    masked = Mask(values).text(before + "".join(values) + after)
    assert all(value not in masked for value in values)
