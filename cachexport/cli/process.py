"""How the process ends: what a failure says, the exit code, signals, and stuck threads."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import click

from cachexport.cli import console
from cachexport.cli.console import abandon_stdout, lost_answer
from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from cachexport.content.progress import Event, Progress

INTERNAL_ERROR = 1
SIGNALLED = 128
"""As shells have it: this and the number of the signal."""
BROKEN_PIPE = 141
"""As shells have it: 128 and the number of SIGPIPE."""


def guard(command: Callable[[], int], *, debug: bool = False) -> int:
    """Run `command` and give its exit code; errors become messages and their own codes.

    With `debug` a traceback comes before the message.
    """
    try:
        return command()
    except click.exceptions.Exit as done:
        return done.exit_code
    except Interrupted as error:
        console.error("interrupted")
        return SIGNALLED + error.number
    except (click.Abort, KeyboardInterrupt):
        console.error("interrupted")
        return SIGNALLED + signal.SIGINT
    except BrokenPipeError:
        # The reader of the answer has seen enough, as `head` has.
        abandon_stdout()
        return BROKEN_PIPE
    except click.ClickException as error:
        return _misused(error)
    except OSError as error:
        # What click writes itself, such as --help, goes to stdout without `answer`.
        return _failed(lost_answer() or error, debug)
    except Exception as error:
        return _failed(error, debug)


def _misused(error: click.ClickException) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    console.error(error.format_message())
    if context is not None:
        click.echo(f"Try '{context.command_path} --help'.", err=True)
    return error.exit_code


def _failed(error: Exception, debug: bool) -> int:
    if debug:
        _show_traceback(error)
    return max(_report(single, debug) for single in _singles(error))


def _singles(error: Exception) -> Iterator[Exception]:
    pending: list[Exception] = [error]
    while pending:
        current = pending.pop(0)
        if isinstance(current, ExceptionGroup):
            pending[:0] = current.exceptions
        else:
            yield current


def _report(error: Exception, debug: bool) -> int:
    if isinstance(error, CachexportError):
        console.error(str(error), error)
        return error.exit_code
    console.error(f"{type(error).__name__}: {error}", error, kind="internal error")
    if not debug:
        console.hint(
            "this is a bug; run `cachexport --debug …` for the traceback to report it with"
        )
    return INTERNAL_ERROR


def _show_traceback(error: Exception) -> None:
    import traceback

    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal sends, and what a CI system sends to a job that it cancels."""


class Interrupted(KeyboardInterrupt):
    """A signal wants the command to end; temporary files are removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.number = number


@contextmanager
def interruptible(progress: Progress) -> Iterator[Progress]:
    """Let a signal stop the threads too: each is interrupted when it next reports progress.

    Without that the process would first write the layers under way to their end, however long
    that takes. A signal that is ignored stays ignored: a shell starts background jobs with SIGINT
    ignored.
    """
    stopped: list[int] = []

    def hear(event: Event) -> None:
        if stopped and event.state != "done":
            raise Interrupted(stopped[0])
        progress(event)

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        raise Interrupted(number)

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    stack.callback(signal.signal, number, signal.signal(number, stop))
        yield hear


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM in the block call `stop`; a second one kills the process.

    A signal that is ignored stays ignored.
    """
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]

    def first(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        stop()

    with ExitStack() as stack:
        for number in numbers:
            stack.callback(signal.signal, number, signal.signal(number, first))
        yield


def leave(code: int) -> NoReturn:
    """End with this exit code now. Python would wait for threads, and some never come back.

    Nothing is cleaned up here: do that before.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)


_M_ARENA_MAX = -8
"""See mallopt(3)."""


def keep_small() -> None:
    """Let threads share what they free, where the C library has a way to say so (glibc).

    By default each thread keeps MiBs of freed blocks for itself. As only one thread runs Python at
    a time, two arenas are enough.
    """
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
