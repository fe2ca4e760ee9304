"""hubctl completion: what a shell needs to complete commands, options and file names."""

import click
from click.shell_completion import get_completion_class

from hubpartner.cli.session import say_whole

_SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_HUBCTL_COMPLETE"
"""The variable by which click's own completion asks the program; it follows from the name."""


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    For bash, add to ~/.bashrc: eval "$(hubctl completion bash)"
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter("click knows no completion for this shell")
    program = context.find_root().command
    say_whole(found(program, {}, "hubctl", _VARIABLE).source())
