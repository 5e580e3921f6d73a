"""`cachexport export`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from cachexport.cli.options import (
    answering,
    complete_spec,
    metadata_option,
    names_option,
    progress_option,
    reporting,
    threads_option,
)
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cachexport.api.caches import Answer


@click.command(
    "export",
    epilog=verbatim(
        """
        Examples:
          cachexport export --cache-from type=local,src=cache \\
              --cache-to type=local,dest=copy
          cachexport export --cache-from type=local,src=amd64 \\
              --cache-from type=local,src=arm64 --cache-to type=local,dest=both
          cachexport export --cache-from type=local,src=cache --progress plain \\
              --cache-to type=local,dest=min,mode=min,image-manifest=false
          cachexport export --all-names --cache-from type=local,src=caches \\
              --cache-to type=s3,bucket=caches,prefix=app/
        """
    ),
)
@click.option(
    "--cache-from",
    "sources",
    metavar="SPEC",
    shell_complete=complete_spec,
    multiple=True,
    required=True,
    help="A cache to read; may be given several times.",
)
@click.option(
    "--cache-to",
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
@click.option(
    "--all-names",
    is_flag=True,
    help="Copy every cache of the one source's place to the one target's, as it is named.",
)
@names_option
def command(
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    all_names: bool,
    pattern: str | None,
    mode: str,
    metadata_file: Path | None,
    threads: int | None,
) -> None:
    """Read caches and write them, merged if several, to every target.

    A single cache is copied byte for byte unless the target's attributes ask for a change. The
    answer on stdout is JSON: the object that BuildKit answers with, or an array of them, one for
    each --cache-to, when there are several. A target that failed answers {"error": …,
    "exit_code": …}; with ignore-error=true it does not fail the command.

    A source that does not exist is a warning; that none does is an error. One whose name is a
    pattern, such as pr-*, means all that match, and with newest=3 the newest three of them.
    """
    if (all_names or pattern) and (len(sources), len(targets)) != (1, 1):
        raise click.UsageError("--all-names takes one --cache-from and one --cache-to")
    is_one = len(targets) == 1 and not (all_names or pattern)
    with answering(metadata_file, is_one=is_one) as answered:
        from cachexport.api.caches import copy_cache
        from cachexport.api.names import copy_names

        copy: Callable[..., list[Answer]]
        with reporting(mode, [*sources, *targets]) as progress:
            if all_names or pattern:
                copy = partial(copy_names, sources[0], targets[0], pattern or "*")
            else:
                copy = partial(copy_cache, sources, targets)
            copy(progress=progress, threads=threads, answered=answered)
