"""`cachexport ls`."""

from __future__ import annotations

import time

import click

from cachexport.cli.console import answer, line_width
from cachexport.cli.options import complete_spec, format_option, hinting_at_paths, names_option
from cachexport.cli.verbs import DocumentedCommand, verbatim


@click.command(
    "ls",
    cls=DocumentedCommand,
    document="names:ListingDocument",
    column=10,
    epilog=verbatim(
        """
        Columns:
          AGE    since the name was last written: in a directory its manifest,
                 which names may share; in a registry, which does not tell it,
                 since the newest result was made
          SIZE   all that the name needs; names may share it, see `du`
          KIND   the form of a cache; `image` is an image, beside a cache of the
                 same name in a bucket; `none` is neither, `damaged` cannot be
                 read, and FAULT says why

        Fields of the JSON:
          {fields}

        Examples:
          cachexport ls type=local,src=cache
          cachexport ls type=s3,bucket=caches --names 'pr-*'
          cachexport ls registry.example/app
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@names_option
@format_option("table", "json")
def command(spec: str, pattern: str, form: str) -> None:
    """List the names in a directory, a bucket or a repository.

    Whatever name the SPEC has, all are listed, the newest first.
    """
    from cachexport.api.names import list_names
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.names import ListingDocument, listing_lines

    with hinting_at_paths([spec]):
        found = list_names(spec, pattern or "*")
    width = line_width()
    answer(
        json_lines(ListingDocument.of(found))
        if form == "json"
        else listing_lines(found, time.time(), width)
    )
