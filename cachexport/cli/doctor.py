"""`cachexport doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec, format_option, hinting_at_paths
from cachexport.cli.process import interruptible
from cachexport.cli.verbs import DocumentedCommand, verbatim

if TYPE_CHECKING:
    from cachexport.doctor.engine import Examination


@click.command(
    "doctor",
    cls=DocumentedCommand,
    document="backends:DiagnosisDocument",
    epilog=verbatim(
        """
        Outcomes:
          ok       works
          note     works, with something to know
          warning  works for now or in part; the arrow says what to change
          failed   an export or an import would fail
          skipped  could not be tried; the finding says why

        Fields of the JSON:
          {fields}

        Examples:
          cachexport doctor type=local,dest=cache
          cachexport doctor type=registry,ref=registry.example/app:cache
          cachexport doctor registry.example/app:cache --read-only
          cachexport doctor registry.example/app:cache --format json
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@format_option("table", "json")
@click.option("--read-only", is_flag=True, help="Leave out the checks that write something.")
@click.pass_context
def command(ctx: click.Context, spec: str, form: str, read_only: bool) -> None:
    """Try what a place for caches can do, and say what to change.

    SPEC is what --cache-to or --cache-from is to get. What is written has a name and bytes of
    its own, and is removed again as far as that is allowed; what stays is named. A cache that is
    there is only read. The exit code is 0 when nothing failed, else that of the worst failure.
    """
    from cachexport.doctor.engine import examination

    with (
        interruptible(lambda event: None),
        hinting_at_paths([spec]),
        examination(spec, read_only=read_only) as prepared,
    ):
        (_show_table if form == "table" else _show_document)(prepared)
    ctx.exit(prepared.diagnosis.exit_code)


def _show_table(prepared: Examination) -> None:
    """Write each row as soon as it is known: a check of a slow registry takes its time."""
    import shutil

    from cachexport.cli.views.backends import DiagnosisTable

    names = [check.name for check in prepared.checks]
    table = DiagnosisTable(names, shutil.get_terminal_size().columns)
    answer(table.head(prepared.target))
    for result in prepared.run():
        answer(table.rows(result))
    answer(table.foot(prepared.diagnosis))


def _show_document(prepared: Examination) -> None:
    from cachexport.cli.views.backends import DiagnosisDocument
    from cachexport.cli.views.document import json_lines

    for _ in prepared.run():
        pass
    answer(json_lines(DiagnosisDocument.of(prepared.diagnosis)))
