"""`cachexport image save`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cachexport.cli.console import streaming
from cachexport.cli.image.options import opened_store, platform_option, store_option
from cachexport.cli.options import progress_option, reporting
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.images.output import Output
    from cachexport.oci.descriptor import Platform


@click.command(
    "save",
    epilog=verbatim(
        """
        OUTPUT is a file, for an archive that `docker load` takes, or a
        specification, spelled as BuildKit does; docs/outputs.md has them all:
          type=docker,dest=FILE   such an archive
          type=oci,dest=FILE      an OCI image layout; tar=false for a directory
          type=registry,name=REF  pushed to a registry
          type=store,name=NAME    another name in the store
        Attributes of each: compression=zstd,force-compression=true,
        oci-mediatypes=false, annotation.KEY=VALUE.

        Examples:
          cachexport image save example/app:1 -o app.tar
          cachexport image save example/app:1 | docker load
          cachexport image save example/app:1 -o type=oci,dest=app,tar=false
        """
    ),
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-o", "--output", metavar="OUTPUT", default="-", help="Where to; stdout without it.")
@platform_option
@store_option
@progress_option
def command(
    names: tuple[str, ...],
    output: str,
    platform: Platform | None,
    directory: Path | None,
    mode: str,
) -> None:
    """Write an image of the store as an archive, or elsewhere.

    Several NAMEs are names of one image, all of which the archive tells. The first digits of an
    image's digest are a NAME too. The same image gives the same bytes.
    """
    from cachexport.api.images import output_image
    from cachexport.images.output import parse_output
    from cachexport.images.stored import open_same

    with (
        streaming() as stdout,
        reporting(mode, ()) as progress,
        opened_store(directory) as store,
    ):
        image, known = open_same(store, names)
        parsed = parse_output(output, known)
        check_stdout(parsed)
        with image:
            output_image(
                parsed,
                image,
                platform=platform,
                store=store,
                stdout=stdout,
                progress=progress,
            )


def check_stdout(output: Output) -> None:
    """Raise UsageError where an archive would be written to a terminal."""
    from cachexport.images.output import to_stdout

    if to_stdout(output) and sys.stdout.isatty():
        raise click.UsageError("an archive is not written to a terminal; use -o FILE")
