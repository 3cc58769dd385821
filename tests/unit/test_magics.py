"""IPython's syntax taken out of cells."""

import ast
import warnings

import pytest

from jupyterctl.core.magics import parse, plain


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!ls \\\n  -l\nx = 1", "pass\n\nx = 1"),
        ("!!ls", "pass"),
        ("if x:\n    %cd ..\n", "if x:\n    pass\n"),
        ("x = (a\n % b)\n%ls", "x = (a\n % b)\npass"),
        ("'''\n!kept\n'''\n!gone", "'''\n!kept\n'''\npass"),
        ("!echo \"it's (\nx = [", "pass\nx = ["),
        ("# what (?\n?len", "# what (?\npass"),
        ("len??", "pass"),
        ("x = 'really?'", "x = 'really?'"),
        ("x = y %z", "x = y %z"),
        ("x != 1", "x != 1"),
        ("%time x = load()", "x = load()"),
        ("for i in x:\n\t%time f(i)", "for i in x:\n\tf(i)"),
        ("%%bash\nls (", ""),
        ("\n%%time\nimport x", "\n\nimport x"),
        ("%%capture out\nimport x", "\nimport x"),
        ("    x = 1\n    y = 2", "x = 1\ny = 2"),
        ("a\r\n!b\r\nc", "a\npass\nc"),
        ("a, b = !ls", "a, b = get_ipython().getoutput('ls')"),
        ("home = %env HOME", "home = get_ipython().run_line_magic('env', 'HOME')"),
    ],
)
def test_what_is_left(source, left):
    assert plain(source) == left


def test_the_calls_are_those_ipython_makes():
    from IPython.core.inputtransformer2 import TransformerManager

    for source in ("files = !ls -l", "home = %env HOME"):
        assert ast.dump(parse(source)) == ast.dump(ast.parse(TransformerManager().transform_cell(source)))


def test_await_stands_at_the_top():
    assert isinstance(parse("await f()").body[0].value, ast.Await)


@pytest.mark.parametrize("source", ["x =", "x\0", "(" * 10_000, "'''", "x = '\ud800'", "return )"])
def test_whatever_cannot_be_parsed_is_a_syntax_error(source):
    with pytest.raises(SyntaxError):
        parse(source)


def test_the_parsers_warnings_are_not_shown():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse(r"x = '\d'; 1 is 1")
