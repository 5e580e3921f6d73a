"""An ObjectClient over a container, on Azure's SDK."""

from __future__ import annotations

import logging
from contextlib import suppress
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cachexport.errors import BackendError, CachexportError, Integrity, NotFound, Outdated
from cachexport.plugin import (
    ABSENT,
    METADATA_LIMIT,
    Page,
    ResumingReader,
    Retry,
    Stored,
    clock,
    landed,
    map_parallel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cachexport.plugin import Reader
    from cachexport_azblob.attrs import Connection

_log = logging.getLogger(__name__)
_PAGE = 5000
"""How many blobs Azure lists at once."""
_BATCH = 256
"""How many it deletes at once."""


class AzblobClient:
    """See ObjectClient. `make` gives the SDK's ContainerClient; the first request calls it."""

    def __init__(
        self,
        make: Callable[[], Any],
        connection: Connection,
        part_size: int,
        page_size: int = _PAGE,
    ) -> None:
        self._make = make
        self._made: Any = None
        self._lock = Lock()
        self._part_size = part_size
        self._page_size = page_size
        self._retry = Retry(attempts=connection.retry_max_attempts)
        self._marks: dict[tuple[str, str], str] = {}
        self._deletes_many = True
        host = urlsplit(connection.account_url).netloc.rpartition("@")[2]
        self.place = f"azblob://{host}/{connection.container}"
        self.parallelism = connection.upload_parallelism

    def head(self, key: str, /) -> Stored:
        """See ObjectClient."""
        with self._translated("head", key):
            return _stored(key, self._blob(key).get_blob_properties())

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient.

        Azure lists from the beginning, or on from where it stopped: to begin `after` a key that
        ended no page takes a request for each page before. A container that is not there has
        nothing in it.
        """
        following = following or self._marks.get((prefix, after), "")
        while True:
            objects, then = self._listed(prefix, following)
            left = tuple(stored for stored in objects if stored.key > after)
            if left or not then:
                return Page(left, then)
            following = then

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient. What breaks off is asked for again from where it broke."""
        return ResumingReader(lambda at: self._body(key, start + at), retry=self._retry)

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient. Raises Integrity for a blob of more than METADATA_LIMIT bytes."""
        return self._retry.call(lambda: self._load(key))

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient."""
        from cachexport_azblob.writing import write_blob

        try:
            with self._translated("write", key):
                write_blob(self._blob(key), reader, size, self._part_size, self._in_container)
        except BackendError as error:
            if not error.temporary or not self._has(key, size):
                raise
            # Another wrote the same blob at once: with that, the blocks that wait for it are gone.
            _log.info("%s; another has written it", error)

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient."""
        told = {_told(name): value for name, value in metadata.items()}
        settings = {"metadata": told, "overwrite": True, **_condition(version)}
        try:
            with self._translated("write", key, retried=False):
                answer = self._in_container(lambda: self._blob(key).upload_blob(raw, **settings))
        except NotFound as error:
            raise Outdated(f"{self.place}/{key} was deleted meanwhile") from error
        except (BackendError, Outdated) as error:
            if isinstance(error, BackendError) and not error.temporary:
                raise
            return landed(self, key, raw, metadata, error)
        return _version(answer["etag"])

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient. To write the metadata anew is enough for Azure, and keeps the rest."""
        blob = self._blob(stored.key)
        try:
            with self._translated("touch", stored.key):
                found = blob.get_blob_properties()
                same = _condition(_version(found.etag))
                return _version(blob.set_blob_metadata(found.metadata, **same)["etag"])
        except Outdated:
            return self.head(stored.key).version  # somebody else wrote it, or touched it, just now

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient."""
        with suppress(NotFound), self._translated("delete", key):
            self._blob(key).delete_blob(delete_snapshots="include", **_condition(version))

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient. One request for 256, where the server knows such a thing."""
        if self._deletes_many and len(keys) > 1:
            try:
                for start in range(0, len(keys), _BATCH):
                    self._delete_many(keys[start : start + _BATCH])
            except BackendError as error:
                if error.temporary:
                    raise
                _log.info("%s; deleting one blob at a time", error)
                self._deletes_many = False
            else:
                return
        map_parallel(self.delete, keys, self.parallelism)

    def now(self) -> float:
        """See ObjectClient. What the server says of the time of an answer, to the second."""
        dates: list[str] = []

        def hear(response: Any) -> None:
            dates.append(response.http_response.headers.get("Date", ""))

        with suppress(NotFound), self._translated("list", ""):
            self._container.get_container_properties(raw_response_hook=hear)
        try:
            return parsedate_to_datetime(dates[-1]).timestamp()
        except (IndexError, ValueError):
            return clock().now()

    def close(self) -> None:
        """See ObjectClient."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    @property
    def _container(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _blob(self, key: str) -> Any:
        return self._container.get_blob_client(key)

    def _listed(self, prefix: str, following: str) -> tuple[tuple[Stored, ...], str]:
        """Give one page, and how to go on; remembered for who asks by its last key."""
        try:
            with self._translated("list", prefix):
                listing = self._container.list_blobs(
                    name_starts_with=prefix, results_per_page=self._page_size
                )
                pages = listing.by_page(following or None)
                objects = tuple(_stored(item.name, item) for item in next(pages, ()))
        except NotFound:
            return (), ""
        then = pages.continuation_token or ""
        if objects and then:
            self._marks[prefix, objects[-1].key] = then
        return objects, then

    def _body(self, key: str, start: int) -> Reader:
        from cachexport_azblob.body import Body

        with self._translated("read", key):
            download = self._blob(key).download_blob(offset=start or None)
        return Body(download, lambda: self._translated("read", key, retried=False))

    def _load(self, key: str) -> tuple[bytes, Stored]:
        with self._translated("read", key):
            download = self._blob(key).download_blob()
        stored = _stored(key, download.properties)
        if stored.size > METADATA_LIMIT:
            message = f"{self.place}/{key} is too large ({stored.size} > {METADATA_LIMIT})"
            raise Integrity(message)
        try:
            with self._translated("read", key, retried=False):
                return download.readall(), stored
        except Outdated as error:  # while it was read: what there is now is asked for
            raise BackendError(str(error), op="read", temporary=True) from error

    def _in_container(self, call: Callable[[], Any]) -> Any:
        """Call something that writes, and make the container first if there is none."""
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        from cachexport_azblob.errors import NO_CONTAINER, code_of

        try:
            return call()
        except ResourceNotFoundError as error:
            if code_of(error) != NO_CONTAINER:
                raise
        with suppress(ResourceExistsError):
            self._container.create_container()
        return call()

    def _has(self, key: str, size: int) -> bool:
        try:
            return self.head(key).size == size
        except CachexportError:
            return False

    def _delete_many(self, keys: Sequence[str]) -> None:
        with self._translated("delete", keys[0]):
            answers = self._container.delete_blobs(
                *keys, delete_snapshots="include", raise_on_any_failure=False
            )
            refused = [
                key
                for key, answer in zip(keys, answers, strict=True)
                if answer.status_code not in (202, 404)
            ]
        for key in refused:
            self.delete(key)  # it says why, as an error of ours

    def _translated(self, op: str, key: str, *, retried: bool = True) -> Any:
        from cachexport_azblob.errors import translated

        return translated(op, f"{self.place}/{key}", retried=retried)


def _condition(version: str | None) -> dict[str, Any]:
    from azure.core import MatchConditions

    if version is None:
        return {}
    if version == ABSENT:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}


def _version(etag: str) -> str:
    """Give an ETag without its quotes, which answers have and listings have not."""
    return etag.strip('"')


def _told(name: str) -> str:
    """Spell a name of metadata as Azure takes it: as one of C#."""
    return name.replace("-", "_")


def _stored(key: str, found: Any) -> Stored:
    return Stored(
        key=key,
        size=found.size,
        version=_version(found.etag),
        modified=found.last_modified.timestamp(),
        metadata={
            name.lower().replace("_", "-"): value for name, value in (found.metadata or {}).items()
        },
    )
