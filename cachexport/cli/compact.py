"""`cachexport compact`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer
from cachexport.cli.options import amount, complete_spec, format_option, progress_option, reporting
from cachexport.cli.verbs import DocumentedCommand, verbatim


@click.command(
    "compact",
    cls=DocumentedCommand,
    document="upkeep:CompactionDocument",
    column=15,
    epilog=verbatim(
        """
        What is dropped, in this order:
          covered  records that another one stands in for, older results of a
                   record, results whose layers are gone
          dead     records from which no result can be reached
          old      the oldest branches, as few as make the rest fit; a record is
                   as old as the newest result of it and of all that depends on
                   it, so nothing is kept without what it depends on

        Fields of the JSON:
          {fields}
          "size" is the bytes of all blobs, "config" and "manifest" are bytes.

        Examples:
          cachexport compact type=local,src=cache --dry-run
          cachexport compact registry.example/app:cache
          cachexport compact type=s3,bucket=caches --max-config-bytes 4MiB
          cachexport compact type=local,src=cache --max-layers 500 \\
              --to type=local,dest=small
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.option(
    "--to",
    metavar="SPEC",
    shell_complete=complete_spec,
    help="Write it there; by default SPEC itself is replaced.",
)
@click.option(
    "--max-config-bytes",
    type=amount,
    metavar="SIZE",
    help="Bytes of config and manifest; by default what BuildKit imports from there: 1MiB, and "
    "any number from a bucket.",
)
@click.option(
    "--max-layers", type=click.IntRange(min=1), metavar="N", help="How many layers; any by default."
)
@click.option("--dry-run", is_flag=True, help="Write nothing; tell what would be dropped.")
@format_option("table", "json")
@progress_option
def command(
    spec: str,
    to: str | None,
    max_config_bytes: int | None,
    max_layers: int | None,
    dry_run: bool,
    form: str,
    mode: str,
) -> None:
    """Make a cache small enough to import: drop its oldest parts.

    What others write meanwhile is not lost: then it begins again. The blobs of what was dropped
    stay where they are until `cachexport prune`. If nothing fits, nothing is written and the exit
    code is 70.
    """
    from cachexport.api.caches import compact_cache
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.upkeep import CompactionDocument, compaction_lines

    with reporting(mode, [spec, to] if to else [spec]) as progress:
        found = compact_cache(
            spec,
            to,
            max_config_bytes=max_config_bytes,
            max_layers=max_layers,
            dry_run=dry_run,
            progress=progress,
        )
    answer(
        json_lines(CompactionDocument.of(found, dry_run))
        if form == "json"
        else compaction_lines(found, dry_run)
    )
