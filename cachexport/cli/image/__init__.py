"""`cachexport image`: a group of verbs, one module each."""

from __future__ import annotations

import click

from cachexport.cli.verbs import IMAGE_VERBS, VerbGroup, verbatim


@click.group(
    "image",
    epilog=verbatim(
        """
        The store is a directory: --store, else $CACHEXPORT_STORE, else
        $XDG_DATA_HOME/cachexport/store, else ~/.local/share/cachexport/store.

        Examples:
          cachexport image pull alpine:3.20
          cachexport image append --base alpine:3.20 --layer dist:/app \\
              --entrypoint /app/run --name example/app:1
          cachexport image save example/app:1 -o app.tar
          cachexport image push example/app:1 registry.example/app:1
        """
    ),
    cls=VerbGroup,
    verbs=IMAGE_VERBS,
    subcommand_metavar="COMMAND [ARGS]...",
)
def command() -> None:
    """Save, load, push, pull, inspect and extend images.

    Images live in a store on this machine. No daemon is needed.
    """
