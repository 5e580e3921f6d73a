"""The three streams: what is said on stderr, and what is answered on stdout and in files."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cachexport.errors import CachexportError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_COLOURS = {"error": "red", "internal error": "red", "warning": "yellow", "note": "cyan"}


def error(message: str, cause: BaseException | None = None, *, kind: str = "error") -> None:
    """Say what went wrong, followed by the notes that the exception gathered on its way."""
    say(kind, message)
    for text in getattr(cause, "__notes__", ()):
        say("note", text)


def hint(message: str) -> None:
    """Say something else that is worth knowing."""
    say("note", message)


def say(kind: str, message: str) -> None:
    """Write one line of this kind. A stderr that nobody reads does no harm."""
    name = click.style(f"{kind}:", fg=_COLOURS[kind], bold=True)
    with suppress(OSError):
        echo(f"cachexport: {name} {printable(message)}", err=True)


def echo(text: str, *, err: bool = False) -> None:
    """Write a line, in colour only to a terminal and only where people did not refuse it."""
    click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)


def printable(text: str) -> str:
    """Escape what would control a terminal: texts in a cache may have been made to do harm."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def in_line(text: str) -> str:
    """Give text that is printable and has no line breaks, for a cell of a table."""
    return printable(text).replace("\n", " ")


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

    # Without a handler of its own, logging would print what other packages log as our lines.
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


class CannotWrite(CachexportError):
    """The answer cannot be written; the work that it tells of is done."""

    exit_code = 74


def answer(lines: Iterable[str]) -> None:
    """Write lines to stdout. Raises CannotWrite, and BrokenPipeError when nobody reads on."""
    with _foreign_errors("stdout"):
        for line in lines:
            echo(line)


@dataclass(slots=True)
class Stdout:
    """Stdout for bytes. It keeps the OSError of a write, which a library may have translated."""

    failed: OSError | None = None

    def write(self, data: bytes, /) -> int:
        """Write, as a file does."""
        with self._kept():
            return sys.stdout.buffer.write(data)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._kept():
            sys.stdout.flush()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failed = error
            raise


@contextmanager
def streaming() -> Iterator[Stdout]:
    """Give stdout to write an archive to in the block. Raises as `answer` does."""
    stdout = Stdout()
    try:
        yield stdout
        stdout.flush()
    except (CachexportError, OSError) as error:
        if stdout.failed is None:
            raise
        with _foreign_errors("stdout"):
            raise OSError(stdout.failed.errno, stdout.failed.strerror) from error


def lost_answer() -> CannotWrite | None:
    """Flush stdout and give the error of that, if any. A broken pipe is no error here."""
    try:
        with _foreign_errors("stdout"):
            sys.stdout.flush()
    except CannotWrite as error:
        return error
    except BrokenPipeError:
        abandon_stdout()
    return None


def line_width() -> int | None:
    """Give the columns of the terminal that stdout is; None where it is none: lines have no end."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def check_writable(path: Path) -> None:
    """Raise CannotWrite when no file can be made or replaced at `path`."""
    if _is_special(path):
        return
    if path.is_dir():
        raise CannotWrite(f"cannot write {path}: it is a directory")
    if not path.parent.is_dir():
        raise CannotWrite(f"cannot write {path}: there is no directory {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CannotWrite(f"cannot write {path}: the directory {path.parent} is not writable")


def write_file(path: Path, text: str) -> None:
    """Write `text` and a newline to `path`, which changes at once or not at all.

    A device or a pipe is written to as it is. Raises CannotWrite.
    """
    with _foreign_errors(str(path)):
        if _is_special(path):
            path.write_text(text + "\n", encoding="utf-8")
        else:
            _replace(path.resolve(), text + "\n")


def abandon_stdout() -> None:
    """Let nothing more be written to stdout, not even by the interpreter as it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def _foreign_errors(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        if place == "stdout":
            abandon_stdout()
        raise CannotWrite(f"cannot write {place}: {error.strerror}") from error


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
