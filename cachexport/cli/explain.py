"""`cachexport explain`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec, format_option, hinting_at_paths
from cachexport.cli.verbs import verbatim


@click.command(
    "explain",
    epilog=verbatim(
        """
        Why an import would not use a record:
          dead         neither it nor anything that depends on it has a result
          oversize     config or manifest is larger than BuildKit imports
          missing      a layer is not there
          wrong-size   a layer has another size
          undescribed  the manifest does not describe a layer
          no-diff-id   a descriptor lacks what BuildKit needs to import it

        Fields of the JSON:
          records[]      record, digest, usable, obstacles[], inputs[][], path[],
                         ancestors, results[], children[], descendants,
                         results_below
          obstacles[]    kind, blob (null or a digest), text
          inputs[][]     record, digest, selector
          path[]         record, digest, selector
          children[]     record, digest, input, selector
          results[]      created_at, counts, layers[] (bottom first)
          layers[]       blob, size, media_type, description, obstacle (null or
                         a kind)
          "record" is the number that `cachexport inspect` shows; "counts" tells
          the newest result, which alone is imported.

        Examples:
          cachexport explain type=local,src=cache --digest 060e17997f93
          cachexport explain registry.example/app:cache --digest 060e --format json
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.option(
    "--digest",
    required=True,
    metavar="D",
    help="The record's digest, or the first of its hex digits.",
)
@format_option("text", "json")
def command(spec: str, digest: str, form: str) -> None:
    """Show one record: what leads to it, what it gives, what hinders.

    A digest that several records have, each on other inputs, is explained once for each.
    """
    from cachexport.api.caches import explain_record
    from cachexport.cli.views.explanation import document_lines, text_lines

    with hinting_at_paths([spec]):
        found = explain_record(spec, digest)
    answer(document_lines(found) if form == "json" else text_lines(found))
