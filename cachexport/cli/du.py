"""`cachexport du`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec, format_option, progress_option, reporting
from cachexport.cli.verbs import DocumentedCommand, verbatim

_WAYS = ("name", "layer", "record")


@click.command(
    "du",
    cls=DocumentedCommand,
    document="usage:UsageDocument",
    epilog=verbatim(
        """
        Ways:
          name    each SPEC; unique is what no other SPEC has
          layer   each distinct blob, the results made of it and the SPECs with it
          record  each record with results; unique is what only these need: what
                  would be freed without them

        Fields of the JSON, which has everything:
          {fields}
          "name" and "names" count from 0 in names[], "record" in the records of
          that cache.

        Examples:
          cachexport du type=local,src=cache --by layer
          cachexport du registry.example/app:main registry.example/app:v1
          cachexport du 'type=local,src=cache,tag=pr-*'
          cachexport du type=s3,bucket=caches,name=main --by record --limit 5
        """
    ),
)
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete_spec)
@click.option(
    "--by",
    type=click.Choice(_WAYS),
    default="name",
    show_default=True,
    help="What to show, largest first.",
)
@format_option("table", "json")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=20,
    show_default=True,
    help="How many rows the table has; 0 for all.",
)
@progress_option
def command(specs: tuple[str, ...], by: str, form: str, limit: int, mode: str) -> None:
    """Show how many bytes caches need, shared and unique.

    Layers are counted, each distinct blob once. No layer is read.
    """
    from cachexport.api.caches import cache_usage
    from cachexport.cli.views.document import filled, json_lines
    from cachexport.cli.views.usage import UsageDocument, table_lines

    with reporting(mode, specs) as progress:
        usage = cache_usage(specs, progress=progress)
    answer(
        json_lines(filled(UsageDocument, usage))
        if form == "json"
        else table_lines(usage, by, limit)
    )
