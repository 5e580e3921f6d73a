"""`cachexport run`."""

from __future__ import annotations

import os
import shlex
import signal
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from cachexport.cli import console
from cachexport.cli.console import answer
from cachexport.cli.options import amount, complete_spec, hinting_at_paths
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen
    from types import FrameType

    from cachexport.gateway.run.plan import RunPlan
    from cachexport.gateway.run.run import Summary

_FORMS = ("image-manifest", "oci-index", "docker-list")
_SIGNALLED = 128
_ANY_PORT = ":0"


@click.command(
    "run",
    context_settings={"ignore_unknown_options": True},
    epilog=verbatim(
        """
        Commands:
          docker buildx build|bake, buildctl build, buildah build, podman build,
          kaniko's executor: they are given the caches in their own options.
          docker build: it writes no caches itself, so it makes an inline cache
          and a further tag, and the image is pushed to the gateway afterwards.

        The login is of this run. The command finds it, beside those that you have,
        in a temporary DOCKER_CONFIG or REGISTRY_AUTH_FILE. kaniko gets none, nor
        does any with --no-login: the cache then has a name that nobody guesses.

        The gateway listens on loopback: a builder in a container of its own has to
        share the network of the host (buildx: --driver-opt network=host).

        Examples:
          cachexport run --cache-from type=s3,bucket=caches,name=app \\
              --cache-to type=s3,bucket=caches,name=app,mode=max \\
              -- docker buildx build --tag app .
          cachexport run --cache-to type=local,dest=cache --print -- docker build .
        """
    ),
)
@click.option(
    "--cache-from",
    "sources",
    multiple=True,
    metavar="SPEC",
    shell_complete=complete_spec,
    help="A cache to read.",
)
@click.option(
    "--cache-to",
    "targets",
    multiple=True,
    metavar="SPEC",
    shell_complete=complete_spec,
    help="A cache to write.",
)
@click.option(
    "--form",
    type=click.Choice(_FORMS),
    metavar="FORM",
    help="The form to serve caches in; by default theirs, and oci-index for docker build.",
)
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the gateway listens; port 0 is any that is free.",
)
@click.option(
    "--max-config-bytes",
    type=amount,
    default="1MiB",
    show_default=True,
    metavar="SIZE",
    help="Compact caches with a larger config or manifest.",
)
@click.option(
    "--login/--no-login",
    default=True,
    show_default=True,
    help="Let only the command in: it is handed a login that nobody else has.",
)
@click.option("--print", "only_print", is_flag=True, help="Show the command instead.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    form: str | None,
    listen: str,
    max_config_bytes: int,
    login: bool,
    only_print: bool,
    words: tuple[str, ...],
) -> None:
    """Run a build tool with caches in any place.

    A gateway serves the caches while the command runs, as `cachexport serve` does, and the command
    is told of them. Its output is its own; the exit code is the command's, or as in a shell 127
    when it is not there and 126 when it cannot be executed. What was read and written is told on
    stderr when it has ended.
    """
    from cachexport.cli.process import leave
    from cachexport.gateway.run.plan import plan
    from cachexport.gateway.run.run import run
    from cachexport.model.envelope.manifest import Form

    wanted = Form(form) if form else None
    with hinting_at_paths([*sources, *targets]):
        prepared = plan(words, sources, targets, form=wanted, limit=max_config_bytes, login=login)
        if only_print:
            with closing(prepared):
                answer(_lines(prepared, listen))
            return
        with _signals_for_the_command() as began:
            ran = run(prepared, env=os.environ, listen=listen, began=began)
    _tell(prepared, ran.summary)
    code = _SIGNALLED - ran.exit_code if ran.exit_code < 0 else ran.exit_code
    if ran.is_stuck:
        leave(code)
    ctx.exit(code)


@contextmanager
def _signals_for_the_command() -> Iterator[Callable[[Popen[bytes]], None]]:
    """Leave signals to the command, which decides what ends; give what is told of its process.

    A terminal sends it an interrupt too, so that is not passed on. What comes before a process is
    known is passed on then. What is ignored, as under nohup, the command ignores too.
    """
    processes: list[Popen[bytes]] = []
    early: list[int] = []

    def passed_on(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            return
        running = [process for process in processes if process.poll() is None]
        for process in running:
            process.send_signal(number)
        if not running:
            early.append(number)

    def began(process: Popen[bytes]) -> None:
        processes.append(process)
        for number in early:
            process.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, passed_on)) for number in heard]
    try:
        yield began
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _lines(prepared: RunPlan, listen: str) -> Iterator[str]:
    from cachexport.gateway.run.configs import as_script

    host = f"{listen.removesuffix(_ANY_PORT)}:PORT" if listen.endswith(_ANY_PORT) else listen
    adapted = prepared.adapted(host)
    if prepared.tool.reads_registries_conf:
        yield from as_script(host, os.environ)
    assignments = [f"{name}={shlex.quote(value)}" for name, value in adapted.env.items()]
    yield " ".join([*assignments, shlex.join(adapted.words)])
    for words in adapted.after:
        yield shlex.join(words)


def _tell(prepared: RunPlan, summary: Summary) -> None:
    from cachexport.cli.views.gateway import problems, summary_lines

    for line in summary_lines(prepared, summary):
        console.say("note", line)
    for problem in problems(summary):
        console.say("warning", problem)
