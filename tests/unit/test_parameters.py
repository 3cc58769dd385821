"""Declared parameters, given values, and whether they fit."""

from pathlib import Path

import pytest

from jupyterctl.core.checking import check
from jupyterctl.core.given import MOST_POINTS, Given, given, grid, resolve
from jupyterctl.core.notebook import Cell, Notebook
from jupyterctl.core.parameters import declared
from jupyterctl.errors import NotebookError, ParameterError


def notebook(*sources, tags=("parameters",), language="python"):
    cells = [Cell(kind="code", source=source, tags=tags, index=index) for index, source in enumerate(sources)]
    return Notebook(path=Path("/n/a.ipynb"), cells=tuple(cells), language=language)


def one(source):
    (parameter,) = declared(notebook(source)).parameters
    return parameter


def checked(source, *typed, **others):
    return check(declared(notebook(source)), given(typed, **others))


def refused(source, *typed, **others):
    with pytest.raises(ParameterError) as caught:
        checked(source, *typed, **others)
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x: int = 5  # how many", ("x", "int", "5", "how many")),
        ("# how many\n# there are\nx = 5", ("x", "int", "5", "how many there are")),
        ("# Parameters\nx = 5", ("x", "int", "5", "")),
        ("# apart\n\nx = 5", ("x", "int", "5", "")),
        ('x = "a=b#c"', ("x", "str", "'a=b#c'", "")),
        ("x = -3", ("x", "int", "-3", "")),
        ("x = True", ("x", "bool", "True", "")),
        ("x = None", ("x", None, "None", "")),
        ("x = f(1)", ("x", None, "f(1)", "")),
        ("x = 1 + 2", ("x", None, "1 + 2", "")),
        ("x: str | None = None", ("x", "str | None", "None", "")),
        ("x: 'int' = 1", ("x", "int", "1", "")),
        ("x: Final[int] = 1", ("x", "int", "1", "")),
        ("x: Final = 1", ("x", "int", "1", "")),
        ("x: Annotated[float, 'm'] = 1", ("x", "float", "1", "")),
        ("x: Literal['a', \"b\"] = 'a'", ("x", "Literal['a', 'b']", "'a'", "")),
        ("x: list[int] = [\n  1,  # first\n  2,\n]  # all", ("x", "list[int]", "[1, 2]", "all")),
        ("x = {\n  'a': 1,\n}", ("x", "dict", "{'a': 1}", "")),
        ("x = 1  # type: float the rate", ("x", "float", "1", "the rate")),
        ("x = y  # type: ignore", ("x", None, "y", "")),
        ("%matplotlib inline\nx = 1\n!ls", ("x", "int", "1", "")),
        ("import os\ndef f(a=1): b = 2\nx = 1\nos.y = 2\nx += 1", ("x", "int", "1", "")),
        ("x: int\nx = 5", ("x", "int", "5", "")),
    ],
)
def test_name_type_default_and_help(source, expected):
    parameter = one(source)
    assert (parameter.name, parameter.type, parameter.default, parameter.help) == expected
    assert not parameter.required


def test_a_name_without_a_value_is_required():
    parameter = one("\nx: datetime.date  # when")
    assert (parameter.required, parameter.default, parameter.type, parameter.line) == (True, None, "datetime.date", 2)


def test_several_names_in_one_statement():
    found = declared(notebook("a, (b, c) = 1, ('x', 2.5)\nd = e = []\nf, g = h()\ni, *j = 1, 2")).parameters
    assert [(one.name, one.type) for one in found] == [
        ("a", "int"), ("b", "str"), ("c", "float"), ("d", "list"), ("e", "list"), ("f", None), ("g", None),
    ]  # fmt: skip


def test_names_set_under_conditions_count():
    found = declared(notebook("try:\n    x = 1\nexcept E:\n    y = 2\nif a:\n    z = 3\nelse:\n    z = 4")).parameters
    assert [(one.name, one.default) for one in found] == [("x", "1"), ("y", "2"), ("z", "4")]


def test_two_defaults_of_different_types_promise_neither():
    assert one("if a:\n    z = 3\nelse:\n    z = 'x'").type is None
    assert one("z: float = 3\nz = 'x'").type == "float"


def test_an_expression_beyond_reason():
    for depth in (300, 900, 3000, 100_000):
        for source in ("x = " + "-" * depth + "1", "x = " + "+".join("a" * depth)):
            try:
                assert one(source).name == "x"
            except NotebookError as error:
                assert "cell 1" in error.message  # noqa: PT017 - how deep is too deep differs by version


def test_where_it_stands():
    found = declared(notebook("x = 1", "\ny = 2"))
    assert [(one.cell, one.line) for one in found.parameters] == [(0, 1), (1, 2)]
    assert found.cell == 0
    assert declared(notebook("x = 1", tags=())).cell is None


