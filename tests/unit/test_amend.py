"""Settings changed in a profile's file, what its owner wrote around them left as it is."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterctl.core import amend
from jupyterctl.errors import ConfigError


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTERCTL_HOME", str(tmp_path))
    folder = tmp_path / "config" / "profiles"
    folder.mkdir(parents=True)

    def change(text, **changes):
        file = folder / "lab.toml"
        file.write_text(text)
        named = {key.replace("__", "."): value for key, value in changes.items()}
        assert amend.change("lab", named, tmp_path) == file
        return file.read_text()

    return change


def test_a_line_is_replaced_where_it_stands(profile):
    assert profile('kind = "local"\nworkdir = "a" \n# end\n', workdir="b") == 'kind = "local"\nworkdir = "b"\n# end\n'


def test_a_comment_that_shows_the_setting_gives_its_place(profile):
    assert (
        profile('kind = "local"\n# Folder\n# workdir = ""\n', workdir="b")
        == 'kind = "local"\n# Folder\nworkdir = "b"\n'
    )


def test_a_table_is_made_where_there_is_none(profile):
    assert profile('kind = "local"\n', run__retries=2) == 'kind = "local"\n\n[run]\nretries = 2\n'


def test_a_key_of_another_table_is_not_taken_for_it(profile):
    text = profile('kind = "local"\n[server]\nport = 1\n[run]\ntimeout = "1h"\n', run__timeout="2h", server__port=80)
    assert tomllib.loads(text) == {"kind": "local", "server": {"port": 80}, "run": {"timeout": "2h"}}


def test_none_takes_a_setting_out(profile):
    assert profile('kind = "local"\nworkdir = "a"\n', workdir=None) == 'kind = "local"\n'


@pytest.mark.parametrize(
    "text", ['kind = "local"\nrun.retries = 1\n', 'kind = "local"\n"workdir" = "x"\nrun = {retries = 1}\n']
)
def test_a_file_written_otherwise_is_written_anew(profile, text):
    changed = tomllib.loads(profile(text, run__retries=3))
    assert changed["run"] == {"retries": 3}


def test_what_cannot_be_is_refused_and_nothing_written(profile, tmp_path):
    with pytest.raises(ConfigError):
        profile('kind = "local"\n', run__retries=-1)
    assert (tmp_path / "config/profiles/lab.toml").read_text() == 'kind = "local"\n'


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=30))
def test_any_text_is_read_back(value):
    text = amend._set("kind = 'x'\n", "workdir", value)
    assert tomllib.loads(text) == {"kind": "x", "workdir": value}
