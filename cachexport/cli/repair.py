"""`cachexport repair`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer
from cachexport.cli.options import (
    complete_spec,
    format_option,
    names_option,
    progress_option,
    reporting,
)
from cachexport.cli.verbs import DocumentedCommand, verbatim
from cachexport.errors import WireFormat

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(
    "repair",
    cls=DocumentedCommand,
    document="upkeep:RepairDocument",
    column=10,
    epilog=verbatim(
        """
        Outcomes:
          sound     nothing was wrong
          repaired  the name stands for what is whole
          removed   nothing under the name could be used
          damaged   config or manifest cannot be read; the name is as it was:
                    give --from a copy, or --drop-damaged

        Fields of the JSON:
          {fields}

        Examples:
          cachexport repair type=s3,bucket=caches,name=main
          cachexport repair type=s3,bucket=caches --names '*' --dry-run
          cachexport repair type=local,src=cache --deep --from app.example/app:cache
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.option(
    "--from",
    "origins",
    multiple=True,
    metavar="SPEC",
    help="Where blobs may be had from; may be given several times.",
)
@click.option("--deep", is_flag=True, help="Read every layer and check its content.")
@names_option
@click.option("--drop-damaged", is_flag=True, help="Remove names that cannot be read at all.")
@click.option("--dry-run", is_flag=True, help="Change nothing, and say what would be done.")
@format_option("table", "json")
@progress_option
@click.pass_context
def command(
    ctx: click.Context,
    spec: str,
    origins: Sequence[str],
    deep: bool,
    pattern: str | None,
    drop_damaged: bool,
    dry_run: bool,
    form: str,
    mode: str,
) -> None:
    """Rewrite names without what is gone or damaged.

    Blobs that --from has are restored. Results whose blobs are gone or wrong are left out, so that
    builds work again; with --deep a blob that is not what it should be is deleted, where that can
    be done, so that no build takes it for good. What somebody else writes meanwhile is not
    overwritten. The exit code is 65 when a name is left damaged, else 0.
    """
    from cachexport.api.names import repair_names
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.upkeep import RepairDocument, repair_lines

    with reporting(mode, [spec, *origins]) as progress:
        found = repair_names(
            spec,
            pattern,
            origins=origins,
            deep=deep,
            drop_damaged=drop_damaged,
            dry_run=dry_run,
            progress=progress,
        )
    answer(
        json_lines(RepairDocument.of(found))
        if form == "json"
        else repair_lines(found, dry_run=dry_run)
    )
    ctx.exit(WireFormat.exit_code if any(item.outcome == "damaged" for item in found) else 0)
