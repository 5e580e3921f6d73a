"""What commands that write caches answer, and the options that they share."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli.output import answer, check_writable, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.api.caches import (
        Answer,
    )

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
    """Collect answers in the block and tell them when it ends, on stdout and in the file.

    They are told as an array unless only one can be. What was written was written, whatever
    became of the other targets.
    """
    if metadata_file is not None:
        check_writable(metadata_file)
    answers: list[Answer] = []
    try:
        yield answers.append
    finally:
        if answers:
            _tell(_encode(answers, is_one), metadata_file)


def _tell(text: str, metadata_file: Path | None) -> None:
    if metadata_file is not None:
        write_file(metadata_file, text)
    answer([text])


def _encode(answers: Sequence[Answer], is_one: bool) -> str:
    objects = [_object(item) for item in answers]
    return json.dumps(objects[0] if is_one else objects, separators=(",", ":"))


def _object(item: Answer) -> dict[str, Any]:
    named = {"name": item.name} if item.name else {}
    if item.error is None:
        return {**named, **item.response}
    return {**named, "error": str(item.error), "exit_code": item.error.exit_code}