def test_a_syntax_error_names_cell_and_line():
    with pytest.raises(NotebookError) as caught:
        declared(notebook("x = 1", "%time\ny = 2\nz = = 3"))
    assert "cell 2" in caught.value.message
    assert "line 3" in caught.value.message
    assert caught.value.hint.endswith("z = = 3")


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("int", "5", 5), ("int", "1e3", 1000), ("float", "5", 5.0), ("float", "1e-3", 0.001),
        ("str", "2021", "2021"), ("str", "None", "None"), ("str", "", ""), ("Path", "7", "7"),
        ("bool", "true", True), ("bool", "NO", False), ("bool", "off", False), ("bool", "1", True),
        ("list", "[1, 'a']", [1, "a"]), ("list[int]", "[1,2]", [1, 2]), ("list[float]", "[1]", [1.0]),
        ("tuple[int, str]", "(1, 'a')", [1, "a"]), ("tuple[int, ...]", "[1,2,3]", [1, 2, 3]),
        ("dict", "{'a': (1,)}", {"a": [1]}), ("dict[str, float]", '{"a": 1}', {"a": 1.0}), ("dict", "{1: 2}", {"1": 2}),
        ("str | None", "None", None), ("str | None", "null", None), ("str | None", "5", "5"),
        ("Optional[int]", "None", None), ("Optional[int]", "5", 5), ("Union[int, str]", "a", "a"),
        ("str | int", "5", 5), ("float | int", "5", 5), ("list[int] | None", "[1]", [1]),
        ("Literal['1', 'a']", "1", "1"), ("Literal[1, 2]", "2", 2), ("Literal[True, None]", "true", True),
        ("Literal[True, None]", "null", None), ("Literal[Colour.RED]", "5", 5), ("typing.Optional[str]", "null", None),
        ("Colour", "true", "true"), ("np.float64", "1", 1), ("Any", "None", None), ("x[", "5", 5),
        ("Annotated[int, 'm'] | None", "5", 5),
    ],
)  # fmt: skip
def test_text_is_read_by_the_declared_type(annotation, text, value):
    found = checked(f"x: {annotation!r}", ("x", text))["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "0.5"), ("int", "five"), ("int", "True"), ("int", "None"), ("float", "high"), ("float", "True"),
        ("bool", "maybe"), ("bool", "2"), ("list", "a,b"), ("list", "5"), ("list[int]", "[1, 'a']"), ("dict", "[1]"),
        ("dict[str, int]", "{'a': 'b'}"), ("tuple[int, int]", "[1]"), ("Literal['a', 1]", "b"), ("Literal[1]", "True"),
        ("int | None", "a"), ("None", "5"), ("float", "nan"), ("float", "inf"), ("Any", "nan"), ("list", "[1e999]"),
        ("list", "b'x'"), ("str", "\udcff"), ("dict", "{(1, 2): 3}"), ("list", "[b'x']"),
    ],
)  # fmt: skip
def test_text_of_another_type_is_refused(annotation, text):
    assert "`x`" in refused(f"x: {annotation!r}", ("x", text)).message


def test_the_error_names_type_value_and_remedy():
    error = refused("steps: int = 1", ("steps", "0.5"))
    assert error.message == "parameter `steps` takes `int`, not `0.5`"
    assert error.hint == "write it like -p steps 5"
    assert refused("n: int", raw=[("n", "7")]).hint == "`-r` passes text as it is; use -p n 7"
    assert refused("n: str", yaml_texts=["n: 7"]).hint == "pass it as text: -r n '7'"
    assert refused("n: Literal['a', 'b']", ("n", "c")).hint == "the choices are 'a', 'b'"


def test_a_default_speaks_for_a_type_but_not_as_loud():
    source = "n = 1\nname = 'x'\nopen = None\nflag = False"
    typed = [("n", "0.5"), ("name", "2021"), ("open", "[1]"), ("flag", "yes")]
    assert checked(source, *typed) == {"n": 0.5, "name": "2021", "open": "[1]", "flag": True}
    assert checked(source, ("n", "None"), ("name", "None")) == {"n": None, "name": None}
    assert "as its default `1`" in refused(source, ("n", "x")).message


def test_none_as_default_is_part_of_the_type():
    assert checked("x: int = None", ("x", "None")) == {"x": None}


def test_values_from_yaml_must_be_of_the_type():
    assert checked("x: float = 1", yaml_texts=["x: 1e-3"]) == {"x": 0.001}
    assert "the int `45045`" in refused("x: str", yaml_texts=["x: 12:30:45"]).message
    assert "a value of the type bytes" in refused("x = None", yaml_texts=["x: !!binary aGk="]).message
    assert "nested too deep" in refused("x = None", yaml_texts=["x: &a [*a]"]).message


def test_an_unknown_parameter_names_the_nearest():
    error = refused("steps = 1\nrate = 2", ("step", "1"))
    assert "no parameter `step`" in error.message
    assert "did you mean `steps`?" in error.hint
    assert "`steps`, `rate`" in refused("steps = 1\nrate = 2", ("zzz", "1")).hint
    assert check(declared(notebook("x = 1")), given([("y", "1")]), lenient=True) == {"y": 1}


