"""`cachexport assert`; `assert` itself cannot name a module."""

from __future__ import annotations

import math

import click

from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec, format_option, hinting_at_paths
from cachexport.cli.verbs import DocumentedCommand, verbatim

FAILED = 70


def _percent(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise click.BadParameter(f"{text!r} is no percentage from 0% to 100%")
    return percent


@click.command(
    "assert",
    cls=DocumentedCommand,
    document="upkeep:GateDocument",
    epilog=verbatim(
        """
        Fields of the JSON:
          {fields}
          "figure" and "limit" are numbers of records or results, or percent.

        Examples:
          cachexport assert type=local,src=cache --min-results 100
          cachexport assert type=local,src=cache --max-shrink 30% \\
              --vs registry.example/app:cache
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.option("--min-records", type=click.IntRange(min=0), metavar="N", help="Records at least.")
@click.option(
    "--min-results",
    type=click.IntRange(min=0),
    metavar="N",
    help="Records with a result at least.",
)
@click.option(
    "--max-shrink",
    type=_percent,
    metavar="PERCENT",
    help="How many records, and results, may be fewer than in --vs, as in 30%.",
)
@click.option("--vs", metavar="SPEC", shell_complete=complete_spec, help="What to compare with.")
@format_option("table", "json")
@click.pass_context
def command(
    ctx: click.Context,
    spec: str,
    min_records: int | None,
    min_results: int | None,
    max_shrink: float | None,
    vs: str | None,
    form: str,
) -> None:
    """Check that a cache is as large as it should be: a CI gate.

    Every check is told with its figure. The exit code is 0 when all hold, 70 when one does not.
    If there is no cache to compare with, as before the first build, nothing has shrunk; that there
    is none to check is an error.
    """
    if min_records is min_results is max_shrink is None:
        raise click.UsageError(
            "nothing to check; give --min-records, --min-results or --max-shrink"
        )
    if (max_shrink is None) != (vs is None):
        raise click.UsageError("--max-shrink and --vs go together")
    from cachexport.api.caches import check_cache
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.upkeep import GateDocument, all_hold, gate_lines
    from cachexport.upkeep.gate import Demands

    demands = Demands(min_records=min_records, min_results=min_results, max_shrink=max_shrink)
    with hinting_at_paths([spec, vs] if vs else [spec]):
        checks = check_cache(spec, demands, vs)
    answer(json_lines(GateDocument.of(checks)) if form == "json" else gate_lines(checks))
    if not all_hold(checks):
        ctx.exit(FAILED)
