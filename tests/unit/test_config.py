"""Profiles found, merged and validated, and the words of every way they can be wrong."""

from __future__ import annotations

import os
import stat
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from jupyterctl import config, model, paths, schema
from jupyterctl.errors import ConfigError
from tests.conftest import need


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: Annotated[int, Meta(ge=1, le=65535, description="Port")] = 8888
    tags: Annotated[dict[str, int], Meta(description="Tags")] = {}


class Settings(model.Settings, frozen=True, kw_only=True):
    """Settings of every shape a kind may declare."""

    host: Annotated[str, Meta(min_length=1, description="Host to log in to")]
    way: Annotated[Literal["fast", "slow"], Meta(description="Way")] = "fast"
    colour: Annotated[Colour, Meta(description="Colour")] = Colour.RED
    load: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Load")] = None
    before: Annotated[tuple[str, ...], Meta(description="Lines")] = ()
    server: Server = Server()

    def __post_init__(self) -> None:
        if self.way == "slow" and self.load is not None:
            raise ValueError("`load` makes no sense where `way` is slow")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTERCTL_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "config" / "profiles"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "project"
    (folder / config.PROJECT).mkdir(parents=True)
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file


def refused(tmp_path: Path, text: str) -> ConfigError:
    """The error that a profile of this text gives."""
    file = put(tmp_path, "gpu", text)
    with pytest.raises(ConfigError) as caught:
        config.validate(config.merge("gpu", [file]), "test", Settings)
    assert str(file) in caught.value.message
    return caught.value


def test_the_nearer_file_wins_key_by_key_and_every_value_knows_its_file(user, project):
    far = put(
        user, "lab", 'kind = "a"\nhost = "far"\nbefore = ["x"]\n[run]\ntimeout = "1h"\nenv = { A = "1", B = "1" }'
    )
    near = put(project / config.PROJECT, "lab", 'host = "near"\n[run.env]\nB = "2"')

    raw = config.merge("lab", config.files("lab", project))

    assert raw.data == {
        "kind": "a",
        "host": "near",
        "before": ["x"],
        "run": {"timeout": "1h", "env": {"A": "1", "B": "2"}},
    }
    assert raw.sources == {
        "kind": far,
        "host": near,
        "before": far,
        "run.timeout": far,
        "run.env.A": far,
        "run.env.B": near,
    }
    assert raw.files == (near, far)


def test_a_nearer_file_of_another_kind_stands_alone(user, project):
    put(user, "lab", 'kind = "a"\nhost = "far"')
    near = put(project / config.PROJECT, "lab", 'kind = "b"\nload = 1.5')

    raw = config.merge("lab", config.files("lab", project))

    assert raw.data == {"kind": "b", "load": 1.5}
    assert raw.files == (near,)


def test_a_file_without_a_kind_stays_with_the_files_it_was_written_over(user, project):
    """user: a, project: (none), below it: b. The middle file's settings are for `a`, so `b` must not inherit them."""
    below = project / "deep"
    (below / config.PROJECT).mkdir(parents=True)
    put(user, "lab", 'kind = "a"')
    put(project / config.PROJECT, "lab", 'host = "for-a"')
    put(below / config.PROJECT, "lab", 'kind = "b"')

    assert config.merge("lab", config.files("lab", below)).data == {"kind": "b"}
    assert config.merge("lab", config.files("lab", project)).data == {"kind": "a", "host": "for-a"}


def test_a_table_in_place_of_a_value_leaves_no_source_behind(tmp_path):
    far, near = put(tmp_path, "far", "a = { b = 1, c = 2 }\nd = 1"), put(tmp_path, "near", "a = 3\nd = { e = 1 }")

    raw = config.merge("x", [near, far])

    assert raw.data == {"a": 3, "d": {"e": 1}}
    assert raw.sources == {"a": near, "d.e": near}


def test_every_parent_is_looked_at_and_the_nearest_comes_first(user, project):
    below = project / "a" / "b"
    (below / config.PROJECT).mkdir(parents=True)
    files = [
        put(below / config.PROJECT, "lab", ""),
        put(project / config.PROJECT, "lab", ""),
        put(user, "lab", ""),
    ]
    other = put(user, "other", "")

    assert config.find(below) == {"lab": files, "other": [other]}
    assert config.files("lab", below) == files


