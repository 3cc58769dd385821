"""Is the machine that answers the one we know: known_hosts, read line by line.

Only lines that name the machine are looked at further, so that thousands of lines cost milliseconds and a bad one costs
nothing. What is `@revoked` is never passed over.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from .route import SSH_PORT, Route
from .way import Ask, Question, RefusedError

REVOKED, AUTHORITY = "@revoked", "@cert-authority"
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_PARTS = 3


class Entry(Struct, frozen=True, kw_only=True):
    """A line that names the machine."""

    file: str
    line: int
    marker: str = ""
    """Empty, `@revoked` or `@cert-authority`."""
    kind: str
    """`ssh-ed25519` and the like."""
    key: bytes
    """As it goes over the wire."""


class Known(Struct, frozen=True, kw_only=True):
    """What the known_hosts files say of one machine."""

    name: str
    """As it stands in the files."""
    entries: tuple[Entry, ...]
    without_port: tuple[Entry, ...] = ()
    """Lines that name the host with no port, where ours is not 22: they vouch for keys, and condemn those revoked."""

    @property
    def keys(self) -> list[Entry]:
        """Those that are plain keys."""
        return [entry for entry in self.entries if not entry.marker]

    @property
    def authority(self) -> Entry | None:
        """A certificate authority that vouches for the machine."""
        return next((entry for entry in self.entries if entry.marker == AUTHORITY), None)

    def algorithms(self, offered: Sequence[str]) -> tuple[str, ...]:
        """Host key algorithms in the order to ask for: those of the known keys first.

        So that a machine with several keys shows one that is known.
        """
        kinds = {entry.kind for entry in (self.keys or self.without_port)}
        return tuple(sorted(offered, key=lambda name: ("ssh-rsa" if name in _RSA else name) not in kinds))


def look_up(route: Route) -> Known:
    """What is known of a route's machine; files that are not there or cannot be read say nothing."""
    host = (route.host_key_alias or route.host).lower()
    with_port = bool(route.host_key_alias) or route.port == SSH_PORT
    name = host if with_port else f"[{host}]:{route.port}"
    files = (*route.user_known_hosts, *route.global_known_hosts)
    entries = tuple(entry for file in files for entry in read(file, name))
    others = () if with_port else tuple(entry for file in files for entry in read(file, host))
    return Known(name=name, entries=entries, without_port=others)


def read(file: str, name: str) -> Iterator[Entry]:
    """The lines of a file that name a machine."""
    try:
        lines = Path(file).read_bytes().decode(errors="replace").split("\n")
    except OSError:
        return
    asked = name.encode()
    for number, line in enumerate(lines, 1):
        if line.startswith("|1|"):
            if not _hashed(line.partition(" ")[0], asked):
                continue
        elif not line or line.startswith("#"):
            continue
        if (entry := _entry(file, number, line, name)) is not None:
            yield entry


def _entry(file: str, number: int, line: str, name: str) -> Entry | None:
    """The line taken apart; None where it is bad, or names another machine."""
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < _PARTS or marker not in {"", REVOKED, AUTHORITY} or not names(words[0], name):
        return None
    try:
        key = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Entry(file=file, line=number, marker=marker, kind=words[1], key=key)


def names(patterns: str, name: str) -> bool:
    """Whether the first word of a line names a machine; `name` in lower case.

    >>> names("*.example.org,!b.example.org,[10.0.0.1]:2222", "a.example.org")
    True
    >>> names("*.example.org,!b.example.org", "b.example.org")
    False
    >>> names("[10.0.0.1]:2222", "[10.0.0.1]:2222")
    True
    """
    if patterns.startswith("|1|"):
        return _hashed(patterns, name.encode())
    found = False
    for pattern in patterns.lower().split(","):
        negated = pattern.startswith("!")
        if _matches(pattern.removeprefix("!"), name):
            if negated:
                return False
            found = True
    return found


