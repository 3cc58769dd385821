"""The command tree: each command is a module of this package, imported when it is used.

Errors of the core come out as two lines and the exit code of their class; `--debug` shows the traceback.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING

import click

from .. import __version__
from ..errors import JupyterctlError
from . import diagnostics

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..transport.ssh.way import Question

COMMANDS = {
    "start": ("server:start", "Start a target's JupyterLab, or find it, and open it."),
    "reconnect": ("reconnect:reconnect", "Bring the way to a remote lab back, kernels intact."),
    "open": ("server:open_", "Open a running lab in the browser, or print its address."),
    "stop": ("server:stop", "End a server and its kernels."),
    "restart": ("server:restart", "Stop and start a server: same port, same token."),
    "status": ("status:status", "Show every server, its link and its health."),
    "logs": ("logs:logs", "Show what a server has written."),
    "shell": ("server:shell", "Open a shell at a target, its environment active."),
    "cp": ("copy:cp", "Copy a file or folder to a target, or back."),
    "sync": ("copy:sync", "Mirror a folder to a target's, or back."),
    "autostart": ("autostart:autostart", "Start servers at login."),
    "run": ("run:run", "Run a notebook headless, with live progress."),
    "runs": ("runs:runs", "List runs; show, follow, cancel, fetch, repeat and remove them."),
    "inspect": ("inspect:inspect", "Show a notebook's parameters, kernel and imports."),
    "profile": ("profile:profile", "List, show, make, edit, remove and check profiles."),
    "env": ("env:env", "Find, show and create Python environments on this machine."),
    "doctor": ("doctor:doctor", "Look at a target step by step, each problem with its fix."),
    "completion": ("completion:completion", "Print the shell's completion script."),
}
"""Command to (module:object, the line that `--help` shows without importing it)."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and help, and imports a command's module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command asked for."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        from ..transport import asking

        asking.answer_with(_answer)
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f".{module}", __package__), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above says so
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names from the table; click would import every command for its help."""
        from click.shell_completion import CompletionItem

        del ctx
        return [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for a typo."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"there is no command `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, message="jupyterctl %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool) -> None:
    """One dashboard and one command line over every place you run Jupyter; without a command, the dashboard."""
    ctx.meta["jupyterctl.debug"] = debug
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _answer(question: Question) -> str | None:
    from .person import answer

    return answer(question)


_FOLDERS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR}
"""What is wrong with a folder or a disk, not with us."""


def _refused(error: OSError) -> int:
    """The exit code where nobody reads any more, or a folder or disk takes nothing; else it is a fault of ours."""
    if isinstance(error, BrokenPipeError):
        from . import output

        output.discard()
        return 141
    if error.errno not in _FOLDERS or not error.filename:
        raise error
    diagnostics.error(f"`{error.filename}`: {error.strerror}", "check the folder's permissions and its disk")
    return 3


def _typed() -> str:
    """The command as far as it was understood: click does not tell whose option was wrong."""
    command: click.Command | None = cli
    path = ["jupyterctl"]
    for word in sys.argv[1:]:
        below = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if below is not None:
            command = below
            path.append(word)
    return " ".join(path)


def run() -> None:
    """Run the command line and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    debug = "--debug" in sys.argv or bool(os.environ.get("JUPYTERCTL_DEBUG"))
    try:
        code = cli.main(prog_name="jupyterctl", standalone_mode=False)
    except JupyterctlError as error:
        if debug:
            raise
        diagnostics.error(error.message, error.hint)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        diagnostics.error(
            error.format_message()[:1].lower() + error.format_message()[1:],
            f"see `{context.command_path if context else _typed()} --help`",
        )
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        diagnostics.error("interrupted")
        sys.exit(130)
    except OSError as error:
        if debug and not isinstance(error, BrokenPipeError):
            raise
        sys.exit(_refused(error))
    sys.exit(code if isinstance(code, int) else 0)
