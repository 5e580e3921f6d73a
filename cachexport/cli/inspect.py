"""`cachexport inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, line_width
from cachexport.cli.options import complete_spec, format_option, hinting_at_paths
from cachexport.cli.verbs import DocumentedCommand, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.insight.inspect import Inspection


@click.command(
    "inspect",
    cls=DocumentedCommand,
    document="caches:CachesDocument",
    epilog=verbatim(
        """
        Formats:
          table  a summary, then the records with the largest layers
          tree   one line a record, in the order of the build
          dot    the graph for Graphviz; records with results are filled
          json   everything; sizes in bytes, digests in full

        Fields of the JSON:
          {fields}
          "record", "layer", "chain" and "parent" count from 0 in records and
          layers; a parent of -1 is none.

        Examples:
          cachexport inspect type=local,src=cache
          cachexport inspect type=local,src=image.tar --format json
          cachexport inspect type=local,src=cache --format dot | dot -Tsvg
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@format_option("table", "json", "tree", "dot")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=20,
    show_default=True,
    help="How many records the table shows; 0 for all.",
)
def command(spec: str, form: str, limit: int) -> None:
    """Show what is in a cache.

    An image with inline caches has several, one for each platform.
    """
    with hinting_at_paths([spec]):
        inspections = _inspect(spec)
    answer(_view(inspections, form, limit))


def _inspect(spec: str) -> list[Inspection]:
    from contextlib import ExitStack

    from cachexport.contract.opening import open_sources
    from cachexport.errors import NotFound
    from cachexport.insight.inspect import inspect_cache

    with ExitStack() as stack:
        ends = open_sources(stack, [spec])
        inspections = [inspect_cache(cache) for _, source in ends for cache in source.load()]
    if not inspections:
        raise NotFound(f"{spec}: the image has no inline cache")
    return inspections


def _view(inspections: Sequence[Inspection], form: str, limit: int) -> Iterable[str]:
    if form == "json":
        from cachexport.cli.views.caches import CachesDocument
        from cachexport.cli.views.document import json_lines

        return json_lines(CachesDocument.of(inspections))
    if form == "tree":
        from cachexport.cli.views.graphs import tree_lines

        return tree_lines(inspections)
    if form == "dot":
        from cachexport.cli.views.graphs import dot_lines

        return dot_lines(inspections)
    from cachexport.cli.views.caches import table_lines

    width = line_width()
    return table_lines(inspections, limit, width)
