"""The entry point. `--version` is answered before anything is imported; the dashboard needs no command line."""

from __future__ import annotations

import sys

WAKING = {"start", "reconnect", "open", "stop", "restart", "shell", "logs", "cp", "sync"}
"""Commands that may have to go to the target they name: its keeper comes up while they are imported."""


def main() -> None:
    """Open the dashboard where no command is given at a terminal; else run the command line."""
    if sys.argv[1:] == ["--version"]:
        from . import __version__

        sys.stdout.write(f"jupyterctl {__version__}\n")
        return
    if not sys.argv[1:] and sys.stdin.isatty() and sys.stdout.isatty():
        from .tui.app import open_dashboard

        open_dashboard()
        return
    _wake(sys.argv[1:])
    from .cli.main import run

    run()


def _wake(words: list[str]) -> None:
    """Have the keeper of the target that is named start; what is wrong with it the command finds out and says."""
    command, *rest = [word for word in words if not word.startswith("-")] or [""]
    if command in WAKING and rest:
        from contextlib import suppress

        from .errors import JupyterctlError
        from .transport import keepers

        with suppress(JupyterctlError, OSError):
            keepers.wake(rest[0].partition(":")[0])


if __name__ == "__main__":
    main()
