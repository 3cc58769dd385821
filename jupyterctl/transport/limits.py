"""What the system allows a process, raised where a link needs more than people have by default."""

from __future__ import annotations

import resource
from contextlib import suppress

FILES = 8192
"""Open files: a forwarded connection takes one in this process and, by the ssh program, three here and three there."""


def many_files() -> None:
    """Be allowed as many open files as a crowded link takes, as far as the system lets us; programs inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
