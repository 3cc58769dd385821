"""Whether a browser can be opened here, and opening it; a terminal's own would take the terminal over."""

from __future__ import annotations

import os
import sys

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def show(address: str) -> bool:
    """Open an address in a window of the person's browser; False where there is none."""
    import webbrowser

    return _graphical() and webbrowser.open(address)


def _graphical() -> bool:
    return sys.platform == "darwin" or any(os.environ.get(name) for name in SCREENS)
