"""Options and arguments that several verbs have, and the answers of those that write caches."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli import console
from cachexport.cli.console import answer, check_writable, write_file
from cachexport.cli.process import interruptible
from cachexport.cli.progress import MODES, clock, open_renderer
from cachexport.errors import CachexportError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from click.shell_completion import CompletionItem

    from cachexport.api.caches import Answer
    from cachexport.content.progress import Progress
    from cachexport.oci.timestamp import Timestamp

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


def source_date_epoch() -> Timestamp | None:
    """Give the time of SOURCE_DATE_EPOCH; None where it is not set. Raises InvalidInputError."""
    from cachexport.oci.timestamp import Timestamp

    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise InvalidInputError(f"SOURCE_DATE_EPOCH is no number of seconds: {text!r}")
    return Timestamp(int(text))


def complete_spec(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete `type=` to the backends that are installed."""
    from click.shell_completion import CompletionItem

    from cachexport.contract.discovery import installed_backends

    words = [f"type={kind}" for kind in sorted(installed_backends())]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:
        return False  # too long for a path, as a reference may be


@contextmanager
def hinting_at_paths(specs: Iterable[str]) -> Iterator[None]:
    """Hint at bare paths: to BuildKit they are references in a registry.

    For a directory with a cache the hint comes at once, before Docker Hub is asked. For any other
    file or directory it comes as a note of the error, if there is one.
    """
    specs = list(specs)
    for text in specs:
        if "=" not in text and _exists(f"{text}/index.json"):
            console.hint(f"{text} is taken for a reference; a directory is type=local,src={text}")
    try:
        yield
    except CachexportError as error:
        for text in specs:
            if "=" not in text and _exists(text):
                error.add_note(f"a local cache is named as in type=local,src={text}")
        raise


_DAYS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([dw])")
_SECONDS = {"d": 24 * 3600.0, "w": 7 * 24 * 3600.0}


def span(text: str) -> float:
    """Read a span of time as seconds: `30d`, `2w`, `48h`, `1h30m`. Raises BadParameter."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        return float(days[1]) * _SECONDS[days[2]]
    from cachexport.contract.units import duration

    try:
        return duration(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no span of time, as 30d or 48h is") from None


def amount(text: str) -> int:
    """Read a number of bytes: `50GB`, `1MiB`. Raises BadParameter."""
    from cachexport.contract.units import size

    try:
        return size(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no size, as 50GB is") from None


metadata_option = click.option(
    "--metadata-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the answer to this file too.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many layers to move at once; by default what suits the target.",
)


@contextmanager
def answering(metadata_file: Path | None, *, is_one: bool) -> Iterator[Callable[[Answer], None]]:
    """Collect answers in the block, and write them to stdout and the file when it ends.

    They are an array unless there can only be one. The block may fail: what was written to the
    other targets is answered all the same.
    """
    import json

    if metadata_file is not None:
        check_writable(metadata_file)
    answers: list[Answer] = []
    try:
        yield answers.append
    finally:
        if answers:
            objects = [_object(item) for item in answers]
            text = json.dumps(objects[0] if is_one else objects, separators=(",", ":"))
            if metadata_file is not None:
                write_file(metadata_file, text)
            answer([text])


def _object(item: Answer) -> dict[str, Any]:
    named = {"name": item.name} if item.name else {}
    if item.error is None:
        return {**named, **item.response}
    return {**named, "error": str(item.error), "exit_code": item.error.exit_code}