def _matches(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _hashed(word: str, name: bytes) -> bool:
    try:
        _, _, salt, digest = word.split("|")
        return hmac.digest(binascii.a2b_base64(salt), name, "sha1") == binascii.a2b_base64(digest)
    except ValueError:
        return False


def fingerprint(key: bytes) -> str:
    """`SHA256:…`, as ssh-keygen writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def check(route: Route, known: Known, kind: str, key: bytes, ask: Ask) -> None:
    """Return if the key that the machine shows is to be trusted; it is written down where it was not known.

    RefusedError where it is revoked, has changed, or is unknown and nobody says that it is right.
    """
    for entry in (*known.entries, *known.without_port):
        if entry.marker == REVOKED and entry.key == key:
            raise RefusedError(
                f"the host key of `{route.name}` is revoked: {entry.file}:{entry.line}",
                "do not log in there; ask who runs it",
            )
    if any(entry.key == key for entry in (*known.keys, *(e for e in known.without_port if not e.marker))):
        return
    if changed := next((entry for entry in known.keys if entry.kind == kind), None):
        raise RefusedError(
            f"the host key of `{route.name}` has changed: it shows {fingerprint(key)}, "
            f"{changed.file}:{changed.line} has {fingerprint(changed.key)}",
            f"somebody may be listening in; if you know that the machine was set up anew: "
            f"ssh-keygen -f {changed.file} -R '{known.name}'",
        )
    _unknown(route, known, kind, key, ask)


def _unknown(route: Route, known: Known, kind: str, key: bytes, ask: Ask) -> None:
    file = route.user_known_hosts[0] if route.user_known_hosts else ""
    if route.strict_host_key_checking == "yes":
        raise RefusedError(
            f"the host key of `{route.name}` is not known, and the ssh configuration wants it to be",
            f"add it to {file or 'a known_hosts file'}: ssh-keyscan -p {route.port} {route.host}",
        )
    if route.strict_host_key_checking == "ask":
        answer = ask(
            Question(kind="host-key", text=_text(route, known, kind, key, file), secret=False, about=route.login)
        )
        if answer is None:
            raise RefusedError(
                f"the host key of `{route.name}` is not known, and nobody is here to say whether it is right",
                f"log in once by hand, and compare {fingerprint(key)}: ssh {route.name}",
            )
        if answer.strip().lower() not in {"yes", "y"}:
            raise RefusedError(
                f"the host key of `{route.name}` was not accepted", "ask who runs it for its fingerprint"
            )
    if file:
        remember(file, known.name, kind, key, hashed=route.hash_known_hosts)


def _text(route: Route, known: Known, kind: str, key: bytes, file: str) -> str:
    short = re.sub(r"^(ssh-|ecdsa-sha2-)", "", kind)
    lines = [f"{route.name} ({route.address}) shows a host key that is not known:", f"{short} {fingerprint(key)}"]
    if known.keys:
        others = ", ".join(sorted({entry.kind for entry in known.keys}))
        lines.append(f"Keys of other types are known ({others}), and it does not show one of them.")
    lines.append(f"Is it right? It is then written to {file}." if file else "Is it right?")
    return "\n".join(lines)


def remember(file: str, name: str, kind: str, key: bytes, *, hashed: bool) -> None:
    """Append a line to a known_hosts file, whole or not at all; RefusedError where it cannot be written."""
    word = hash_name(name) if hashed else name
    line = f"{word} {kind} {base64.b64encode(key).decode()}\n"
    path = Path(file)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError), path.open("rb") as old:
            old.seek(0, os.SEEK_END)
            if old.tell() and (old.seek(-1, os.SEEK_END), old.read(1))[1] != b"\n":
                line = "\n" + line
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RefusedError(f"cannot write `{file}`: {error.strerror}", "the host key is to be kept there") from error


def hash_name(name: str) -> str:
    """A name as `HashKnownHosts yes` writes it."""
    salt = os.urandom(20)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return "|1|" + "|".join(base64.b64encode(each).decode() for each in (salt, digest))
