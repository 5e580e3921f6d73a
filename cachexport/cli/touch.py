"""`cachexport touch`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec, hinting_at_paths
from cachexport.cli.verbs import verbatim
from cachexport.cli.views.text import counted


@click.command(
    "touch",
    epilog=verbatim(
        """
        Examples:
          cachexport touch type=s3,bucket=caches,name=main
          cachexport touch 'type=s3,bucket=caches,name=release-*'
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
def command(spec: str) -> None:
    """Make all that a cache needs as young as if it was just written.

    Expiry by age, as in a bucket with lifecycle rules, spares it then. Builds that only import
    touch nothing. A pattern for the name touches several caches.
    """
    from cachexport.api.names import touch_cache

    with hinting_at_paths([spec]):
        count = touch_cache(spec)
    answer([f"touched {counted(count, 'blob')}"])
