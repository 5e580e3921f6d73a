"""Making a gateway of specifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.contract.opening import open_place
from cachexport.contract.spec import Spec, parse_spec
from cachexport.errors import MissingExtra
from cachexport.model.envelope.size import IMPORT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cachexport.gateway.http.access import Access
    from cachexport.gateway.http.app import Gateway
    from cachexport.gateway.http.record import Record
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.shelf.forms import Forms
    from cachexport.gateway.shelf.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a gateway waits for and has room for."""

    spool: Path
    spool_size: int = 10 << 30
    """Bytes that lie there at a time."""
    uploads: int = 256
    """How many are under way at a time."""
    upload_expiry: float = 600.0
    """Seconds after which an upload that does not go on is forgotten."""
    timeout: float = 60.0
    """Seconds for which a client may take to send 256 KiB."""
    config: int = IMPORT_LIMIT
    """Bytes over which a cache is compacted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What a gateway is in front of."""

    store: str | Spec
    upstream: Sequence[str | Spec] = ()
    merge: bool = False
    forms: Forms | None = None


def open_shelf(store: Store) -> Shelf:
    """Open a place and those that are read where it lacks something. The caller closes it."""
    from cachexport.gateway.shelf.forms import Forms
    from cachexport.gateway.shelf.shelf import Shelf
    from cachexport.gateway.shelf.source import hosting, sources

    spec = parse_spec(store.store)
    if store.merge:
        spec = Spec(spec.type, {**spec.attrs, "merge": "true"})
    place, *upstream = [hosting(open_place(one)) for one in (spec, *store.upstream)]
    return Shelf(place=place, sources=sources(place, upstream), forms=store.forms or Forms())


def open_gateway(
    find: Callable[[str], Publishing],
    *,
    access: Access,
    limits: Limits,
    on_request: Callable[[Record], None],
    verify: bool = False,
) -> Gateway:
    """Give the application that serves what `find` gives for a repository.

    With `verify` blobs are checked on their way out, too. Raises FailedPrecondition where blobs
    that wait have no folder, MissingExtra where the extra `serve` is not installed.
    """
    try:
        from cachexport.gateway.http.app import Gateway
        from cachexport.gateway.http.metrics import Metrics
        from cachexport.gateway.http.server import Server  # noqa: F401 - whether it is there
    except ImportError as error:
        raise MissingExtra(
            f"a gateway needs {error.name}; install cachexport[serve]", name=error.name
        ) from error
    from cachexport.gateway.uploads.spool import Spool
    from cachexport.gateway.uploads.upload import Uploads

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
