"""Colours: two themes of our own beside Textual's; the one chosen is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App
from textual.theme import Theme

from . import preferences

if TYPE_CHECKING:
    from .app import Dashboard

ORANGE = "#f37726"
"""Jupyter's own."""

DARK = Theme(
    name="jupyter-dark",
    primary=ORANGE,
    secondary="#8ab4f8",
    accent="#ffa657",
    success="#7ee787",
    warning="#f2cc60",
    error="#ff7b72",
    foreground="#d7dde5",
    background="#12161c",
    surface="#171c24",
    panel="#1e2530",
    dark=True,
    variables={
        "quiet": "#8b949e",
        "scrollbar": "#3a4454",
        "scrollbar-hover": "#4b586c",
        "scrollbar-active": ORANGE,
        "scrollbar-background": "#171c24",
        "scrollbar-background-hover": "#171c24",
        "scrollbar-background-active": "#171c24",
        "scrollbar-corner-color": "#171c24",
    },
)
LIGHT = Theme(
    name="jupyter-light",
    primary="#d2601a",
    secondary="#1f5fbf",
    accent="#b3500f",
    success="#1a7f37",
    warning="#8a6100",
    error="#c62828",
    foreground="#24292f",
    background="#fbfaf8",
    surface="#f3f1ed",
    panel="#e8e4dd",
    dark=False,
    variables={
        "quiet": "#6a737d",
        "scrollbar": "#c9c2b6",
        "scrollbar-hover": "#b3ab9d",
        "scrollbar-active": ORANGE,
        "scrollbar-background": "#f3f1ed",
        "scrollbar-background-hover": "#f3f1ed",
        "scrollbar-background-active": "#f3f1ed",
        "scrollbar-corner-color": "#f3f1ed",
    },
)


def register(app: Dashboard) -> None:
    """Make our themes known, and take the one that was chosen."""
    app.register_theme(DARK)
    app.register_theme(LIGHT)
    wanted = app.preferences.theme
    app.set_reactive(App.theme, wanted if wanted in app.available_themes else preferences.THEME)
    app.stylesheet.set_variables(app.get_css_variables())  # before anything is parsed, so that it is parsed once


def remember(app: Dashboard) -> None:
    """From now on a theme that is chosen is kept for the next time."""

    def keep(theme: Theme) -> None:
        if theme.name != app.preferences.theme:
            preferences.keep_theme(theme.name)

    app.theme_changed_signal.subscribe(app, keep)
