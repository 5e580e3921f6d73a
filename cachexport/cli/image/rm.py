"""`cachexport image rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, in_line
from cachexport.cli.image.options import opened_store, store_option
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "rm",
    epilog=verbatim(
        """
        Examples:
          cachexport image rm example/app:1
          cachexport image rm example/app:1 example/app:latest
        """
    ),
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@store_option
def command(names: tuple[str, ...], directory: Path | None) -> None:
    """Take names of images away.

    Those that went are answered. What they stood for stays until `prune`. When one of them is not
    there, which ends with 66, none goes.
    """
    from cachexport.images.stored import find_stored

    with opened_store(directory) as store:
        found = {image.name: image for image in (find_stored(store, name) for name in names)}
        for image in found.values():
            store.images.delete(image.name, expected=image)
            answer([in_line(image.name)])
