"""The command `cachexport` itself."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import click

import cachexport
from cachexport.cli.console import logging_to_stderr
from cachexport.cli.process import guard
from cachexport.cli.verbs import VERBS, VerbGroup, verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "cachexport"
MISUSED = 2
COMPLETION_VARIABLE = "_CACHEXPORT_COMPLETE"
"""Set by the completion scripts when a shell asks; the name is click's convention."""


@click.group(
    PROGRAM,
    epilog=verbatim(
        """
        Examples:
          cachexport inspect type=local,src=cache
          cachexport export --cache-from type=local,src=cache \\
              --cache-to type=local,dest=copy
        """
    ),
    cls=VerbGroup,
    verbs=VERBS,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(cachexport.__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Move, inspect and write BuildKit's build caches.

    A cache is named by a SPEC: the value that `buildctl` and `docker buildx` take for
    --cache-from and --cache-to.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(MISUSED)
    ctx.with_resource(logging_to_stderr())


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and give the exit code."""
    words = list(sys.argv[1:] if args is None else args)
    _open_missing_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A step's description may have letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    return guard(lambda: _run(words), debug="--debug" in words)


def _open_missing_streams() -> None:
    """Give the process the streams that it was started without (`>&-`): Python has None for them.

    An answer that cannot be written is an error, so what is written to such a stdout fails as it
    does where a stream is closed. What is said on stderr does not matter as much.
    """
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _run(words: list[str]) -> int:
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    # click's own main would turn a broken pipe into exit code 1 and hide where it broke.
    with app.make_context(PROGRAM, words) as ctx:
        app.invoke(ctx)
    return 0
