"""What holds for any text, any value and any parameters cell."""

import csv
import io
import keyword
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyterctl.core import magics
from jupyterctl.core.checking import check
from jupyterctl.core.given import Given, grid, resolve
from jupyterctl.core.given import given as gather
from jupyterctl.core.notebook import Cell, Notebook
from jupyterctl.core.parameters import Declared, Parameter, declared
from jupyterctl.errors import NotebookError, ParameterError

unhurried = settings(deadline=None)  # a machine under load is no failure


def notebook(source):
    cell = Cell(kind="code", source=source, tags=("parameters",), index=0)
    return Notebook(path=Path("/n/a.ipynb"), cells=(cell,))


def same(one, other):
    return type(one) is type(other) and (one == other or one != one)  # noqa: PLR0124 - nan


class refusing:  # noqa: N801 - reads as a verb
    """Success, or that one error with both its lines; any other goes on."""

    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not self.kind:
            return False
        assert error.hint
        assert "\n" not in error.message + error.hint
        return True


numerals = st.from_regex(r"[ \n]?[+-]?[0-9_]{0,20}(\.[0-9_]*)?([eE][+-]?[0-9]{1,3})?[ ]?", fullmatch=True)
words = st.sampled_from(
    ["True", "False", "None", "true", "null", "nan", "-inf", "Infinity", "yes", "[1,2]", "{'a': 1}"]
)
texts = st.text() | numerals | words | st.text("0123456789٣_.eE+- ")

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
annotations = st.recursive(
    st.sampled_from(
        ["int", "float", "str", "bool", "None", "Any", "list", "dict", "Path", "Literal['a', 1]", "C", "..."]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(" | ".join),
        st.tuples(st.sampled_from(["list", "Optional", "tuple", "set", "Final", "C"]), inner).map(
            lambda it: f"{it[0]}[{it[1]}]"
        ),
        st.tuples(inner, inner).map(lambda it: f"dict[{it[0]}, {it[1]}]"),
        st.tuples(inner, inner).map(lambda it: f"tuple[{it[0]}, {it[1]}]"),
    ),
    max_leaves=4,
)


@given(texts)
@example("1" * 5000)
@settings(max_examples=500, deadline=None)
def test_text_is_typed_as_papermill_types_it(text):
    from papermill.cli import _resolve_type

    assert same(resolve(text), _resolve_type(text))


@unhurried
@given(texts)
def test_where_nothing_is_declared_the_value_is_papermills(text):
    from papermill.cli import _resolve_type

    expected = _resolve_type(text)
    anything = declared(notebook("x = None"))
    try:
        found = check(anything, gather([("x", text)]))["x"]
    except ParameterError:
        with pytest.raises((ValueError, UnicodeEncodeError)):  # it is not JSON: nan, inf, lone surrogates
            __import__("json").dumps(expected, allow_nan=False, ensure_ascii=False).encode()
    else:
        assert same(found, expected)


@unhurried
@given(st.lists(st.tuples(names, leaves), max_size=5, unique_by=lambda pair: pair[0]), st.text("abc #'\"", max_size=10))
def test_a_cell_made_of_values_reads_back(pairs, comment):
    source = "".join(f"{name} = {value!r}  # {comment}\n" for name, value in pairs)
    found = {one.name: one for one in declared(notebook(source)).parameters}
    assert list(found) == [name for name, _ in pairs]
    for name, value in dict(pairs).items():
        assert same(eval(found[name].default), value)
        assert found[name].type == (None if value is None else type(value).__name__)
        assert not found[name].required


@unhurried
@given(names, annotations, values)
def test_annotations_read_back(name, annotation, value):
    (found,) = declared(notebook(f"{name}: {annotation} = {value!r}")).parameters
    assert found.name == name
    assert eval(found.default) == value


@unhurried
@given(names, values)
def test_a_value_fits_its_own_default(name, value):
    """Whatever a notebook declares can be given back to it, as YAML or JSON would."""
    found = declared(notebook(f"{name} = {value!r}"))
    assert check(found, {name: Given(value=value, source="-f")}) == {name: value}


@given(annotations | st.text(max_size=12), texts | values, st.sampled_from(["-p", "-r", "-y"]), st.booleans())
@settings(max_examples=500, deadline=None)
def test_check_raises_nothing_but_its_own_error(annotation, value, source, lenient):
    typed = source == "-p" and isinstance(value, str)
    one = Given(value=resolve(value) if typed else value, text=value if typed else None, source=source)
    parameter = Parameter(name="x", type=annotation, cell=0, line=1)
    with refusing(ParameterError):
        found = check(Declared(parameters=(parameter,), cell=0), {"x": one}, lenient=lenient)
        assert msgspec.json.decode(msgspec.json.encode(found)) == found


@unhurried
@given(st.text())
@example("x: int = 5 \\")
@example("!'''\nx = '''%a\n'''")
def test_any_cell_is_read_or_refused(source):
    assert magics.plain(source).count("\n") <= source.count("\n") + source.count("\r")
    with refusing(NotebookError):
        declared(notebook(source))


@unhurried
@given(st.text())
def test_any_yaml_is_read_or_refused(text):
    with refusing(ParameterError):
        gather(yaml_texts=[text])


@unhurried
@given(
    st.dictionaries(
        names, st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3), max_size=3
    )
)
def test_quoted_values_come_back_from_a_grid(axes):
    def quoted(row):
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="").writerow(row)
        return text.getvalue()

    points = grid([f"{name}={quoted(row)}" for name, row in axes.items()])
    count = 1
    for row in axes.values():
        count *= len(row)
    assert len(points) == (count if axes else 0)
    for name, row in axes.items():
        assert [point[name] for point in points] == _column(axes, name, row)


def _column(axes, name, row):
    """The values of one axis down the grid: the last axis varies fastest."""
    order = list(axes)
    after = before = 1
    for other in order[order.index(name) + 1 :]:
        after *= len(axes[other])
    for other in order[: order.index(name)]:
        before *= len(axes[other])
    return [value for _ in range(before) for value in row for _ in range(after)]
