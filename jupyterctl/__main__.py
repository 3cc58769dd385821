"""The entry point. `--version` is answered before anything is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--version"]:
        from . import __version__

        sys.stdout.write(f"jupyterctl {__version__}\n")
        return
    from .cli.main import run

    run()


if __name__ == "__main__":
    main()
