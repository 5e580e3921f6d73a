"""Lines on stderr: errors, warnings and notes, each with the program's name in front."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

_COLOURS = {"error": "red", "internal error": "red", "warning": "yellow", "note": "cyan"}


def error(message: str, cause: BaseException | None = None, *, kind: str = "error") -> None:
    """Say what went wrong, followed by the notes that the exception gathered on its way."""
    say(kind, message)
    for text in getattr(cause, "__notes__", ()):
        say("note", text)


def hint(message: str) -> None:
    """Say what else there is to know."""
    say("note", message)


def say(kind: str, message: str) -> None:
    """Write one line of this kind. What is not there to read it does no harm."""
    name = click.style(f"{kind}:", fg=_COLOURS[kind], bold=True)
    with suppress(OSError):
        echo(f"cachexport: {name} {printable(message)}", err=True)


def echo(text: str, *, err: bool = False) -> None:
    """Write a line, in colour only to a terminal and only where people did not refuse it."""
    click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)


def printable(text: str) -> str:
    """Give text that does nothing to a terminal, whatever a cache has put into it."""
    if text.isprintable():
        return text
    return "".join(_visible(letter) for letter in text)


def in_line(text: str) -> str:
    """Give text that is printable and has no line breaks, for a cell of a table."""
    return printable(text).replace("\n", " ")


def _visible(letter: str) -> str:
    if letter.isprintable() or letter == "\n":
        return letter
    return letter.encode("unicode_escape").decode()


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Write what the library logs to stderr: warnings, and information as notes."""
    with logging_to(say):
        yield


@contextmanager
def logging_to(write: Callable[[str, str], None], *, notes: bool = True) -> Iterator[None]:
    """Give what the library logs to `write(kind, message)` instead of anywhere else.

    Without `notes` only warnings and worse.
    """
    import logging

    # What other packages log would else be written as if it were ours to say.
    quiet = logging.NullHandler()
    logging.getLogger().addHandler(quiet)
    logger = logging.getLogger("cachexport")
    before = logger.handlers, logger.level, logger.propagate
    handler = _handler(write)
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO if notes else logging.WARNING)
    try:
        yield
    finally:
        logger.handlers, level, logger.propagate = before
        logger.setLevel(level)
        logging.getLogger().removeHandler(quiet)


def _handler(write: Callable[[str, str], None]) -> logging.Handler:
    import logging

    class Writer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kind = "warning" if record.levelno >= logging.WARNING else "note"
            write(kind, record.getMessage())

    return Writer()
