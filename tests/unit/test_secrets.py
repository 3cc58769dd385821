"""Secrets by reference: found, or refused without a word of their value."""

import sys

import pytest

from jupyterctl.core.secrets import concern, parse, resolve
from jupyterctl.errors import MissingLibraryError, NotFoundError, UsageError


def test_a_reference_is_a_name_and_where_it_is():
    assert parse("TOKEN=env:HOME") == ("TOKEN", "env:HOME")
    assert parse("a_1=file:~/x=y") == ("a_1", "file:~/x=y")
    assert parse("K=keyring:https://host/path/user") == ("K", "keyring:https://host/path/user")


@pytest.mark.parametrize("text", ["hunter2", "TOKEN=hunter2", "TOKEN=hunter2:x", "TOKEN=", "TOKEN=env:"])
def test_a_value_typed_by_mistake_is_not_repeated(text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "env:VAR" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        resolve("hunter2")
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b"])
def test_a_name_that_no_environment_takes(name):
    with pytest.raises(UsageError, match="cannot be a secret's name"):
        parse(f"{name}=env:X")


def test_from_the_environment(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "hunter2")
    assert resolve("env:SOME_TOKEN") == "hunter2"
    monkeypatch.setenv("SOME_TOKEN", "")
    with pytest.raises(UsageError, match="`SOME_TOKEN` is empty"):
        resolve("env:SOME_TOKEN")
    monkeypatch.delenv("SOME_TOKEN")
    with pytest.raises(NotFoundError, match="`SOME_TOKEN` is not set"):
        resolve("env:SOME_TOKEN")


def test_from_a_file(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_text("  hunter2 \nsecond\n")
    path.chmod(0o600)
    assert resolve(f"file:{path}") == "hunter2"
    assert concern(f"file:{path}") == ""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("file:~/token") == "hunter2"
    path.chmod(0o644)
    assert "chmod 600" in concern(f"file:{path}")
    assert concern("file:/none") == concern("env:X") == ""


@pytest.mark.parametrize(("data", "message"), [(b"\nhunter2", "is empty"), (b"\xff\xfehunter2", "is not text")])
def test_a_file_without_a_secret(tmp_path, data, message):
    (tmp_path / "token").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        resolve(f"file:{tmp_path / 'token'}")
    assert message in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFoundError):
        resolve(f"file:{tmp_path / 'none'}")
    with pytest.raises(UsageError, match="cannot be read"):
        resolve(f"file:{tmp_path}")


def test_from_the_keyring():
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Ring(KeyringBackend):
        priority = 1

        def get_password(self, service, username):
            return {("https://host/x", "me"): "hunter2"}.get((service, username))

        def set_password(self, service, username, password):
            raise NotImplementedError

        def delete_password(self, service, username):
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        assert resolve("keyring:https://host/x/me") == "hunter2"
        with pytest.raises(NotFoundError, match="holds nothing"):
            resolve("keyring:service/you")
        with pytest.raises(UsageError, match="names no user"):
            resolve("keyring:service")
    finally:
        keyring.set_keyring(before)


def test_a_keyring_that_is_not_there_says_so():
    keyring = pytest.importorskip("keyring")
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    try:
        with pytest.raises(UsageError, match="does not answer for `keyring:service/me`"):
            resolve("keyring:service/me")
    finally:
        keyring.set_keyring(before)


def test_the_keyring_is_an_optional_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MissingLibraryError) as caught:
        resolve("keyring:service/me")
    assert "jupyterctl[keyring]" in caught.value.hint
