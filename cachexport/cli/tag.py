"""`cachexport tag`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec, progress_option, reporting
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(
    "tag",
    epilog=verbatim(
        """
        Examples:
          cachexport tag type=local,src=cache release
          cachexport tag registry.example/app:main v1 v1.4
          cachexport tag type=s3,bucket=caches,name=main v1
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@progress_option
def command(spec: str, names: Sequence[str], mode: str) -> None:
    """Give a cache further names in the place where it is.

    No layer is moved. A name that stood for another cache stands for this one then.
    """
    from cachexport.api.names import tag_cache

    with reporting(mode, [spec]) as progress:
        answers = tag_cache(spec, *names, progress=progress)
    answer(item.target for item in answers)
