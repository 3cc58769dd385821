"""`jupyterctl completion`: the shell's completion script."""

from __future__ import annotations

import click

from . import output

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash:  eval "$(jupyterctl completion bash)"                       in ~/.bashrc
    zsh:   eval "$(jupyterctl completion zsh)"                        in ~/.zshrc, after compinit
    fish:  jupyterctl completion fish > ~/.config/fish/completions/jupyterctl.fish
    """  # noqa: D301 - the backspace tells click to leave the lines as they are
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    if maker is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    output.line(maker(ctx.find_root().command, {}, "jupyterctl", "_JUPYTERCTL_COMPLETE").source())
