"""`cachexport serve`."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cachexport.cli import console
from cachexport.cli.amounts import amount, span
from cachexport.cli.interrupts import stopping
from cachexport.cli.layout import verbatim
from cachexport.cli.lines import Lines
from cachexport.cli.output import abandon_stdout
from cachexport.cli.specs import complete_spec, hinting_at_paths
from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.gateway.http.access import Access
    from cachexport.gateway.http.record import Record
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
    "store",
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
    "upstream",
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
    "patterns",
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
    "forms",
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
    "log",
    type=click.Choice(["json", "plain", "none"]),
    default="plain",
    show_default=True,
    help="How to tell of requests.",
)
def command(
    store: str,
    listen: str,
    upstream: tuple[str, ...],
    merge: bool,
    verify: bool,
    read_only: bool,
    patterns: tuple[str, ...],
    allow_delete: bool,
    token_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    forms: tuple[str, ...],
    max_config_bytes: int,
    max_uploads: int,
    upload_expiry: float,
    spool: Path | None,
    spool_bytes: int,
    log: str,
) -> None:
    """Serve a place for caches to any build tool, as a registry.

    Whatever speaks to a registry (docker, buildx, buildctl, buildah, kaniko, skopeo) can then
    read and write any place of cachexport's. It says where it listens on stdout, and runs until
    a SIGTERM or SIGINT, after which it finishes what is under way; the exit code is then 0. A
    second one ends it at once.
    """
    from cachexport.cli.leaving import leave
    from cachexport.cli.memory import keep_small
    from cachexport.gateway.http.access import Access
    from cachexport.gateway.http.certificate import check_certificate
    from cachexport.gateway.http.threads import working
    from cachexport.gateway.http.tokens import read_token_file
    from cachexport.gateway.opening import Limits, Store, open_gateway, open_shelf
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.shelf.forms import read_forms

    keep_small()
    if read_only and patterns:
        raise click.UsageError("--read-only and --allow-push contradict each other")
    if tls_key and not tls_cert:
        raise click.UsageError("--tls-key wants the certificate too: --tls-cert")
    if tls_cert:
        check_certificate(tls_cert, tls_key)
    limits = Limits(
        spool=spool or _temporary(),
        spool_size=spool_bytes,
        uploads=max_uploads,
        upload_expiry=upload_expiry,
        config=max_config_bytes,
    )
    say = _say_json if log == "json" else console.say
    given = Store(store=store, upstream=upstream, merge=merge, forms=read_forms(forms))
    with (
        console.logging_to(say),
        hinting_at_paths([store, *upstream]),
        closing(open_shelf(given)) as shelf,
        closing(Lines()) as lines,
    ):
        access = Access(
            tokens=read_token_file(token_file) if token_file else None,
            is_read_only=read_only,
            patterns=patterns or ("*",),
            may_delete=allow_delete,
        )
        publishing = Publishing(shelf=shelf, limit=limits.config)
        gateway = open_gateway(
            lambda repository: publishing,
            access=access,
            limits=limits,
            on_request=_telling(log, lines),
            verify=verify,
        )
        from cachexport.gateway.http.server import Server, Tls, address, bind

        bound = bind(listen)
        place = address(bound)
        _warn(place, access, say)
        # A listing of many names takes a while, and what is wrong there is no reason not to begin.
        threading.Thread(target=_tell_unserved, args=(shelf, say), daemon=True).start()
        tls = Tls(certificate=tls_cert, key=tls_key) if tls_cert else None
        scheme = "https" if tls else "http"
        server = Server(gateway, bound, tls)
        with stopping(server.drain):
            server.run(lambda: _tell_place(f"serving {shelf.place.title} at {scheme}://{place}"))
    if lines.are_stuck or working(gateway.threads.name):
        leave(0)


def _tell_place(text: str) -> None:
    try:
        click.echo(text)
    except OSError:  # nobody wants to know, and clients are served all the same
        abandon_stdout()


def _temporary() -> Path:
    import os
    import tempfile

    return Path(tempfile.gettempdir()) / f"cachexport-gateway-{os.getuid()}"


def _warn(place: str, access: Access, say: Say) -> None:
    if not place.startswith(_LOOPBACK):
        who = "with a token" if access.tokens else "WITHOUT ANY LOGIN"
        what = "read" if access.is_read_only else "read and write"
        say("warning", f"listening at {place}: others can {what} these caches {who}")


def _tell_unserved(shelf: Shelf, say: Say) -> None:
    try:
        for name in shelf.unserved():
            say("note", f"{name!r} is no reference, so it is not served")
    except CachexportError as error:
        say("warning", str(error))


def _say_json(kind: str, message: str) -> None:
    from cachexport.cli.views.requests import message_document

    click.echo(message_document(kind, message, time.time()), err=True)


def _telling(log: str, lines: Lines) -> Callable[[Record], None]:
    """Give what tells of requests."""
    from cachexport.cli.views.requests import document, line

    if log == "json":
        return lambda record: lines.add(document(record, time.time()))
    if log == "plain":
        return lambda record: lines.add(line(record))
    return lambda record: None
