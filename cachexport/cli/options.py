"""Options that several verbs have, and what stands around each verb that reports progress."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli import console
from cachexport.cli.interrupts import interruptible
from cachexport.cli.progress import MODES, clock, open_renderer
from cachexport.cli.specs import hinting_at_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cachexport.content.progress import Progress

progress_option = click.option(
    "--progress",
    "mode",
    type=click.Choice(MODES),
    metavar="MODE",
    default="auto",
    help="How to show progress on stderr: auto (tty on a terminal, else plain), plain, tty, "
    "rawjson or quiet.",
)

names_option = click.option(
    "--names",
    "pattern",
    metavar="PATTERN",
    help="Only names that match, with * and ? as in a shell.",
)


def format_option(*choices: str) -> Callable[[Any], Any]:
    """Give the option that says how to show what was found; by default the first way."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        help="How to show it.",
    )


@contextmanager
def reporting(mode: str, specs: Iterable[str]) -> Iterator[Progress]:
    """Show progress and what is logged while the block runs; a signal ends it cleanly.

    `mode` is what `--progress` says; `specs` are those of the command, for hints.
    """
    renderer = open_renderer(mode, clock())
    with (
        hinting_at_paths(specs),
        renderer,
        console.logging_to(renderer.log, notes=mode != "quiet"),
        interruptible(renderer) as progress,
    ):
        yield progress
