"""Cells as plain Python: IPython's own syntax is replaced line by line, so that `ast` reads what is left.

Line numbers stay. A line such as `%matplotlib inline`, `!ls` or `array?` becomes `pass`; `x = !ls` assigns the call
that IPython makes of it; a cell in another language (`%%bash`, `%%html`) becomes nothing.
"""

from __future__ import annotations

import ast
import re
import warnings

_KEEPS_BODY = {"time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "debug"}
"""Cell magics whose body is run by this kernel as Python."""

_CELL_MAGIC = re.compile(r"\s*%%(?P<name>\w*)[^\n]*")

_LINE_MAGIC = re.compile(
    r"""(?P<indent>[ \t]*)(?:
        %time[ \t]+(?P<timed>[^-\n][^\n]*)
      | (?P<target>[\w.]+(?:[ \t]*,[ \t]*[\w.]+)*[ \t]*=[ \t]*)?(?P<magic>[!%](?:[^\\\n]|\\.|\\\n)*)
      | \?{1,2}[ \t]*[%\w][^\n]*
      | [%\w.*]+\?{1,2}[ \t]*(?=\n|$)
    )""",
    re.VERBOSE,
)

_TOKEN = re.compile(
    r"""(\"{3}|'{3})(?:\\.|.)*?\1
      | "(?:\\.|[^"\\\n])*"
      | '(?:\\.|[^'\\\n])*'
      | \#[^\n]*
      | \\\n
      | [^"'\#\\()\[\]{}\n]+
      | .""",
    re.VERBOSE | re.DOTALL,
)


def parse(source: str) -> ast.Module:
    """The syntax tree of a cell; SyntaxError for whatever cannot be parsed."""
    return tree(plain(source))


def tree(source: str) -> ast.Module:
    """The syntax tree of plain Python; SyntaxError as above. Warnings of the parser are not shown."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = compile(source, "<cell>", "exec", flags, dont_inherit=True)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or "nested too deep") from None
    assert isinstance(module, ast.Module)  # noqa: S101 - PyCF_ONLY_AST says so
    return module


def plain(source: str) -> str:
    r"""The cell without IPython's syntax, with as many lines.

    >>> plain("%matplotlib inline\nfiles = !ls\nprint(files)")
    "pass\nfiles = get_ipython().getoutput('ls')\nprint(files)"
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    cell = _CELL_MAGIC.match(source)
    if cell and cell["name"] not in _KEEPS_BODY:
        return ""
    if cell:
        source = "\n" * cell[0].count("\n") + source[cell.end() :]
    return "".join(_lines(_dedented(source)))


def _dedented(source: str) -> str:
    """A cell may be indented as a whole; IPython takes the first line's indent off."""
    indent = re.match(r"[ \t]+(?=[^\s#])", source)
    return re.sub(f"^{indent[0]}", "", source, flags=re.MULTILINE) if indent else source


def _lines(source: str) -> list[str]:
    """Walk over logical lines: a magic can only stand where a statement starts."""
    pieces = []
    position = 0
    while position < len(source):
        magic = _LINE_MAGIC.match(source, position)
        if magic:
            pieces.append(_replacement(magic))
            position = magic.end()
        end = _logical_end(source, position)
        pieces.append(source[position:end])
        position = end
    return pieces


def _logical_end(source: str, position: int) -> int:
    """Where the logical line that starts here ends: after a newline outside strings and brackets."""
    depth = 0
    while position < len(source):
        token = _TOKEN.match(source, position)
        assert token  # noqa: S101 - the last alternative takes any character
        position = token.end()
        text = token[0]
        depth += (text in "([{") - (text in ")]}")
        if text == "\n" and depth <= 0:
            break
    return position


def _replacement(magic: re.Match[str]) -> str:
    lines = "\n" * magic[0].count("\n")
    if magic["timed"]:
        return magic["indent"] + magic["timed"]
    if magic["target"]:
        return f"{magic['indent']}{magic['target']}get_ipython().{_call(magic['magic'])}{lines}"
    return f"{magic['indent']}pass{lines}"


def _call(text: str) -> str:
    if text.startswith("!"):
        return f"getoutput({text[1:]!r})"
    name, _, line = text[1:].partition(" ")
    return f"run_line_magic({name!r}, {line!r})"
