"""`cachexport prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, line_width
from cachexport.cli.options import (
    amount,
    complete_spec,
    format_option,
    progress_option,
    reporting,
    span,
)
from cachexport.cli.verbs import DocumentedCommand, verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(
    "prune",
    cls=DocumentedCommand,
    document="names:PruningDocument",
    epilog=verbatim(
        """
        Rules, of which a name that goes breaks one:
          --keep-last N   the N newest stay; alone it means that others go
          --max-age SPAN  what was not written for longer goes
          --max-bytes S   the oldest go until what all others need fits
          --images        images that are older than --max-age go too
          --keep-name P   names that match stay, whatever the other rules say
        Without a rule all names stay.

        What is safe:
          A blob that a name needs is never deleted, and neither is one that was
          written or touched within the grace: an export may be about to name it.
          The grace has to be longer than touch_refresh of the exports (24h) and
          the longest export together. What is no cache stays, images too without
          --images. Names that cannot be understood stop the command before
          anything is deleted.

        Fields of the JSON:
          {fields}

        Examples:
          cachexport prune type=s3,bucket=caches,prefix=app/
          cachexport prune type=local,src=cache --keep-last 20 --yes
          cachexport prune registry.example/app --max-age 30d --keep-name main
          cachexport prune type=s3,bucket=caches --max-age 30d --images
        """
    ),
)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...", shell_complete=complete_spec)
@click.option("--keep-last", type=click.IntRange(min=0), metavar="N", help="Newest to keep.")
@click.option("--keep-name", "keep_names", multiple=True, metavar="PATTERN", help="Names to keep.")
@click.option("--max-age", type=span, metavar="SPAN", help="Age of the oldest, as in 30d.")
@click.option("--max-bytes", type=amount, metavar="SIZE", help="Bytes to keep, as in 50GB.")
@click.option("--images", is_flag=True, help="Let images go by --max-age, too.")
@click.option(
    "--grace",
    type=span,
    metavar="SPAN",
    default="48h",
    show_default=True,
    help="How long a blob that no name needs stays.",
)
@click.option("--dry-run", is_flag=True, help="Delete nothing, the default.")
@click.option("--yes", is_flag=True, help="Do it.")
@format_option("table", "json")
@progress_option
@click.pass_context
def command(
    ctx: click.Context,
    specs: Sequence[str],
    keep_last: int | None,
    keep_names: tuple[str, ...],
    max_age: float | None,
    max_bytes: int | None,
    images: bool,
    grace: float,
    dry_run: bool,
    yes: bool,
    form: str,
    mode: str,
) -> None:
    """Remove old names, and the blobs that no name needs.

    Of each SPEC the whole directory, bucket prefix or repository is meant, whatever name it has.
    Nothing is deleted without --yes: it is told what would be. The exit code is 0 unless a name
    could not be removed.
    """
    from cachexport.api.places import prune_caches
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.names import PruningDocument, pruning_lines
    from cachexport.upkeep.prune import Plan
    from cachexport.upkeep.retention import Retention

    if dry_run and yes:
        raise click.UsageError("--dry-run and --yes contradict each other")
    retention = Retention(
        keep_last=keep_last,
        keep_names=keep_names,
        max_age=max_age,
        max_bytes=max_bytes,
        images=images,
    )
    plan = Plan(retention=retention, grace=grace, dry_run=not yes)
    with reporting(mode, specs) as progress:
        found = prune_caches(specs, plan, progress=progress)
    width = line_width()
    answer(json_lines(PruningDocument.of(found)) if form == "json" else pruning_lines(found, width))
    ctx.exit(max(item.exit_code for item in found))
