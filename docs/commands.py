"""Writes the page of all commands from their own `--help`:  python docs/commands.py

With `--check` nothing is written; the exit code says whether the page is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click

from jupyterctl.cli.main import cli

PAGE = Path(__file__).with_name("pages") / "commands.md"
WIDTH = 100
INTRODUCTION = """\
# Commands

Each command as its own `--help` tells it. What shows something takes `--json`: data goes to stdout, words for people to
stderr. What the exit codes of `run` mean stands [on the page about runs](runs.md#exit-codes).
"""


def page() -> str:
    """The whole page."""
    parts = [f"{'#' * depth} {path}\n\n```text\n{text}\n```\n" for depth, path, text in commands(cli, "jupyterctl")]
    return "\n".join([INTRODUCTION, *parts])


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[int, str, str]]:
    """(depth of its heading, name in full, help) of a command and of all below it."""
    ctx = click.Context(
        command, parent, name, terminal_width=WIDTH, max_content_width=WIDTH, **command.context_settings
    )
    path = ctx.command_path
    yield max(2, path.count(" ") + 1), path, command.get_help(ctx).rstrip()
    if isinstance(command, click.Group):
        for below in filter(None, map(partial(command.get_command, ctx), command.list_commands(ctx))):
            yield from commands(below, below.name or "", ctx)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
