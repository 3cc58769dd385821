"""The table of the dashboard's actions."""

from __future__ import annotations

import click

from jupyterctl.cli.main import cli
from jupyterctl.tui.actions import ACTIONS


def test_every_command_shown_exists():
    for action in (action for actions in ACTIONS.values() for action in actions if action.command):
        words = action.command.split()[1:]
        command: click.Command | None = cli
        while isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, action.command
        flags = {flag for param in command.params for flag in param.opts}
        assert {word for word in words if word.startswith("-")} <= flags, action.command


def test_no_key_means_two_things_in_a_mode():
    for mode, actions in ACTIONS.items():
        keys = [action.key for action in (*actions, *(ACTIONS["app"] if mode != "app" else ()))]
        assert len(keys) == len(set(keys)), mode


def test_the_bar_has_five_to_seven_keys():
    for mode, actions in ACTIONS.items():
        if mode != "app":
            assert 5 <= sum(action.bar for action in (*actions, *ACTIONS["app"])) <= 7, mode
