"""`cachexport explain`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec, format_option, hinting_at_paths
from cachexport.cli.verbs import DocumentedCommand, verbatim


@click.command(
    "explain",
    cls=DocumentedCommand,
    document="explanation:ExplanationsDocument",
    column=15,
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
          {fields}
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
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.explanation import ExplanationsDocument, text_lines

    with hinting_at_paths([spec]):
        found = explain_record(spec, digest)
    answer(json_lines(ExplanationsDocument.of(found)) if form == "json" else text_lines(found))
