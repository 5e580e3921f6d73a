"""`cachexport image prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, in_line
from cachexport.cli.image.options import opened_store, store_option
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.images.store import Collected


@click.command(
    "prune",
    epilog=verbatim(
        """
        What goes:
          images that are called moby-dangling@ and their digest, and with --all
          every other name; leases that have expired; what no name and no lease
          that lives needs then; what was begun a day ago and not gone on with

        Examples:
          cachexport image prune
          cachexport image prune --all --dry-run
        """
    ),
)
@click.option("--all", "all_names", is_flag=True, help="Also images with names.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@store_option
def command(all_names: bool, dry_run: bool, directory: Path | None) -> None:
    """Remove images without a name, and what nothing needs.

    What a running build uses stays: a lease holds it.
    """
    from cachexport.images.stored import prune_store

    with opened_store(directory) as store:
        answer(_lines(prune_store(store, all_names=all_names, dry_run=dry_run), dry_run=dry_run))


def _lines(pruned: Collected, *, dry_run: bool) -> Iterator[str]:
    from cachexport.cli.views.text import counted
    from cachexport.contract.units import readable

    yield from map(in_line, pruned.images)
    freed = f"{counted(len(pruned.content), 'blob')}, {readable(pruned.size)}"
    yield f"{'would free' if dry_run else 'freed'} {freed}"
    removed = (
        (len(pruned.leases), "expired lease"),
        (len(pruned.ingests), "left ingest"),
        (pruned.snapshots, "unpacked snapshot"),
    )
    for count, noun in removed:
        if count:
            yield f"{'would remove' if dry_run else 'removed'} {counted(count, noun)}"
