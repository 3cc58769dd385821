"""An ssh configuration read without the ssh program: paramiko's reader, and Include.

`Match` knows only host, originalhost, user, localuser and all here. What is not understood is an error, never passed
over where it could lead elsewhere.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from ...errors import ConfigError

DEPTH = 16
"""How deep files may include files, as ssh has it."""
_HINT = "install the ssh program: it reads all of the configuration"
_MATCHES = {"all", "host", "originalhost", "user", "localuser", "canonical"}
_DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ed25519")


def read(name: str, user: str, port: int | None, config: Path | None, jump: str) -> dict[str, list[str]]:
    """The options for a host in the form of `ssh -G`; ConfigError where the file says what cannot be followed here."""
    from paramiko import SSHConfig
    from paramiko.ssh_exception import ConfigParseError

    files = [config] if config else [Path.home() / ".ssh/config", Path("/etc/ssh/ssh_config")]
    text = "\n".join(f"Host *\n{_spliced(file, 0)}" for file in files)
    first = [f"  {key} {value}" for key, value in (("User", user), ("Port", port), ("ProxyJump", jump)) if value]
    try:
        found = SSHConfig.from_text("\n".join(["Host *", *first, text])).lookup(name)
    except ConfigParseError as error:
        raise ConfigError(f"the ssh configuration cannot be read: {error}", _HINT) from error
    given: dict[str, object] = dict(found)
    options = {key: list(value) if isinstance(value, list) else [str(value)] for key, value in given.items()}
    for key, value in _defaults().items():
        options.setdefault(key, value)
    return options


def hosts(config: Path | None = None) -> list[str]:
    """The names that the user's configuration gives to machines; patterns and exceptions are none."""
    text = _spliced(config or Path.home() / ".ssh/config", 0)
    found = [re.split(r"[\s=]+", line.strip(), maxsplit=1) for line in text.splitlines()]
    named = (words[1] for words in found if len(words) > 1 and words[0].lower() == "host")
    names = (name.strip('"') for rest in named for name in rest.split())
    return list(dict.fromkeys(name for name in names if not re.search(r"[*?!]", name)))


def _defaults() -> dict[str, list[str]]:
    home = Path.home() / ".ssh"
    return {
        "identityfile": [str(home / key) for key in _DEFAULT_KEYS],
        "userknownhostsfile": [f'"{home / "known_hosts"}" "{home / "known_hosts2"}"'],
        "globalknownhostsfile": ['"/etc/ssh/ssh_known_hosts" "/etc/ssh/ssh_known_hosts2"'],
    }


def _spliced(file: Path, depth: int) -> str:
    """A file's text with what it includes in place; each included file's blocks end with it."""
    if depth > DEPTH:
        raise ConfigError(f"`{file}` is included too deep", _HINT)
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    out, block = [], "Host *"
    for line in lines:
        words = re.split(r"[\s=]+", line.strip(), maxsplit=1)
        key, rest = words[0].lower(), words[1] if len(words) > 1 else ""
        if key == "include":
            out += [_spliced(each, depth + 1) for each in _included(rest)]
            out.append(block)
            continue
        if key in {"host", "match"}:
            block = line
        if key == "match":
            _check(rest, file)
        out.append(line)
    return "\n".join(out)


def _included(rest: str) -> list[Path]:
    patterns = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', rest)]
    whole = (os.path.join(Path.home() / ".ssh", os.path.expanduser(each)) for each in patterns)  # noqa: PTH111, PTH118
    return [Path(found) for pattern in whole for found in sorted(glob.glob(pattern))]  # noqa: PTH207 - absolute patterns


def _check(criteria: str, file: Path) -> None:
    """ConfigError for what paramiko would take for a match, or stop at."""
    words = re.findall(r'"[^"]*"|[^\s=]+', criteria.lower())
    kinds = []
    while words:
        kind = words.pop(0).removeprefix("!")
        kinds.append(kind)
        if kind not in {"all", "canonical", "final"} and words:
            words.pop(0)
    if strange := next((kind for kind in kinds if kind not in _MATCHES), None):
        raise ConfigError(f"`{file}` has `Match {strange}`, which is not understood here", _HINT)