def test_hidden_files_and_other_files_are_no_profiles(user, tmp_path):
    for name in (".lab.toml", "lab.toml~", "profile.schema.json"):
        (user / name).write_text("")
    (user / "folder.toml").mkdir()

    assert config.find(tmp_path) == {}


def test_a_link_to_nowhere_is_listed_and_says_what_is_wrong(user, tmp_path):
    (user / "gone.toml").symlink_to(tmp_path / "nothing")

    (file,) = config.find(tmp_path)["gone"]
    with pytest.raises(ConfigError, match="cannot be read: no such file"):
        config.read(file)


def test_a_folder_that_somebody_else_left_in_a_world_writable_place_is_not_believed(user, tmp_path):
    need("root", os.geteuid() == 0, "only root can give a folder away")
    shared = tmp_path / "tmp"
    planted = shared / config.PROJECT
    planted.mkdir(parents=True)
    shared.chmod(0o1777)
    put(planted, "lab", 'kind = "a"')
    assert "lab" in config.find(shared)

    os.chown(planted, 65534, 65534)

    assert config.find(shared) == {}
    shared.chmod(0o755)
    assert "lab" in config.find(shared)


@pytest.mark.parametrize("name", ["", ".x", "a/b", "../x", "-x", "a b", "x\n", "x" * 65, "a\0b"])
def test_names_that_cannot_be_a_file_or_an_argument_are_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="cannot name a profile"):
        config.files(name, tmp_path)


@pytest.mark.parametrize("name", ["lab", "gpu-01", "a.b", "_x", "9", "größe"])
def test_ordinary_names_are_taken(name):
    assert config.check_name(name) == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind = \n", "line 1, column 8 is not TOML: invalid value"),
        ('kind = "a"\nhost "x"\n', "line 2, column 6 is not TOML: expected '='"),
        ("a = 1\na = 2\n", "line 2, column 6 is not TOML: cannot overwrite a value"),
        ("a = [", "is not TOML"),
        ("a=" + "[" * 5000, "nests too deep"),
        ("a." + "b." * 3000 + "c = 1", "nests too deep"),
    ],
)
def test_what_is_not_toml_is_said_with_file_and_line(text, says, tmp_path):
    file = put(tmp_path, "gpu", text)

    with pytest.raises(ConfigError) as caught:
        config.read(file)

    assert f"`{file}`" in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint


def test_a_byte_order_mark_does_no_harm_and_other_encodings_are_named(tmp_path):
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1")
    assert config.read(file) == {"a": 1}

    file.write_bytes('a = "ü"'.encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        config.read(file)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "`host` in", "a text that is not empty (Host to log in to)"),
        ('host = ""', '`host` in `{file}` cannot be ""', "it must be a text that is not empty (Host to log in to)"),
        ("host = 3", "`host` in `{file}` cannot be 3", "it must be a text"),
        ("host = 2020-01-01", "cannot be 2020-01-01", "it must be a text"),
        ('hots = "x"\nhost = "x"', "`hots` in `{file}` is no setting of the kind `test`", "did you mean `host`?"),
        ('host = "x"\ntimeout = "1h"', "`timeout` in", "did you mean `run.timeout`?"),
        ('host = "x"\n[run]\ntimout = "1h"', "`run.timout` in", "did you mean `run.timeout`?"),
        ('host = "x"\nzzz = 1', "`zzz` in", "the settings are: host, way, colour, load, before, run.kernel"),
        ('host = "x"\nrun = 3', "`run` in `{file}` cannot be 3", "it must be a table"),
        ('host = "x"\nrun.retries = -1', "`run.retries` in `{file}` cannot be -1", "a whole number, 0 or more"),
        ('host = "x"\nrun.timeout = "soon"', 'cannot be "soon"', 'a text such as "90s", "30m"'),
        ('host = "x"\nway = "fats"', '`way` in `{file}` cannot be "fats"', 'it must be one of "fast", "slow"'),
        ('host = "x"\ncolour = "green"', 'cannot be "green"', 'one of "red", "blue"'),
        ('host = "x"\nload = 0', "`load` in `{file}` cannot be 0", "a number, more than 0"),
        ('host = "x"\nbefore = "x"', 'cannot be "x"', "it must be a list, each item a text"),
        ('host = "x"\nbefore = ["x", 3]', "`before[1]` in `{file}` cannot be 3", "it must be a text"),
        ('host = "x"\nserver.port = 70000', "`server.port` in", "a whole number from 1 to 65535"),
        ('host = "x"\nserver.tags.a = "b"', '`server.tags.a` in `{file}` cannot be "b"', "it must be a whole number"),
        ('host = "x"\nrun.isolated = "no"', "`run.isolated` in", "it must be true or false"),
        (
            'host = "x"\nway = "slow"\nload = 1',
            "`load` makes no sense where `way` is slow in",
            "profile new --kind test",
        ),
    ],
)
def test_a_wrong_value_is_said_with_file_key_value_and_remedy(text, message, hint, tmp_path):
    error = refused(tmp_path, text)

    assert message.format(file=tmp_path / "gpu.toml") in error.message
    assert hint in error.hint


