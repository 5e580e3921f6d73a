"""`cachexport image ls`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, line_width
from cachexport.cli.image.options import opened_store, store_option
from cachexport.cli.options import format_option
from cachexport.cli.verbs import DocumentedCommand, verbatim

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "ls",
    cls=DocumentedCommand,
    document="images:StoredDocument",
    column=10,
    epilog=verbatim(
        """
        Columns:
          AGE   since the name was last given
          SIZE  all that it needs; names may share it

        Fields of the JSON:
          {fields}
          Times are seconds since 1970.

        Examples:
          cachexport image ls
          cachexport image ls --store /var/lib/builds --format json
        """
    ),
)
@format_option("table", "json")
@store_option
def command(form: str, directory: Path | None) -> None:
    """List the images of the store."""
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.images import StoredDocument, image_lines
    from cachexport.images.stored import list_stored

    with opened_store(directory) as store:
        found = list_stored(store)
    width = line_width()
    answer(
        json_lines(StoredDocument.of(found))
        if form == "json"
        else image_lines(found, time.time(), width)
    )
