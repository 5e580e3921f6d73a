"""`cachexport serve`."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli import console
from cachexport.cli.console import abandon_stdout
from cachexport.cli.lines import Lines
from cachexport.cli.options import amount, complete_spec, hinting_at_paths, span
from cachexport.cli.process import stopping
from cachexport.cli.verbs import verbatim
from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.gateway.composing import Serving
    from cachexport.gateway.http.exchange import Exchange
    from cachexport.gateway.shelf.shelf import Shelf

    Say = Callable[[str, str], None]

_PATH = click.Path(path_type=Path, dir_okay=False, exists=True)
_LOOPBACK = ("127.", "[::1]:")


@click.command(
    "serve",
    epilog=verbatim(
        """
        References and names:
          HOST:PORT/team/app:main   the name team/app/main
          HOST:PORT/cache:main      the name main
          A cache that is pushed becomes a name of the place, as BuildKit's own
          exporters write it, and a name that they wrote is served as a manifest.
          Images are stored and served as they are.

        Tokens:
          The file has one a line, with read-only behind those that may not push.
          Clients show one as the password of any user (docker login) or as a
          bearer. Without --token-file everybody who can connect may do all.

        Fields of the log, a JSON object a line on stderr:
          time, method, path, status, client, agent, kind, repository, item,
          digest, size, origin, received, sent, seconds, error
          What is no HTTP has no method. What is about no request has time,
          level (warning, note) and message.

        Beside /v2/ there are /healthz and /metrics (Prometheus), for everybody.

        Examples:
          cachexport serve --store type=local,dest=caches --listen 127.0.0.1:5000
          cachexport serve --store type=s3,bucket=caches,prefix=app/ --merge
          cachexport serve --store type=s3,bucket=caches,prefix=pr/ \\
              --upstream type=s3,bucket=caches,prefix=main/ --allow-push 'team/*'
        """
    ),
)
@click.option(
    "--store",
    required=True,
    metavar="SPEC",
    shell_complete=complete_spec,
    help="The place to serve.",
)
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; port 0 is any that is free.",
)
@click.option(
    "--upstream",
    multiple=True,
    metavar="SPEC",
    shell_complete=complete_spec,
    help="A place to read what is not in the store; the first that has it counts.",
)
@click.option("--merge", is_flag=True, help="Merge what is pushed with what has the name.")
@click.option("--verify", is_flag=True, help="Check blobs on their way out, too.")
@click.option("--read-only", is_flag=True, help="Let nobody push.")
@click.option(
    "--allow-push",
    multiple=True,
    metavar="PATTERN",
    help="Repositories, or repository:tag, that may be pushed to (* takes slashes too); "
    "without it all.",
)
@click.option("--allow-delete", is_flag=True, help="Let those who may push take names away.")
@click.option("--token-file", type=_PATH, metavar="FILE", help="The tokens that are let in.")
@click.option("--tls-cert", type=_PATH, metavar="FILE", help="Serve HTTPS with this certificate.")
@click.option("--tls-key", type=_PATH, metavar="FILE", help="Its key, if it is in another file.")
@click.option(
    "--form",
    multiple=True,
    metavar="[PATTERN=]FORM",
    help="The form to serve caches in: image-manifest, oci-index or docker-list; by default "
    "the one that they have.",
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
    "--max-uploads",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="N",
    help="Uploads under way at a time.",
)
@click.option(
    "--upload-expiry",
    type=span,
    default="10m",
    show_default=True,
    metavar="SPAN",
    help="How long an upload may rest.",
)
@click.option(
    "--spool",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIRECTORY",
    help="Where blobs lie that the store cannot take yet; by default a temporary one.",
)
@click.option(
    "--spool-bytes",
    type=amount,
    default="10GiB",
    show_default=True,
    metavar="SIZE",
    help="How much may lie there at a time.",
)
@click.option(
    "--log",
    type=click.Choice(["json", "plain", "none"]),
    default="plain",
    show_default=True,
    help="How to tell of requests.",
)
def command(log: str, **given: Any) -> None:
    """Serve a place for caches to any build tool, as a registry.

    Whatever speaks to a registry (docker, buildx, buildctl, buildah, kaniko, skopeo) can then
    read and write any place of cachexport's. It says where it listens on stdout, and runs until
    a SIGTERM or SIGINT, after which it finishes what is under way; the exit code is then 0. A
    second one ends it at once.
    """
    from cachexport.cli.process import keep_small, leave
    from cachexport.gateway.composing import Options, serving
    from cachexport.gateway.http.threads import working

    keep_small()
    options = Options(**given)
    if options.read_only and options.allow_push:
        raise click.UsageError("--read-only and --allow-push contradict each other")
    if options.tls_key and not options.tls_cert:
        raise click.UsageError("--tls-key wants the certificate too: --tls-cert")
    say = _say_json if log == "json" else console.say
    with (
        console.logging_to(say),
        hinting_at_paths([str(spec) for spec in (options.store, *options.upstream)]),
        closing(Lines()) as lines,
        serving(options, _telling(log, lines)) as gateway,
    ):
        _warn(gateway, say)
        # A listing of many names takes a while, and what is wrong there is no reason not to begin.
        threading.Thread(target=_tell_unserved, args=(gateway.shelf, say), daemon=True).start()
        place = f"serving {gateway.shelf.place.title} at {gateway.url}"
        with stopping(gateway.server.drain):
            gateway.server.run(lambda: _tell_place(place))
    if lines.are_stuck or working(gateway.gateway.threads.name):
        leave(0)


def _tell_place(text: str) -> None:
    try:
        click.echo(text)
    except OSError:  # nobody wants to know, and clients are served all the same
        abandon_stdout()


def _warn(gateway: Serving, say: Say) -> None:
    if not gateway.address.startswith(_LOOPBACK):
        who = "with a token" if gateway.access.tokens else "WITHOUT ANY LOGIN"
        what = "read" if gateway.access.is_read_only else "read and write"
        say("warning", f"listening at {gateway.address}: others can {what} these caches {who}")


def _tell_unserved(shelf: Shelf, say: Say) -> None:
    try:
        for name in shelf.unserved():
            say("note", f"{name!r} is no reference, so it is not served")
    except CachexportError as error:
        say("warning", str(error))


def _say_json(kind: str, message: str) -> None:
    from cachexport.cli.views.gateway import message_document

    click.echo(message_document(kind, message, time.time()), err=True)


def _telling(log: str, lines: Lines) -> Callable[[Exchange], None]:
    """Give what tells of requests."""
    from cachexport.cli.views.gateway import request_document, request_line

    if log == "json":
        return lambda record: lines.add(request_document(record, time.time()))
    if log == "plain":
        return lambda record: lines.add(request_line(record))
    return lambda record: None
