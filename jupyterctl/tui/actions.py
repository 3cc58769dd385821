"""Every action of the dashboard: its name, its key, what it does, and the command that does the same.

A binding's id is `MODE.NAME`, as `servers.start`; `keys.toml` gives another key to an id. The key bar, the help, the
palette and the page of documentation all read this table.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding


class Action(NamedTuple):
    """One thing a person can do."""

    name: str
    key: str
    label: str
    help: str
    command: str = ""
    """`{name}` is what the cursor is on; empty where no command does the same."""
    bar: bool = True
    """Whether the key bar has it; the help always does."""


MODES = {"servers": "1", "runs": "2", "logs": "4", "doctor": "5"}
"""Mode to its key."""

ACTIONS: dict[str, tuple[Action, ...]] = {
    "app": (
        Action("help", "question_mark", "help", "All keys of this screen"),
        Action("palette", "colon", "palette", "Find an action by its name", bar=False),
        Action("command", "at", "command", "The command for the last action, and for all on this row", bar=False),
        Action("quit", "q", "quit", "Leave; servers and runs go on"),
    ),
    "servers": (
        Action("detail", "enter", "detail", "Settings and health, layer by layer",
               "jupyterctl status {name}", bar=False),
        Action("start", "s", "start", "Start the server, or find the one that runs", "jupyterctl start {name}"),
        Action("open", "o", "open", "Open it in the browser", "jupyterctl open {name}"),
        Action("stop", "x", "stop", "Stop the server; asks, naming busy kernels", "jupyterctl stop {name}"),
        Action("reconnect", "r", "reconnect", "Bring the way to it back, its kernels intact",
               "jupyterctl reconnect {name}"),
        Action("restart", "R", "restart", "Restart it on the same port with the same token",
               "jupyterctl restart {name}", bar=False),
        Action("log", "l", "log", "Follow its log", "jupyterctl logs {name} -f"),
        Action("shell", "t", "shell", "A shell there, its environment activated", "jupyterctl shell {name}", bar=False),
        Action("new", "n", "new", "Make a profile", "jupyterctl profile new NAME", bar=False),
        Action("edit", "e", "edit", "Change the profile", "jupyterctl profile edit {name}", bar=False),
        Action("check", "d", "doctor", "Look at it step by step", "jupyterctl doctor {name}", bar=False),
        Action("filter", "slash", "filter", "Show only rows with these words", bar=False),
    ),
    "runs": (
        Action("detail", "enter", "detail", "Its cells, live, and what they put out",
               "jupyterctl runs show {name}", bar=False),
        Action("new", "n", "new", "Run a notebook", "jupyterctl run NOTEBOOK"),
        Action("cancel", "x", "cancel", "End the run, its notebook saved; asks", "jupyterctl runs cancel {name}"),
        Action("again", "R", "run again", "A new run like this one", "jupyterctl runs rerun {name} --detach"),
        Action("log", "l", "log", "Follow what its cells print", "jupyterctl runs logs {name} -f"),
        Action("open", "o", "open", "Open the result as a page in the browser", "jupyterctl runs report {name} --open"),
        Action("failing", "f", "failing cell", "Go to the cell in which it failed",
               "jupyterctl runs show {name}", bar=False),
        Action("remove", "delete", "remove", "Forget the run and what is kept of it; asks",
               "jupyterctl runs remove {name}", bar=False),
        Action("sort", "S", "sort", "Sort by the next column", bar=False),
        Action("filter", "slash", "filter", "Show only rows with these words", bar=False),
    ),
    "logs": (
        Action("source", "p", "pick", "Pick a server or a run"),
        Action("filter", "slash", "search", "Find a text"),
        Action("next", "n", "next", "The next place where it stands", bar=False),
        Action("previous", "N", "previous", "The place before", bar=False),
        Action("wrap", "w", "wrap", "Wrap long lines, or cut them"),
        Action("follow", "end", "follow", "Go to the end and stay there"),
        Action("save", "s", "save", "Save the whole log to a file", "jupyterctl logs {name} > {name}.log"),
    ),
    "doctor": (
        Action("detail", "enter", "detail", "All of it, with its fix", bar=False),
        Action("again", "r", "look again", "Look at everything again", "jupyterctl doctor"),
        Action("copy", "c", "copy fix", "Copy the fix of this check"),
        Action("problems", "p", "problems", "Show only what is not well"),
        Action("filter", "slash", "filter", "Show only rows with these words", bar=False),
    ),
}  # fmt: skip


def known() -> set[str]:
    """The ids of all actions and modes."""
    return {f"{mode}.{action.name}" for mode, actions in ACTIONS.items() for action in actions} | {
        f"mode.{mode}" for mode in MODES
    }


def find(mode: str, name: str) -> Action:
    """One action of a mode."""
    return next(action for action in ACTIONS[mode] if action.name == name)


def bindings(mode: str) -> list[Binding]:
    """A mode's keys."""
    return [
        Binding(action.key, f"do('{action.name}')", action.label, id=f"{mode}.{action.name}")
        for action in ACTIONS[mode]
        if action.key != "enter"  # the table's own
    ]


def command(action: Action, name: str) -> str:
    """The command line for an action on a name.

    >>> command(find("servers", "start"), "lab")
    'jupyterctl start lab'
    """
    import shlex

    return action.command.replace("{name}", shlex.quote(name))
