"""`%`-tokens, `${VARIABLES}` and `~` in what an ssh configuration says."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from pathlib import Path

from msgspec import Struct

from ...errors import ConfigError


class Known(Struct, frozen=True, kw_only=True):
    """What tokens stand for."""

    name: str
    host: str
    port: int
    user: str
    host_key_alias: str = ""
    jump: str = ""

    def values(self) -> dict[str, str]:
        """By the letter after `%`."""
        local = socket.gethostname()
        whole = f"{local}{self.host}{self.port}{self.user}{self.jump}"
        return {
            "%": "%",
            "h": self.host,
            "n": self.name,
            "p": str(self.port),
            "r": self.user,
            "j": self.jump,
            "k": self.host_key_alias or self.name,
            "u": getpass.getuser(),
            "i": str(os.getuid()),
            "d": str(Path.home()),
            "l": local,
            "L": local.partition(".")[0],
            "C": hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest(),
        }


def command(text: str, known: Known) -> str:
    """A command line, its tokens expanded; its variables are the shell's."""
    values = known.values()

    def expand(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ConfigError(f"`%{match[1]}` in the ssh configuration means nothing here", "`%%` is a percent sign")
        return values[match[1]]

    return re.sub(r"%(.)", expand, text)


def path(text: str, known: Known) -> str:
    """A path, absolute."""

    def variable(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise ConfigError(
                f"the ssh configuration uses `${{{match[1]}}}`, which is not set", "set it, or write the path"
            )
        return value

    expanded = re.sub(r"\$\{(\w+)\}", variable, command(text, known))
    return os.path.abspath(os.path.expanduser(expanded))  # noqa: PTH100, PTH111 - pathlib fails for an unknown ~user
