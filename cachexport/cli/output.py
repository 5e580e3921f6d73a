"""What a command answers: on stdout, and in the files that people ask for."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.cli import console
from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class CannotWrite(CachexportError):
    """The answer itself cannot be written; what it is about was done."""

    exit_code = 74


def answer(lines: Iterable[str]) -> None:
    """Write lines to stdout. Raises CannotWrite, and BrokenPipeError when nobody reads on."""
    with _told("stdout"):
        for line in lines:
            console.echo(line)


@dataclass(slots=True)
class Stdout:
    """Stdout for bytes, which keeps the error that it met: a library has its own words for it."""

    failed: OSError | None = None

    def write(self, data: bytes, /) -> int:
        """Write, as a file does."""
        with self._kept():
            return sys.stdout.buffer.write(data)

    def flush(self) -> None:
        """Have all written that is still to be."""
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
        with _told("stdout"):
            raise OSError(stdout.failed.errno, stdout.failed.strerror) from error


def lost_answer() -> CannotWrite | None:
    """Give what hinders stdout from taking what was written to it; None when nothing does."""
    try:
        with _told("stdout"):
            sys.stdout.flush()
    except CannotWrite as error:
        return error
    except BrokenPipeError:
        abandon_stdout()
    return None


def line_width() -> int | None:
    """Give how many columns a line of stdout has on a terminal; None where there is no end."""
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
    with _told(str(path)):
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
def _told(place: str) -> Iterator[None]:
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
