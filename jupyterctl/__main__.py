"""The entry point. `--version` is answered before anything is imported; the dashboard needs no command line."""

from __future__ import annotations

import sys


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
    from .cli.main import run

    run()


if __name__ == "__main__":
    main()
