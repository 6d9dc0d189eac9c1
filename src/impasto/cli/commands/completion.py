"""`impasto completion`: the script that teaches a shell to complete our commands."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for SHELL.

    For bash: eval "$(impasto completion bash)", in ~/.bashrc.
    """
    completer = get_completion_class(shell)
    assert completer is not None  # the choices above are click's own
    root = context.find_root()
    click.echo(completer(root.command, {}, "impasto", "_IMPASTO_COMPLETE").source())
