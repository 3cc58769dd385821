"""What the user's ssh configuration says of a machine: where it is, by way of whom, as whom and with which keys.

The ssh program is asked (`ssh -G`) where there is one, so that the configuration means here exactly what it means
there; else the file is read by ourselves, with less.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from ...errors import ConfigError, UnreachableError, UsageError
from . import tokens

SECONDS = 20.0
"""How long the ssh program may take over the configuration: it runs the commands of `Match exec`."""
SSH_PORT = 22
_OFF = {"", "no", "none", "false", "off", "0"}
_METHODS = ("publickey", "keyboard-interactive", "password")
_UNSERVED = {
    "knownhostscommand": "`KnownHostsCommand`",
    "revokedhostkeys": "`RevokedHostKeys`",
    "pkcs11provider": "`PKCS11Provider`",
    "bindinterface": "`BindInterface`",
    "proxyusefdpass": "`ProxyUseFdpass`",
}
"""Options that are on only where somebody set them, and that only the ssh program can act on."""


class Route(Struct, frozen=True, kw_only=True):
    """How to get to one machine. Paths are absolute; `~`, `%`-tokens and `${VARIABLES}` are expanded."""

    name: str
    """As the user calls it: an alias, or a host name."""
    host: str
    """A host name or address."""
    port: int = SSH_PORT
    user: str = ""
    alias: bool = True
    """Whether the configuration knows the name, as far as it can be told: it gives it another host name."""
    config: str = ""
    """The configuration file that was named; empty for the user's own."""
    identity_files: tuple[str, ...] = ()
    """Private keys that are there, or whose public key is."""
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    identity_agent: str = ""
    """The agent's socket; empty where there is none."""
    proxy_jump: tuple[str, ...] = ()
    """Machines to go through, the first first."""
    proxy_command: str = ""
    host_key_alias: str = ""
    host_key_algorithms: tuple[str, ...] = ()
    """In the order of preference; empty where nothing is said."""
    user_known_hosts: tuple[str, ...] = ()
    global_known_hosts: tuple[str, ...] = ()
    hash_known_hosts: bool = False
    strict_host_key_checking: str = "ask"
    """`yes`, `ask`, `accept-new` or `no`."""
    server_alive_interval: float = 0
    """Seconds; 0: nothing is said."""
    server_alive_count: int = 3
    address_family: str = "any"
    """`any`, `inet` or `inet6`."""
    bind_address: str = ""
    connect_timeout: float | None = None
    """Seconds; None: nothing is said."""
    authentications: tuple[str, ...] = _METHODS
    """Methods of logging in that are allowed, in the order they are tried, of all that ssh has."""
    password_prompts: int = 3
    forward_agent: bool = False
    session_overrides: tuple[str, ...] = ()
    """Options for the ssh program where the configuration would have it do something else than run a command."""
    needs_openssh: str = ""
    """Why only the ssh program can go this way, in words; empty where paramiko can."""

    @property
    def address(self) -> str:
        """`host:port`, in brackets where the host is an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def login(self) -> str:
        """`user@host`, with the port where it is not 22."""
        return f"{self.user}@{self.host if self.port == SSH_PORT else self.address}"


def split(text: str) -> tuple[str, str, int | None]:
    """(user, host, port) of `[user@]host[:port]` or an `ssh://` URL; an empty user and None where they are not given.

    >>> split("me@corp@box:2222")
    ('me@corp', 'box', 2222)
    >>> split("ssh://[2001:db8::1]:22/")
    ('', '2001:db8::1', 22)
    >>> split("2001:db8::1")
    ('', '2001:db8::1', None)
    """
    user, _, rest = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
    port = ""
    if rest.startswith("["):
        host, _, after = rest[1:].partition("]")
        port = after.removeprefix(":")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    else:
        host = rest
    if not host or host.startswith("-") or re.search(r"[\s\x00-\x1f;&|`$<>'\"\\]", user + host):
        raise UsageError(f"`{text}` is no machine's name", "write an alias of ~/.ssh/config, or user@host:port")
    if port and not (port.isdecimal() and 0 < int(port) < 1 << 16):
        raise UsageError(f"`{text}` has a port that cannot be", "ports are 1 to 65535")
    return user, host, int(port) if port else None


def resolve(host: str, *, config: Path | None = None, jump: str = "") -> Route:
    """What the configuration says of a machine; `jump` are hosts to go through instead of what it says.

    UsageError where the name cannot be one; ConfigError where the configuration is wrong; UnreachableError where what
    it runs does not come to an end.
    """
    user, name, port = split(host)
    if shutil.which("ssh") is not None:
        options = _ask_ssh(name, user, port, config, jump)
    else:
        from .configfile import read

        options = read(name, user, port, config, jump)
    return _route(name, options, config)


_SESSION = {"SessionType": "default", "ForkAfterAuthentication": "no", "StdinNull": "no", "ForwardX11": "no"}
"""What a session of ours is like; older programs do not know the first three, and then do not say them."""

Options = Mapping[str, list[str]]
"""By the option's name in lower case, each value a line's."""


def _ask_ssh(name: str, user: str, port: int | None, config: Path | None, jump: str) -> Options:
    command = ["ssh", "-G", *(["-F", str(config)] if config else []), *(["-J", jump] if jump else [])]
    command += [*(["-l", user] if user else []), *(["-p", str(port)] if port else []), "--", name]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(
            f"ssh did not read its configuration for `{name}` within {SECONDS:.0f} s",
            f"see what `Match exec` waits for: ssh -vG {name}",
        ) from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise ConfigError(f"the ssh configuration is wrong: {said[0]}", f"put it right; see: ssh -G {name}")
    options: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        options.setdefault(key.lower(), []).append(value.strip())
    return options


def _route(name: str, options: Options, config: Path | None) -> Route:
    def first(key: str, default: str = "") -> str:
        return options.get(key, [default])[0]

    def on(key: str, default: str = "no") -> bool:
        return first(key, default).lower() not in _OFF

    host = first("hostname", name)
    port, user = int(first("port", str(SSH_PORT))), first("user") or getpass.getuser()
    jump = _jumps(first("proxyjump"), host, user, port)
    alias = first("hostkeyalias").lower()
    known = tokens.Known(name=name, host=host, port=port, user=user, host_key_alias=alias, jump=",".join(jump))

    def paths(key: str, exists: Callable[[str], bool] = os.path.exists) -> tuple[str, ...]:
        given = [each for each in options.get(key, []) if each.lower() != "none"]
        expanded = (tokens.path(each.strip('"'), known) for each in given)
        return tuple(dict.fromkeys(each for each in expanded if exists(each)))

    identities = paths("identityfile", lambda path: os.path.isfile(path) or os.path.isfile(f"{path}.pub"))  # noqa: PTH113
    command = first("proxycommand")
    authentications = _authentications(first("preferredauthentications"), on)
    return Route(
        name=name,
        host=host,
        port=port,
        user=user,
        alias=host != name,
        config=str(config) if config else "",
        identity_files=identities,
        certificate_files=paths("certificatefile"),
        identities_only=on("identitiesonly"),
        identity_agent=_agent(first("identityagent", "SSH_AUTH_SOCK"), known),
        proxy_jump=jump,
        proxy_command="" if command.lower() in _OFF or jump else tokens.command(command, known),
        host_key_alias=alias,
        host_key_algorithms=tuple(filter(None, first("hostkeyalgorithms").split(","))),
        user_known_hosts=_several(first("userknownhostsfile"), known),
        global_known_hosts=_several(first("globalknownhostsfile"), known),
        hash_known_hosts=on("hashknownhosts"),
        strict_host_key_checking=_strictness(first("stricthostkeychecking", "ask")),
        server_alive_interval=_seconds(first("serveraliveinterval")) or 0,
        server_alive_count=int(first("serveralivecountmax", "3")),
        address_family=first("addressfamily", "any"),
        bind_address=first("bindaddress"),
        connect_timeout=_seconds(first("connecttimeout")),
        authentications=authentications,
        password_prompts=int(first("numberofpasswordprompts", "3")),
        forward_agent=on("forwardagent"),
        session_overrides=tuple(
            f"{key}={value}" for key, value in _SESSION.items() if first(key.lower(), value).lower() != value
        ),
        needs_openssh=_needs(on, authentications, identities),
    )


def _jumps(value: str, host: str, user: str, port: int) -> tuple[str, ...]:
    """The machines to go through; none where the only one is the machine itself, as ssh has it."""
    if value.lower() in _OFF:
        return ()
    hops = tuple(each.strip() for each in value.split(","))
    if len(hops) == 1:
        its_user, its_host, its_port = split(hops[0])
        if (its_host, its_port or SSH_PORT) == (host, port) and its_user in {"", user}:
            return ()
    return hops


def _several(value: str, known: tokens.Known) -> tuple[str, ...]:
    """Paths in one line: in quotes where they have spaces, or, as the ssh program tells them, each from its root."""
    if '"' in value:
        found = [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', value)]
    else:
        found = re.split(r"\s+(?=[/~])", value)
    return tuple(tokens.path(each, known) for each in found if each.lower() not in {"", "none"})


def _agent(value: str, known: tokens.Known) -> str:
    """The socket of an agent: `SSH_AUTH_SOCK`, `$VARIABLE`, a path, or none."""
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK":
        return os.environ.get(value, "")
    if value.startswith("$") and not value.startswith("${"):
        return os.environ.get(value[1:], "")
    return tokens.path(value, known)


def _strictness(value: str) -> str:
    value = value.lower()
    return {"true": "yes", "false": "no", "off": "no"}.get(value, value)


def _seconds(value: str) -> float | None:
    """A time as ssh writes it, `90`, `1m30s`; None where there is none."""
    parts = re.findall(r"(\d+)([smhdw]?)", value.lower())
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    return float(sum(int(count) * units[unit] for count, unit in parts)) if parts else None


def _authentications(preferred: str, on: Callable[..., bool]) -> tuple[str, ...]:
    """The methods that are allowed, in order: as preferred, without those that are switched off."""
    order = preferred.split(",") if preferred else ["gssapi-with-mic", "hostbased", *_METHODS]
    switches = {
        "gssapi-with-mic": ("gssapiauthentication", "no"),
        "hostbased": ("hostbasedauthentication", "no"),
        "publickey": ("pubkeyauthentication", "yes"),
        "keyboard-interactive": ("kbdinteractiveauthentication", "yes"),
        "password": ("passwordauthentication", "yes"),
    }
    return tuple(each for each in order if each in switches and on(*switches[each]))


def _needs(on: Callable[..., bool], authentications: tuple[str, ...], identities: tuple[str, ...]) -> str:
    """Why paramiko cannot go this way."""
    from .keys import public_blob

    for option, words in _UNSERVED.items():
        if on(option):
            return f"{words} is set"
    if authentications and not set(authentications) & set(_METHODS):
        return f"it allows only {' and '.join(authentications)}"
    for file in identities:
        blob = public_blob(file)
        if blob is not None and b"sk-" in blob[:8]:
            return f"`{file}` is a security key's"
    return ""
