"""`cachexport verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli import console
from cachexport.cli.console import answer
from cachexport.cli.options import (
    complete_spec,
    format_option,
    names_option,
    progress_option,
    reporting,
)
from cachexport.cli.verbs import DocumentedCommand, verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.upkeep.verify import Verification


@click.command(
    "verify",
    cls=DocumentedCommand,
    document="upkeep:VerificationDocument",
    epilog=verbatim(
        """
        Faults:
          damaged        config or manifest is not what its digest says, or is none
          undescribed    the config has a layer that the manifest does not describe
          unused         the manifest describes a layer that the config does not have
          missing        a layer is not there
          wrong-size     a layer has another size
          corrupt        a layer has other content (--deep)
          wrong-diff-id  a layer's files are others (--deep)
          no-diff-id     a descriptor lacks what BuildKit needs to import it

        Fields of the JSON:
          {fields}

        Examples:
          cachexport verify type=local,src=cache
          cachexport verify registry.example/app:cache --deep
          cachexport verify type=s3,bucket=caches,name=main --format json
          cachexport verify type=s3,bucket=caches --names '*'
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.option("--deep", is_flag=True, help="Read every layer and check its content.")
@names_option
@format_option("table", "json")
@progress_option
@click.pass_context
def command(
    ctx: click.Context, spec: str, deep: bool, pattern: str | None, form: str, mode: str
) -> None:
    """Check that all of a cache is there, and is what it should be.

    Every fault is told, not only the first. The exit code is 0 without one, 65 when config or
    manifest is damaged, 70 when something is wrong with a layer.
    """
    from cachexport.api.caches import verify_cache
    from cachexport.api.names import verify_names

    with reporting(mode, [spec]) as progress:
        if pattern is None:
            found = verify_cache(spec, deep=deep, progress=progress)
        else:
            found = verify_names(spec, pattern, deep=deep, progress=progress)
    _show(found, form)
    if any(item.faults for item in found):
        console.hint("`cachexport repair` rewrites a name without what is gone or damaged")
    ctx.exit(max((item.exit_code for item in found), key=_badness, default=0))


def _badness(exit_code: int) -> int:
    """Order codes: without its config a cache is worth nothing, whatever its layers."""
    return {0: 0, 65: 2}.get(exit_code, 1)


def _show(found: Sequence[Verification], form: str) -> None:
    from cachexport.cli.views.document import json_lines
    from cachexport.cli.views.upkeep import VerificationDocument, verification_lines

    answer(
        json_lines(VerificationDocument.of(found)) if form == "json" else verification_lines(found)
    )
