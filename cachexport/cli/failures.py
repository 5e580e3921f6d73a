"""What a failed command says, and the exit code that it ends with."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click

from cachexport.cli import console
from cachexport.cli.interrupts import Interrupted
from cachexport.cli.output import abandon_stdout, lost_answer
from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        # Whoever reads our answer has seen enough; there is nothing to tell and nobody to.
        abandon_stdout()
        return BROKEN_PIPE
    except click.ClickException as error:
        return _misused(error)
    except OSError as error:
        # Such as of --help: what click itself writes tells of no place.
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
