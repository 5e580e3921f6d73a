"""Making a gateway from the options of its user."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.contract.opening import open_place
from cachexport.contract.spec import Spec, parse_spec
from cachexport.errors import MissingExtra
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.gateway.http.access import Access
    from cachexport.gateway.http.app import Gateway
    from cachexport.gateway.http.exchange import Exchange
    from cachexport.gateway.http.server import Server
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.shelf.names import Forms
    from cachexport.gateway.shelf.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `cachexport serve`, by their names."""

    store: str | Spec
    """The place to serve."""
    listen: str = "127.0.0.1:0"
    """`host:port`; the port 0 is any that is free."""
    upstream: Sequence[str | Spec] = ()
    """Places that are read for content the store lacks; the first that has it counts."""
    merge: bool = False
    verify: bool = False
    """Whether blobs are also hashed on their way out, not only on their way in."""
    read_only: bool = False
    allow_push: Sequence[str] = ()
    """Patterns of the names that may be pushed to; without any, all names may."""
    allow_delete: bool = False
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    form: Sequence[str] = ()
    """`[pattern=]form`: the form in which matching caches are served."""
    max_config_bytes: int = IMPORT_LIMIT
    """Bytes of config or manifest beyond which a pushed cache is compacted."""
    max_uploads: int = 256
    """How many uploads may be under way at a time."""
    upload_expiry: float = 600.0
    """Seconds without a request after which an upload is dropped."""
    spool: Path | None = None
    """Folder for blobs that the store cannot take yet; None for one of this user's own."""
    spool_bytes: int = 10 << 30
    """Bytes that the spool may hold at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a gateway waits, and how much it has room for."""

    spool: Path
    spool_size: int = 10 << 30
    """Bytes that the spool may hold at a time."""
    uploads: int = 256
    """How many uploads may be under way at a time."""
    upload_expiry: float = 600.0
    """Seconds without a request after which an upload is dropped."""
    timeout: float = 60.0
    """Seconds that a client may take to send 256 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A gateway that listens; it answers once `server.run` is called."""

    server: Server
    gateway: Gateway
    shelf: Shelf
    access: Access
    address: str
    """`host:port`."""
    url: str


@contextmanager
def serving(options: Options, on_request: Callable[[Exchange], None]) -> Iterator[Serving]:
    """Open the places that the options name, and listen; all is closed after the block.

    `on_request` is called with each exchange when it is over. Raises InvalidInputError for a wrong
    option, MissingExtra where the extra `serve` is not installed, and what opening places raises.
    """
    from cachexport.gateway.http.certificate import Tls, check_certificate
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.shelf.names import read_forms

    if options.tls_cert:
        check_certificate(options.tls_cert, options.tls_key)
    forms = read_forms(options.form)
    shelf = open_shelf(options.store, options.upstream, merge=options.merge, forms=forms)
    with closing(shelf):
        access = _access(options)
        publishing = Publishing(shelf=shelf, limit=options.max_config_bytes)
        gateway = open_gateway(
            lambda repository: publishing,
            access=access,
            limits=_limits(options),
            on_request=on_request,
            verify=options.verify,
        )
        from cachexport.gateway.http.server import Server, address, bind

        bound = bind(options.listen)
        where = address(bound)
        tls = Tls(certificate=options.tls_cert, key=options.tls_key) if options.tls_cert else None
        yield Serving(
            server=Server(gateway, bound, tls),
            gateway=gateway,
            shelf=shelf,
            access=access,
            address=where,
            url=f"{'https' if tls else 'http'}://{where}",
        )


def _access(options: Options) -> Access:
    from cachexport.gateway.http.access import Access, read_token_file

    return Access(
        tokens=read_token_file(options.token_file) if options.token_file else None,
        is_read_only=options.read_only,
        patterns=tuple(options.allow_push) or ("*",),
        may_delete=options.allow_delete,
    )


def _limits(options: Options) -> Limits:
    return Limits(
        spool=options.spool or Path(tempfile.gettempdir()) / f"cachexport-gateway-{os.getuid()}",
        spool_size=options.spool_bytes,
        uploads=options.max_uploads,
        upload_expiry=options.upload_expiry,
    )


def open_shelf(
    store: str | Spec,
    upstream: Sequence[str | Spec] = (),
    *,
    merge: bool = False,
    forms: Forms | None = None,
) -> Shelf:
    """Open a store and the upstream places behind it. The caller closes the shelf.

    With `merge`, a pushed cache is merged with the one that has the name. Raises PluginError for a
    place that cannot be served.
    """
    from cachexport.gateway.shelf.names import Forms
    from cachexport.gateway.shelf.origins import Origin, hosting
    from cachexport.gateway.shelf.shelf import Shelf

    spec = parse_spec(store)
    if merge:
        spec = Spec(spec.type, {**spec.attrs, "merge": "true"})
    place, *behind = [hosting(open_place(one)) for one in (spec, *upstream)]
    origins = [Origin(place, is_store=True), *map(Origin, behind)]
    return Shelf(place=place, origins=origins, forms=forms or Forms())


def open_gateway(
    find: Callable[[str], Publishing],
    *,
    access: Access,
    limits: Limits,
    on_request: Callable[[Exchange], None],
    verify: bool = False,
) -> Gateway:
    """Give the application; `find` gives the publishing of a repository, or raises Refusal.

    With `verify`, blobs are also hashed on their way out. Raises FailedPrecondition when the spool
    is another user's folder, MissingExtra where the extra `serve` is not installed.
    """
    try:
        from cachexport.gateway.http.app import Gateway
        from cachexport.gateway.http.exchange import Metrics
        from cachexport.gateway.http.server import Server  # noqa: F401 - is uvicorn there?
    except ImportError as error:
        raise MissingExtra(
            f"a gateway needs {error.name}; install cachexport[serve]", name=error.name
        ) from error
    from cachexport.gateway.uploads import Spool, Uploads

    spool = Spool(limits.spool, limits.spool_size)
    spool.check()
    uploads = Uploads(spool, most=limits.uploads, expiry=limits.upload_expiry)
    return Gateway(
        find=find,
        access=access,
        uploads=uploads,
        metrics=Metrics(uploads.__len__),
        on_request=on_request,
        timeout=limits.timeout,
        verify=verify,
    )
