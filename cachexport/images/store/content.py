"""The content of a store."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cachexport.content.files.blobs import (
    BlobReader,
    open_regular,
)
from cachexport.content.protocols import Info
from cachexport.content.verify import BLOCK
from cachexport.errors import NotFound
from cachexport.images.store.index import (
    LIMIT,
    READABLE,
    SOURCE,
    check_labels,
    check_lease,
    get_labels,
    has_labels,
    hold,
    is_there,
    put_labels,
)
from cachexport.images.store.ingestion import STATUSES, Writer, anonymous_ingestion, status
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from cachexport.content.protocols import Reader
    from cachexport.images.store.database import Context
    from cachexport.images.store.ingestion import Status
    from cachexport.images.store.leases import Lease
    from cachexport.oci.descriptor import Descriptor


class StoreContent:
    """A Provider, InfoProvider, SizeProvider, Distributed and Ingester over the blobs of a store.

    Nothing holds what is put in, so the next collection removes it. `under` gives the same content
    with a lease that holds it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def place(self) -> str:
        """See Placed."""
        return str(self._context.paths.directory)

    def under(self, lease: Lease | str) -> StoreContent:
        """Give the same content; `lease` holds what is put in, and what `missing` finds."""
        lease_id = lease if isinstance(lease, str) else lease.id
        return StoreContent(dataclasses.replace(self._context, lease=lease_id))

    def open(self, desc: Descriptor, /) -> BlobReader:
        """See Provider. What was opened can be read to its end, whatever is collected."""
        self.info(desc.digest)
        path = self._context.paths.blob(desc.digest)
        try:
            fd, size = open_regular(path)
        except NotFound as error:
            raise self._absent(desc.digest) from error
        return BlobReader(fd, path, size=size)

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        size = self.sizes([digest]).get(digest)
        if size is None:
            raise self._absent(digest)
        return Info(digest, size)

    def sizes(self, digests: Iterable[Digest], /) -> dict[Digest, int]:
        """See SizeProvider."""
        with self._context.database.reading() as index:
            found = ((digest, self._size(index, digest)) for digest in digests)
            return {digest: size for digest, size in found if size is not None}

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. What is not missing is held by the lease from now on, if there is one.

        Raises FailedPrecondition when the lease is gone or has expired.
        """
        wanted = {desc.digest: desc.size for desc in descs}
        found = self._held_sizes(wanted) if self._context.lease else self.sizes(wanted)
        return {digest for digest, size in wanted.items() if found.get(digest) != size}

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester. A manifest, by its media type, gets labels for what it refers to."""
        with anonymous_ingestion(self._context) as file:
            for block in iter(lambda: reader.read(BLOCK), b""):
                file.write(block)
            file.publish(desc.digest, {}, has_references=desc.media_type in READABLE)

    def writer(self, ref: str, desc: Descriptor | None = None) -> Writer:
        """Begin or resume the ingestion `ref`; the caller closes.

        Raises Unavailable while another writer has it.
        """
        return Writer(self._context, ref, desc)

    def ingests(self) -> list[Status]:
        """Give the ingestions that were neither committed nor aborted, sorted by ref."""
        with self._context.database.reading() as index:
            rows = index.execute(STATUSES + " ORDER BY ref").fetchall()
        return [status(row, self._context.paths.written(row[0])) for row in rows]

    def labels(self, digest: Digest, /) -> dict[str, str]:
        """Give the labels of some content. Raises NotFound."""
        with self._context.database.reading() as index:
            self._check_there(index, digest)
            return get_labels(index, "content", digest)

    def label(self, digest: Digest, labels: Mapping[str, str], /) -> dict[str, str]:
        """Set labels of some content, remove those with an empty value, and give all of them.

        A label that begins with REFERENCE makes what holds this content hold another one too.
        Raises NotFound, InvalidInputError.
        """
        check_labels(labels)
        with self._context.database.writing() as index:
            self._check_there(index, digest)
            put_labels(index, "content", digest, labels)
            return get_labels(index, "content", digest)

    def repositories(self, digest: Digest, /) -> dict[str, tuple[str, ...]]:
        """See Distributed; nothing for content that is not there."""
        with self._context.database.reading() as index:
            found = get_labels(index, "content", digest)
        return {
            key.removeprefix(SOURCE): tuple(text.split(","))
            for key, text in found.items()
            if key.startswith(SOURCE)
        }

    def add_repositories(self, digest: Digest, more: Mapping[str, Sequence[str]], /) -> None:
        """Note that these repositories have some content too. Raises NotFound.

        A label has limited room: repositories of a host that do not fit are left out.
        """
        with self._context.database.writing() as index:
            self._check_there(index, digest)
            found = get_labels(index, "content", digest)
            for host, names in more.items():
                key = SOURCE + host
                old = found.get(key, "").split(",")
                text = ",".join(name for name in dict.fromkeys([*old, *names]) if name)
                if len((key + text).encode()) <= LIMIT:
                    put_labels(index, "content", digest, {key: text})

    def list(self, labels: Mapping[str, str | None] | None = None) -> list[Info]:
        """Give all content that has these labels (None: with any value), sorted by digest."""
        with self._context.database.reading() as index:
            rows = index.execute("SELECT digest, size FROM content ORDER BY digest").fetchall()
            return [
                Info(Digest.parse(digest), size)
                for digest, size in rows
                if not labels or has_labels(get_labels(index, "content", digest), labels)
            ]

    def _size(self, index: sqlite3.Connection, digest: Digest) -> int | None:
        """Give the bytes of content that was committed and still has its file."""
        return self._context.paths.size(digest) if is_there(index, digest) else None

    def _held_sizes(self, wanted: Mapping[Digest, int]) -> dict[Digest, int]:
        context = self._context
        with context.database.writing() as index:
            check_lease(index, context.lease, context.clock())
            found = ((digest, self._size(index, digest)) for digest in wanted)
            sizes = {digest: size for digest, size in found if size is not None}
            for digest in sizes:
                hold(index, context.lease, digest, context.clock())
        return sizes

    def _check_there(self, index: sqlite3.Connection, digest: Digest) -> None:
        if self._size(index, digest) is None:
            raise self._absent(digest)

    def _absent(self, digest: Digest) -> NotFound:
        return NotFound(f"blob {digest} is not in {self.place}")
