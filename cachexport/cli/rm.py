"""`cachexport rm`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer, in_line
from cachexport.cli.options import complete_spec, hinting_at_paths
from cachexport.cli.verbs import verbatim


@click.command(
    "rm",
    epilog=verbatim(
        """
        Examples:
          cachexport rm type=local,src=cache,tag=old
          cachexport rm 'type=s3,bucket=caches,name=pr-7-*'
          cachexport rm registry.example/app:pr-7
          cachexport rm --force 'type=s3,bucket=caches,name=app/steps/*'
        """
    ),
)
@click.argument("spec", shell_complete=complete_spec)
@click.option("--force", is_flag=True, help="Also what is no cache or cannot be understood.")
@click.option("--dry-run", is_flag=True, help="Only say which names would go.")
def command(spec: str, force: bool, dry_run: bool) -> None:
    """Take a name away, or all that match its pattern.

    The names that went are answered. Their blobs stay until `prune`; a registry frees them by
    itself. A registry deletes a manifest with all of its tags: a tag that shares its manifest
    with one that is to stay cannot be removed, which is an error. With --force the images go too
    that a gateway keeps beside the caches of a bucket. The exit code is 66 when there is no such
    name.
    """
    from cachexport.api.names import remove_names

    with hinting_at_paths([spec]):
        remove_names(
            spec, force=force, dry_run=dry_run, removed=lambda name: answer([in_line(name)])
        )
