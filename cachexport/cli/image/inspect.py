"""`cachexport image inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, line_width
from cachexport.cli.image.options import opened_store, store_option
from cachexport.cli.options import format_option
from cachexport.cli.verbs import DocumentedCommand, verbatim

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "inspect",
    cls=DocumentedCommand,
    document="images:ImagesDocument",
    epilog=verbatim(
        """
        Fields of the JSON:
          {fields}

        Examples:
          cachexport image inspect example/app:1
          cachexport image inspect app.tar --format json
          cachexport image inspect type=local,src=layout,tag=1
        """
    ),
)
@click.argument("image", metavar="IMAGE")
@format_option("table", "json")
@store_option
def command(image: str, form: str, directory: Path | None) -> None:
    """Show what is in an image.

    IMAGE is a name in the store, an archive, a reference in a registry or a specification; they
    are tried in that order. Layers are not read. An index has several images, one for each
    platform.
    """
    from cachexport.api.images import open_any
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.images import ImagesDocument, inspection_lines
    from cachexport.images.image import inspect_images

    with opened_store(directory) as store:
        opened, name = open_any(store, image)
        with opened:
            found = inspect_images(opened.provider, opened.descriptor)
    answer(
        json_lines(ImagesDocument.of(found, name))
        if form == "json"
        else inspection_lines(found, name, line_width())
    )
