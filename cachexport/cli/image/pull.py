"""`cachexport image pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, in_line
from cachexport.cli.image.options import (
    opened_store,
    platform_option,
    store_option,
    this_machine,
)
from cachexport.cli.options import progress_option, reporting
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.oci.descriptor import Platform


@click.command(
    "pull",
    epilog=verbatim(
        """
        Examples:
          cachexport image pull alpine:3.20
          cachexport image pull registry.example/app:1 --platform linux/arm64
          cachexport image pull type=local,src=layout,tag=1 --name example/app:1
          cachexport image pull type=registry,ref=host/app,registry.insecure=true
        """
    ),
)
@click.argument("reference", metavar="REF")
@platform_option
@click.option("--all-platforms", is_flag=True, help="All of an index.")
@click.option("--name", metavar="NAME", help="Its name in the store, instead of REF.")
@store_option
@progress_option
def command(
    reference: str,
    platform: Platform | None,
    all_platforms: bool,
    name: str | None,
    directory: Path | None,
    mode: str,
) -> None:
    """Take an image of a registry into the store.

    Its name and digest are answered. Of an index it is the image for this machine unless
    something else is said. What the store has already is not fetched; everything else is checked
    while it comes. REF may be a specification, such as those of build caches.
    """
    from cachexport.api.images import pull_image
    from cachexport.images.names import parse_name

    if platform and all_platforms:
        raise click.UsageError("--platform and --all-platforms exclude each other")
    wanted = None if all_platforms else platform or this_machine()
    named = str(parse_name(name)) if name else None
    with reporting(mode, [reference]) as progress, opened_store(directory) as store:
        image = pull_image(reference, store, name=named, platform=wanted, progress=progress)
    answer([in_line(f"{image.name} {image.target.digest}")])
