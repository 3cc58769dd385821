"""Secrets by reference: `-s NAME=REF` says where a value is, and only a run's own process gets it.

    env:VAR                 an environment variable of this shell
    keyring:SERVICE/USER    the system's keyring (the optional library `keyring`)
    file:PATH               the first line of a file

No message of this module holds a value, nor text that could be one typed by mistake.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import MissingLibraryError, NotFoundError, UsageError

_FORMS = "a reference is env:VAR, keyring:SERVICE/USER or file:PATH"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OTHERS_READ = 0o004


def parse(text: str) -> tuple[str, str]:
    """(name, reference) of `NAME=REF`; UsageError where it is not that."""
    name, equals, ref = text.partition("=")
    if not equals:
        raise UsageError("a secret given by `-s` has no `=`", f"write it like -s NAME=env:VAR; {_FORMS}")
    if not _NAME.fullmatch(name):
        raise UsageError(f"`{name}` cannot be a secret's name", "a name is letters, digits and underscores")
    scheme, _, rest = ref.partition(":")
    if scheme not in _RESOLVERS or not rest:
        raise UsageError(
            f"the secret `{name}` is not given by reference", f"{_FORMS}; the value itself must not be typed here"
        )
    return name, ref


def resolve(ref: str) -> str:
    """The value that a reference stands for; the error names the reference."""
    scheme, _, rest = ref.partition(":")
    if scheme not in _RESOLVERS:
        raise UsageError("a secret is not given by reference", _FORMS)
    return _RESOLVERS[scheme](rest)


def concern(ref: str) -> str:
    """What is unsafe about where a secret is kept, in a sentence; empty where nothing is."""
    scheme, _, rest = ref.partition(":")
    try:
        if scheme == "file" and Path(rest).expanduser().stat().st_mode & _OTHERS_READ:
            return f"everyone on this machine can read `{rest}`; close it with chmod 600"
    except (OSError, RuntimeError):
        pass  # resolve says what is wrong with it
    return ""


def _environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise NotFoundError(f"the environment variable `{name}` is not set", f"set and export it first: export {name}")
    if not value:
        raise UsageError(f"the environment variable `{name}` is empty", "set it to the secret's value")
    return value


def _keyring(place: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise MissingLibraryError("reading a secret from the keyring", "keyring") from None
    service, slash, user = place.rpartition("/")
    if not slash or not service or not user:
        raise UsageError(f"`keyring:{place}` names no user", "write it like keyring:SERVICE/USER")
    try:
        value = keyring.get_password(service, user)
    except KeyringError as error:
        raise UsageError(
            f"the keyring does not answer for `keyring:{place}`: {type(error).__name__}",
            "unlock it, or use env:VAR or file:PATH",
        ) from None
    if not value:
        raise NotFoundError(
            f"the keyring holds nothing for `keyring:{place}`", f"store it: keyring set {service} {user}"
        )
    return value


def _file(name: str) -> str:
    try:
        with Path(name).expanduser().open(encoding="utf-8") as file:
            value = file.readline().strip()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file `{name}` with a secret", f"you are in `{Path.cwd()}`") from None
    except UnicodeDecodeError:
        raise UsageError(f"`file:{name}` is not text", "a secret is the first line of a text file") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"`file:{name}` cannot be read: {reason.lower()}", f"look at it: ls -l '{name}'") from None
    if not value:
        raise UsageError(f"the first line of `file:{name}` is empty", "a secret is the first line of the file")
    return value


_RESOLVERS = {"env": _environment, "keyring": _keyring, "file": _file}