def test_a_name_that_python_cannot_take_is_refused_even_leniently():
    for name in ("a b", "class", "x; import os", ""):
        with pytest.raises(ParameterError, match="cannot be the name"):
            check(declared(notebook("x = 1")), given([(name, "1")]), lenient=True)


def test_a_notebook_without_the_cell():
    nothing = declared(notebook("x = 1", tags=()))
    with pytest.raises(ParameterError, match="no cell tagged `parameters`") as caught:
        check(nothing, given([("x", "1")]))
    assert "--lenient" in caught.value.hint
    assert check(nothing, given([("x", "1")]), lenient=True) == {"x": 1}
    assert check(nothing, {}) == {}


def test_a_required_parameter_must_be_given():
    error = refused("day: str  # which day\nx = 1", ("x", "1"))
    assert "`day` (`str`): which day" in error.message
    assert "-p day" in error.hint


def test_a_value_that_a_later_cell_would_overwrite():
    both = declared(notebook("x = 1", "y = 2"))
    assert check(both, given([("x", "3")])) == {"x": 3}
    with pytest.raises(ParameterError, match="cell 2, which would overwrite"):
        check(both, given([("y", "3")]))


def test_other_languages_are_not_checked():
    julia = declared(notebook("x = 1", language="julia"))
    assert (julia.checked, julia.parameters) == (False, ())
    assert check(julia, given([("anything!", "1")])) == {"anything!": 1}
    with pytest.raises(ParameterError, match="no cell tagged"):
        check(declared(notebook("x = 1", language="julia", tags=())), given([("x", "1")]))


def test_the_later_source_wins_in_papermills_order(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("a: file\nb: file\nc: file\nd: file\n")
    found = given([("c", "typed"), ("d", "typed")], [("d", "raw")], ["{b: yaml, c: yaml, d: yaml}"], [file])
    assert {name: one.value for name, one in found.items()} == {"a": "file", "b": "yaml", "c": "typed", "d": "raw"}
    assert found["c"] == Given(value="typed", text="typed", source="-p")


def test_files_of_either_form(tmp_path):
    (tmp_path / "p.json").write_text('{"x": 1e-3,\t"day": "2021-01-01"}')
    (tmp_path / "p.yml").write_text("x: 1e-3\nday: 2021-01-01\n")
    (tmp_path / "empty.yml").write_text("# nothing\n")
    values = [{name: one.value for name, one in given(files=[path]).items()} for path in sorted(tmp_path.iterdir())]
    assert values == [{}, {"x": 0.001, "day": "2021-01-01"}, {"x": "1e-3", "day": "2021-01-01"}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.yml", "a: [1", "is not YAML at line"), ("p.yml", "- 1", "holds no names"),
        ("p.yml", "a: !x 1", "is not YAML"),
        ("p.yml", "a: \x07", "is not YAML"), ("p.json", "{", "is not JSON"), ("p.json", "[1]", "holds no names"),
        ("p.yml", "? [a]\n: 1", "is not YAML"), ("p.yml", "[" * 5000, "is not YAML"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_parameters(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ParameterError) as caught:
        given(files=[tmp_path / name])
    assert message in caught.value.message
    assert name in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ParameterError, match="there is no parameters file"):
        given(files=[tmp_path / "none.yml"])
    with pytest.raises(ParameterError, match="cannot be read"):
        given(files=[tmp_path])


def test_typing_knows_papermills_words():
    assert [resolve(text) for text in ("True", "None", "5", " 5 ", "1_0", "true", "")] == [
        True,
        None,
        5,
        5,
        10,
        "true",
        "",
    ]


def test_a_grid_varies_the_last_name_fastest():
    assert grid(["a=1,2", "b=x, y"]) == [
        {"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"},
    ]  # fmt: skip
    assert grid([]) == []
    assert grid(['k="a,b",c,"say ""hi"""']) == [{"k": "a,b"}, {"k": "c"}, {"k": 'say "hi"'}]
    assert grid(["k=a=b"]) == [{"k": "a=b"}]


@pytest.mark.parametrize("sweep", ["k", "k=", "=1", "k= ", 'k="a', 'k="a"b', "k=a\nb"])
def test_a_sweep_that_says_nothing(sweep):
    with pytest.raises(ParameterError) as caught:
        grid([sweep])
    assert "\n" not in caught.value.message


def test_a_sweep_that_is_named_twice_or_too_large():
    with pytest.raises(ParameterError, match="swept twice"):
        grid(["a=1", "a=2"])
    wide = "a=" + ",".join(map(str, range(200)))
    with pytest.raises(ParameterError, match=str(MOST_POINTS)):
        grid([wide, wide.replace("a=", "b=")])


def test_json_is_what_comes_out():
    import msgspec

    values = checked("x: dict\ny: list", ("x", "{'a': {1: (2, None)}}"), ("y", "[True, 'é']"))
    assert msgspec.json.decode(msgspec.json.encode(values)) == values
