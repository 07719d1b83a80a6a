"""`contentq completion`: the script that completes commands, options and values in a shell."""

from __future__ import annotations

import click

from contentq.cli.output import print_as_it_is

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print the script that completes commands in a shell.

    \b
    bash (4.4 or later), in ~/.bashrc:   source <(contentq completion bash)
    zsh, in ~/.zshrc after compinit:     source <(contentq completion zsh)
    fish:   contentq completion fish > ~/.config/fish/completions/contentq.fish
    """
    from click.shell_completion import get_completion_class

    name = ctx.find_root().info_name or "contentq"
    script = get_completion_class(shell)
    assert script is not None
    print_as_it_is(script(ctx.find_root().command, {}, name, f"_{name.upper()}_COMPLETE").source())
