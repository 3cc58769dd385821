"""What rattler, uv and pip say when they fail, in two lines that say what to do."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import JupyterctlError, TargetError, UnreachableError, UsageError
from ..paths import tilde

_FULL = re.compile(r"No space left on device|Disk quota exceeded|os error 28\b|os error 122\b")
_UNREACHABLE = re.compile(
    r"dns error|error sending request|connect error|Connection refused|NewConnectionError|Failed to fetch"
    r"|Name or service not known|Temporary failure in name resolution|Network is unreachable|timed out|TimeoutError"
)
_NO_CHANNEL = re.compile(r"could not find subdir '[^']+' in channel '([^']+)'")
_NO_PACKAGE = re.compile(
    r"No candidates were found for ([^\n]+?)(?: \*)?\.?(?:\n|$)|Because (\S+) was not found in the package registry"
    r"|No matching distribution found for (\S+)"
)
_NOISE = re.compile(r"^(?:[\s│├└─╰▶\u00d7]|\w*Error: |ERROR: |error: |Caused by: )+|^Using Python .*")


def explain(said: str, source: str, prefix: Path) -> JupyterctlError:
    """The error that the program's words come to; `source` is where it looked for packages."""
    if _FULL.search(said):
        return TargetError(
            f"the disk of `{tilde(prefix.parent)}` is full", "make room, or use --prefix on another disk"
        )
    channel = _NO_CHANNEL.search(said)
    if channel:
        return UsageError(f"there is no conda channel `{channel[1].rstrip('/')}`", "check the name or URL of --channel")
    if _UNREACHABLE.search(said):
        return UnreachableError(f"{source} cannot be reached", f"check the network; it said: {_last(said)}")
    package = _NO_PACKAGE.search(said)
    if package:
        name = next(filter(None, package.groups()))
        return UsageError(f"there is no package `{name}` in {source}", "check its name and version")
    return UsageError(
        f"the packages cannot be installed: {_reason(said)}", "change or leave out what stands in the way"
    )


def _reason(said: str) -> str:
    """All that was said, on one line of bearable length."""
    lines = (_NOISE.sub("", line).strip() for line in said.splitlines())
    text = "; ".join(line for line in lines if line)
    return text if len(text) <= 400 else f"…{text[-400:]}"  # noqa: PLR2004 - four lines of a terminal


def _last(said: str) -> str:
    return _NOISE.sub("", said.strip().splitlines()[-1]).strip()
