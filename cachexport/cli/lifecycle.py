"""`cachexport lifecycle`."""

from __future__ import annotations

import json

import click

from cachexport.cli import console
from cachexport.cli.console import answer
from cachexport.cli.options import complete_spec
from cachexport.cli.verbs import verbatim


@click.command(
    "lifecycle",
    epilog=verbatim(
        """
        Examples:
          cachexport lifecycle type=s3,bucket=caches,prefix=app/ --days 30
          cachexport lifecycle type=s3,bucket=caches --days 30 --apply
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.option(
    "--days",
    type=click.IntRange(min=1),
    metavar="N",
    required=True,
    help="After how many days a name goes that was not written.",
)
@click.option("--apply", is_flag=True, help="Set the rules; the bucket's other rules stay.")
def command(spec: str, days: int, apply: bool) -> None:
    """Make rules by which a bucket expires old caches itself.

    Names go first, those of images too, blobs only when no name can need them any longer, and so
    do the parts of uploads that were broken off. The rules are answered as JSON, as `aws s3api
    put-bucket-lifecycle-configuration` takes them. Exports with another touch_refresh than 24h
    have to be told with the SPEC.
    """
    from cachexport.api.places import lifecycle_rules

    rules = lifecycle_rules(spec, days, apply=apply)
    answer([json.dumps(rules.document, indent=2)])
    console.hint(
        f"names go after {rules.name_days} days without an export, blobs after {rules.blob_days}; "
        "builds that only import renew nothing: `cachexport touch` does"
    )
    console.hint("the rules are set" if apply else "nothing was set; --apply does it")