def test_an_unknown_keys_value_is_not_repeated(tmp_path):
    """It may be a token that was put there by mistake."""
    error = refused(tmp_path, 'host = "x"\ntoken = "s3cret"')

    assert "s3cret" not in error.message + error.hint


def test_the_file_named_is_the_one_that_has_the_wrong_value(tmp_path):
    far, near = put(tmp_path, "far", 'host = "x"\nrun.retries = -1'), put(tmp_path, "near", 'run.timeout = "1h"')

    with pytest.raises(ConfigError) as caught:
        config.validate(config.merge("lab", [near, far]), "test", Settings)

    assert str(far) in caught.value.message
    assert str(near) not in caught.value.message


def test_a_profile_is_as_readable_as_its_folder_and_a_link_stays_one(user, project):
    shared = project / config.PROJECT
    shared.chmod(0o755)
    dotfiles = put(project, "dotfile", "a = 1")
    (user / "lab.toml").symlink_to(dotfiles)

    config.write(shared / "lab.toml", "x = 1\n")
    config.write(user / "own.toml", "x = 1\n")
    config.write(user / "lab.toml", "x = 2\n")

    assert stat.S_IMODE((shared / "lab.toml").stat().st_mode) == 0o644
    assert stat.S_IMODE((user / "own.toml").stat().st_mode) == stat.S_IMODE(user.stat().st_mode) & 0o666
    assert (user / "lab.toml").is_symlink()
    assert dotfiles.read_text() == "x = 2\n"


def test_a_new_users_folder_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTERCTL_HOME", str(tmp_path / "new"))
    file = next(config.folders(tmp_path)) / "lab.toml"

    config.write(file, "x = 1\n")

    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_relative_paths_start_at_the_project_that_gives_them():
    assert paths.base(Path("/work/project/.jupyterctl/lab.toml")) == Path("/work/project")
    assert paths.base(Path("/etc/profiles/lab.toml")) == Path.home()
    assert paths.base(None) == Path.home()


def test_fields_are_listed_with_what_they_hold():
    fields = {field.key: field for field in schema.fields(Settings)}

    assert list(fields)[:5] == ["host", "way", "colour", "load", "before"]
    assert fields["host"].required
    assert fields["host"].flag == "--host"
    assert fields["run.cell_timeout"].flag == "--run-cell-timeout"
    assert fields["run.cell_timeout"].examples == ("90s", "30m", "8h", "1h30m")
    assert (fields["server.port"].default, fields["colour"].default) == (8888, "red")
    assert schema.choices(fields["colour"].type) == ["red", "blue"]


@pytest.mark.parametrize(
    ("key", "given", "value"),
    [
        ("host", "007", "007"),
        ("load", "1.5", 1.5),
        ("server.port", "80", 80),
        ("colour", "blue", "blue"),
        ("before", ("a, b", "c"), ("a, b", "c")),
        ("server.tags", ("a=1", "b=2"), {"a": 1, "b": 2}),
        ("run.env", ("A=b=c", "B="), {"A": "b=c", "B": ""}),
        ("run.isolated", "true", True),
    ],
)
def test_text_becomes_the_settings_value(key, given, value):
    field = next(field for field in schema.fields(Settings) if field.key == key)

    assert schema.parse(field, given) == value


@pytest.mark.parametrize(
    ("key", "given"),
    [("server.port", "0"), ("load", "much"), ("colour", "green"), ("run.env", ("=b",)), ("run.env", ("A",))],
)
def test_text_that_cannot_be_says_what_it_must_be(key, given):
    field = next(field for field in schema.fields(Settings) if field.key == key)

    with pytest.raises(ValueError, match=r"^it must be "):
        schema.parse(field, given)
