"""Whatever stands in profile files: merging keeps its laws, and nothing but a ConfigError comes out."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyterctl import config, schema, target
from jupyterctl.core import authoring, profiles
from jupyterctl.errors import ConfigError
from jupyterctl.model import Profile

keys = st.sampled_from(["kind", "a", "b", "run", "timeout", "env", "x.y", "ü"])
scalars = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.lists(st.integers(0, 3), max_size=2)
)
tables = st.recursive(
    st.dictionaries(keys, scalars, max_size=4),
    lambda inner: st.dictionaries(keys, scalars | inner, max_size=4),
    max_leaves=12,
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
bare = st.dictionaries(
    st.sampled_from("abc"), st.integers(0, 9) | st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9))
)


def merged(*contents: dict[str, Any]) -> tuple[config.Raw, list[Path]]:
    """A profile of some files' contents, the nearest first, and the files."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, content in enumerate(contents):
            file = Path(folder) / f"{number}.toml"
            file.write_text(tomli_w.dumps(content), encoding="utf-8")
            files.append(file)
        return config.merge("x", files), files


def leaves(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value that is no table, by dotted key."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def outcome(function: Callable[[Any], Any], argument: Any) -> Any:
    """What the function returns, or the ConfigError it raises; any other exception fails the test."""
    try:
        return function(argument)
    except ConfigError as error:
        return error


@given(bare, bare, bare)
def test_each_value_is_the_nearest_files_that_gives_it(near, middle, far):
    raw, files = merged(near, middle, far)

    assert leaves(raw.data).keys() == raw.sources.keys()
    by_file = dict(zip(files, (near, middle, far), strict=True))
    for key, value in leaves(raw.data).items():
        assert leaves(by_file[raw.sources[key]])[key] == value
        nearer = files[: files.index(raw.sources[key])]
        assert all(key not in leaves(by_file[file]) for file in nearer)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a machine that does other things as well
@given(tables)
def test_a_profile_in_one_file_is_that_file(table):
    raw, _ = merged(table)

    assert raw.data == table
    assert merged(table, table)[0].data == table


@given(tables, tables)
def test_a_nearer_kind_that_differs_leaves_nothing_of_the_others(near, far):
    near, far = {**near, "kind": "a"}, {**far, "kind": "b"}

    raw, files = merged(near, far)

    assert raw.data == near
    assert raw.files == (files[0],)


@given(tables)
def test_any_toml_is_a_profile_or_a_config_error_with_a_remedy(table):
    raw, _ = merged(table)

    result = outcome(profiles.build, raw)

    assert isinstance(result, Profile) or (result.message and result.hint)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_table_or_a_config_error(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.toml"
        file.write_bytes(data)
        result = outcome(config.read, file)
        assert isinstance(result, dict) or str(file) in result.message


@given(st.text(max_size=70))
def test_a_name_that_is_taken_stays_in_its_folder(name):
    try:
        config.check_name(name)
    except ConfigError:
        return
    file = Path("/profiles") / f"{name}.toml"
    assert file.resolve().parent == Path("/profiles")
    assert not name.startswith(("-", "."))


@given(
    st.recursive(
        st.integers(-9, 9) | texts | st.booleans(),
        lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3),
    )
)
def test_a_value_on_one_line_is_toml_that_says_the_same(value):
    text = schema.inline(value)

    assert "\n" not in text
    assert tomllib.loads(f"v = {text}") == {"v": value}


@given(data=st.data())
def test_what_is_written_is_what_was_meant(data):
    for kind in target.kinds():
        settings = target.load(kind).Settings
        fields = schema.fields(settings)
        chosen = {field.key: field.default for field in fields if field.default not in (None, {}, ())}
        chosen |= {field.key: data.draw(texts.filter(bool)) for field in fields if field.required}
        chosen["run.env"] = data.draw(st.dictionaries(texts, texts, max_size=3))
        nested: dict[str, Any] = {}
        for key, value in chosen.items():
            *path, name = key.split(".")
            (nested.setdefault(path[0], {}) if path else nested)[name] = value

        read = tomllib.loads(authoring.template(kind, nested, fields))

        assert read.pop("kind") == kind
        assert msgspec.convert(read, settings) == msgspec.convert(nested, settings)
