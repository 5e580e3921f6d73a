"""`cachexport image push`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, in_line
from cachexport.cli.image.options import opened_store, platform_option, store_option
from cachexport.cli.options import progress_option, reporting
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.oci.descriptor import Platform


@click.command(
    "push",
    epilog=verbatim(
        """
        Examples:
          cachexport image push registry.example/app:1
          cachexport image push example/app:1 registry.example/app:1
          cachexport image push example/app:1 \\
              type=registry,ref=host:5000/app:1,registry.insecure=true
        """
    ),
)
@click.argument("name", metavar="NAME")
@click.argument("reference", metavar="[REF]", required=False)
@platform_option
@click.option("--force", is_flag=True, help="Replace a build cache.")
@store_option
@progress_option
def command(
    name: str,
    reference: str | None,
    platform: Platform | None,
    force: bool,
    directory: Path | None,
    mode: str,
) -> None:
    """Copy an image of the store to a registry.

    Without REF its name says where. The reference and the digest are answered. What the registry
    has is not sent, nor what it has in the repository that the image was pulled from. A tag that
    holds a build cache is not replaced without --force. REF may be a specification, such as those
    of build caches.
    """
    from cachexport.api.images import push_image
    from cachexport.contract.spec import Spec, parse_spec
    from cachexport.images.stored import find_stored, open_stored

    with reporting(mode, ()) as progress, opened_store(directory) as store:
        found = find_stored(store, name)
        to = parse_spec(reference or found.name)
        if force:
            to = Spec(to.type, {**to.attrs, "force": "true"})
        with open_stored(store, found) as image:
            pushed = push_image(image, to, platform=platform, progress=progress)
    answer([in_line(f"{to.attrs.get('ref', to)} {pushed.digest}")])
