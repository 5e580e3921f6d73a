"""`cachexport merge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.options import (
    answering,
    complete_spec,
    metadata_option,
    progress_option,
    reporting,
    threads_option,
)
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "merge",
    epilog=verbatim(
        """
        Examples:
          cachexport merge type=local,src=amd64 type=local,src=arm64 \\
              --to type=local,dest=both
          cachexport merge registry.example/app:pr-1 registry.example/app:pr-2 \\
              --to type=registry,ref=registry.example/app:main,merge=true
        """
    ),
)
@click.argument("sources", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete_spec)
@click.option(
    "--to",
    "targets",
    metavar="SPEC",
    shell_complete=complete_spec,
    multiple=True,
    required=True,
    help="Where to write it; may be given several times.",
)
@progress_option
@metadata_option
@threads_option
def command(
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    mode: str,
    metadata_file: Path | None,
    threads: int | None,
) -> None:
    """Write the union of caches: the newest result of each record.

    The same caches give the same bytes in any order, merged at once or one after another; even a
    single one is written as if it had been merged. Of two results of one instant the one with the
    smaller list of blobs wins. A result that needs a blob which no source has is left out, and an
    older one that is whole counts instead.

    The answer on stdout is that of `cachexport export`. A source that does not exist is a
    warning; that none does is an error.
    """
    with answering(metadata_file, is_one=len(targets) == 1) as answered:
        from cachexport.api.caches import merge_cache

        with reporting(mode, [*sources, *targets]) as progress:
            merge_cache(sources, targets, progress=progress, threads=threads, answered=answered)
