"""Starting servers when the person logs in: a systemd user unit on Linux, a launchd agent on macOS.

Both do what the person would: `jupyterctl start NAME`, in the folder that it was turned on in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from .. import paths
from ..errors import NotFoundError, UsageError

_PREFIX = "jupyterctl-"
_WANTED_BY = "default.target"
_KEPT = ("PATH", "JUPYTERCTL_HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "TMUX_TMPDIR")
"""Variables that decide which programs and which state are found."""
_SYSTEMD, _LAUNCHD = "systemd", "launchd"
_SECONDS = 15


class Autostart(Struct, frozen=True, kw_only=True):
    """A server that is started at login: the exact file that says so, and its text."""

    name: str
    file: Path
    text: str
    by: str
    """`systemd` or `launchd`."""

    @property
    def needs_linger(self) -> bool:
        """Whether what it starts ends with the person's last session unless they have it linger."""
        return self.by == _SYSTEMD


def describe(name: str, folder: Path) -> Autostart:
    """The file that would start a profile's server in this folder at login; UsageError where nothing reads one."""
    by = _manager()
    text = _unit(name, folder) if by == _SYSTEMD else _agent(name, folder)
    return Autostart(name=name, file=_file(name, by), text=text, by=by)


def turn_on(wanted: Autostart) -> None:
    """Write the file and let its reader know; it takes effect at the next login."""
    wanted.file.parent.mkdir(parents=True, exist_ok=True)
    paths.write(wanted.file, wanted.text.encode())
    if wanted.by == _SYSTEMD:
        link = _link(wanted.file)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(wanted.file)
        _tell("systemctl", "--user", "daemon-reload")


def turn_off(name: str) -> Path:
    """Remove the file, and say which; the server itself goes on. NotFoundError where there is none."""
    by = _manager()
    file = _file(name, by)
    if not file.exists():
        raise NotFoundError(f"`{name}` is not started at login", "`jupyterctl autostart list` shows what is")
    if by == _SYSTEMD:
        _link(file).unlink(missing_ok=True)
    file.unlink()
    _tell(*(("systemctl", "--user", "daemon-reload") if by == _SYSTEMD else ("launchctl", "remove", file.stem)))
    return file


def listed() -> list[Autostart]:
    """Everything that is started at login, by name."""
    by = _manager()
    pattern = _file("*", by)
    found = sorted(pattern.parent.glob(pattern.name))
    prefix = len(pattern.name.partition("*")[0])
    return [
        Autostart(name=file.stem[prefix:], file=file, text=file.read_text(encoding="utf-8"), by=by) for file in found
    ]


def _manager() -> str:
    if sys.platform == "darwin":
        return _LAUNCHD
    if shutil.which("systemctl"):
        return _SYSTEMD
    raise UsageError("there is no systemd on this machine", "start the server where your session begins: ~/.profile")


def _file(name: str, by: str) -> Path:
    if by == _LAUNCHD:
        return Path.home() / f"Library/LaunchAgents/io.github.{_PREFIX}{name}.plist"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / f"systemd/user/{_PREFIX}{name}.service"


def _link(unit: Path) -> Path:
    """What `systemctl --user enable` makes; it needs a running manager, which there is none of before the login."""
    return unit.parent / f"{_WANTED_BY}.wants" / unit.name


def _unit(name: str, folder: Path) -> str:
    kept = [f"Environment={_quoted(f'{key}={value}')}" for key, value in _environment().items()]
    lines = [
        "# Written by jupyterctl: jupyterctl autostart off removes it.",
        "[Unit]",
        f"Description=JupyterLab of the profile {_plain(name)}",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        f"WorkingDirectory={_plain(str(folder))}",
        *kept,
        f"ExecStart={_joined([*_jupyterctl(), 'start', name, '--no-open'])}",
        f"ExecStop={_joined([*_jupyterctl(), 'stop', name, '--yes'])}",
        "TimeoutStartSec=300",
        "",
        "[Install]",
        f"WantedBy={_WANTED_BY}",
    ]
    return "\n".join(lines) + "\n"


def _agent(name: str, folder: Path) -> str:
    import plistlib

    agent = {
        "Label": f"io.github.{_PREFIX}{name}",
        "ProgramArguments": [*_jupyterctl(), "start", name, "--no-open"],
        "WorkingDirectory": str(folder),
        "EnvironmentVariables": _environment(),
        "RunAtLoad": True,
        "AbandonProcessGroup": True,  # else launchd ends the server with the command that started it
    }
    return plistlib.dumps(agent).decode()


def _jupyterctl() -> list[str]:
    return [sys.executable, "-m", "jupyterctl"]


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if os.environ.get(name)}


def _joined(command: Sequence[str]) -> str:
    return " ".join(_quoted(word).replace("$", "$$") for word in command)


def _quoted(word: str) -> str:
    r"""A word as systemd reads it.

    >>> _quoted('/a b/100%"')
    '"/a b/100%%\\""'
    """
    escaped = _plain(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def _tell(*command: str) -> None:
    """Let a running manager know; where none runs, the next one reads the files by itself."""
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
