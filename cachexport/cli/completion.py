"""`cachexport completion`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer
from cachexport.cli.verbs import verbatim


@click.command(
    "completion",
    epilog=verbatim(
        """
        To install it for all shells that you open from now on:
          bash (4.4 or newer)
            cachexport completion bash > \\
                ~/.local/share/bash-completion/completions/cachexport
          zsh (~/.zfunc in fpath before compinit runs)
            cachexport completion zsh > ~/.zfunc/_cachexport
          fish
            cachexport completion fish > \\
                ~/.config/fish/completions/cachexport.fish

        Examples:
          eval "$(cachexport completion bash)"
          cachexport completion fish | source
        """
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell."""
    from click.shell_completion import get_completion_class

    from cachexport.cli.app import COMPLETION_VARIABLE, PROGRAM, app

    kind = get_completion_class(shell)
    assert kind is not None
    answer([kind(app, {}, PROGRAM, COMPLETION_VARIABLE).source()])
