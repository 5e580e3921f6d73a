"""`cachexport diff`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer, line_width
from cachexport.cli.options import complete_spec, format_option, hinting_at_paths
from cachexport.cli.verbs import DocumentedCommand, verbatim

DIFFERENT = 70


@click.command(
    "diff",
    cls=DocumentedCommand,
    document="difference:DifferenceDocument",
    epilog=verbatim(
        """
        Reasons of a first change:
          digest    something else is done at the same place
          input     the same is done, but on something else
          selector  the same is done, but on another part of the same
          new       nothing that went had its place
          gone      nothing that came has its place
        Inputs count from 0.

        Marks:
          +  only B has it    -  only A has it    ~  both, with other results

        Fields of the JSON:
          {fields}
          "before" and "after" of a first change are digests of the records that
          stand at the input, or selectors. Sizes are in bytes.

        Examples:
          cachexport diff type=local,src=yesterday type=local,src=today
          cachexport diff registry.example/app:main registry.example/app:pr-7
          cachexport diff type=local,src=a type=local,src=b --exit-code
        """
    ),
)
@click.argument("a", shell_complete=complete_spec)
@click.argument("b", shell_complete=complete_spec)
@format_option("table", "json")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=20,
    show_default=True,
    help="How many records of each kind the table shows; 0 for all.",
)
@click.option("--exit-code", is_flag=True, help=f"End with {DIFFERENT} if there is a difference.")
@click.pass_context
def command(ctx: click.Context, a: str, b: str, form: str, limit: int, exit_code: bool) -> None:
    """Show what one cache has and another has not, and why.

    A build that misses has other records from some point on; the first of them are told with what
    is different: their own digest, an input or its selector. A digest cannot be turned back into
    a line of a Dockerfile; where layers tell which step made them, that is shown as a hint.
    """
    from cachexport.api.caches import diff_caches
    from cachexport.cli.views.difference import DifferenceDocument, table_lines
    from cachexport.cli.views.document import filled, json_lines

    with hinting_at_paths([a, b]):
        found = diff_caches(a, b)
    width = line_width()
    answer(
        json_lines(filled(DifferenceDocument, found))
        if form == "json"
        else table_lines(found, limit, width)
    )
    if exit_code and not found.is_empty:
        ctx.exit(DIFFERENT)
