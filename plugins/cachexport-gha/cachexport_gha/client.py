"""An ObjectClient over the cache service. What was saved under a key never changes.

So an index is saved anew under the next number, and who reserves that first has won: names are
written on condition, as long as nobody who reserved a number dies before he has saved it. Then the
others wait for `TIMEOUT` seconds and take the number after it, as BuildKit does.
"""

from __future__ import annotations

import io
import threading
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from cachexport.errors import (
    AlreadyExists,
    BackendError,
    FailedPrecondition,
    Integrity,
    NotFound,
    Outdated,
)
from cachexport.plugin import METADATA_LIMIT, Page, ResumingReader, Stored, clock
from cachexport_gha.keys import BLOBS, numbered
from cachexport_gha.signed import Blob

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cachexport.plugin import Reader
    from cachexport_gha.rest import Listed, Rest
    from cachexport_gha.service import Saved, Service
    from cachexport_gha.token import Token

TIMEOUT = 15.0
_PAUSE = 0.5
_ATTEMPTS = 5
_THE_ONLY = "1"
"""The version of a blob."""


class GhaClient:
    """See ObjectClient. Without `rest` nothing can be listed and nothing deleted."""

    def __init__(
        self,
        service: Service,
        rest: Rest | None,
        token: Token,
        parallelism: int,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self.place = service.place
        self.parallelism = parallelism
        self._service = service
        self._rest = rest
        self._token = token
        self._timeout = timeout
        self._reserved: dict[str, str] = {}
        """What this has reserved and not yet saved: a second try goes on there."""
        self._lock = threading.Lock()

    def head(self, key: str, /) -> Stored:
        """See ObjectClient. To be asked for is to be used, so a blob is young by this."""
        saved = self._find(key)
        size = Blob(saved.url, self._where(key)).size()
        return _stored(key, saved, size, 0.0 if _is_index(key) else clock().now())

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient: always all there is, in the branches that the token can read."""
        found: dict[str, Stored] = {}
        for item in self.listed(prefix):
            if item.ref in self._token.scopes:
                stored = _from_listing(item)
                other = found.get(stored.key)
                if other is None or self._counts_more(stored, other):
                    found[stored.key] = stored
        return Page(tuple(found[key] for key in sorted(found) if key > after))

    def listed(self, prefix: str) -> Iterable[Listed]:
        """List all that was saved in whatever branch. Raises FailedPrecondition without a token."""
        if self._rest is None:
            raise FailedPrecondition(
                f"{self.place} is listed and pruned with GitHub's API only: it needs repository= "
                "and ghtoken="
            )
        return self._rest.list(prefix)

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient. What breaks off, or whose URL has expired, is asked for again."""

        def opened(at: int) -> Reader:
            return Blob(self._find(key).url, self._where(key)).read(start + at)

        return ResumingReader(opened, _ATTEMPTS)

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient. Raises Integrity for more than METADATA_LIMIT bytes."""
        saved = self._find(key)
        blob = Blob(saved.url, self._where(key))
        if (size := blob.size()) > METADATA_LIMIT:
            message = f"{self._where(key)} is too large ({size} > {METADATA_LIMIT})"
            raise Integrity(message)
        return blob.load(), _stored(key, saved, size, clock().now())

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient. What somebody else is saving at this time is waited for."""
        try:
            url = self._reserve(key)
        except AlreadyExists:
            self._wait_for(key)
            return
        self._save(key, url, reader, size)

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient. The service has no place for `metadata`."""
        last = self._number(key)
        if version is not None and version != _version(last):
            raise Outdated(f"{self._where(key)} was saved by somebody else meanwhile")
        number, deadline = last + 1, clock().monotonic() + self._timeout
        while True:
            whole = f"{key}#{number}"
            try:
                url = self._reserve(whole)
            except AlreadyExists:
                now = self._number(key)
                if now != last and version is not None:
                    raise Outdated(
                        f"{self._where(key)} was saved by somebody else meanwhile"
                    ) from None
                if now != last:
                    last, number = now, now + 1
                elif clock().monotonic() < deadline:
                    clock().sleep(_PAUSE)
                else:
                    number += 1  # whoever reserved it is no more
            else:
                self._save(whole, url, io.BytesIO(raw), len(raw))
                return _version(number)

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient: a blob that is asked for is kept, a name is saved anew."""
        if not _is_index(stored.key):
            self._find(stored.key)
            return stored.version
        raw, found = self.load(stored.key)
        try:
            return self.replace(stored.key, raw, {}, version=found.version)
        except Outdated:
            return self.head(stored.key).version  # somebody else saved it just now

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient: in the branch that is written to."""
        if not _is_index(key):
            self._delete(key)
            return
        if version is not None and _version(self._number(key)) != version:
            raise Outdated(f"{self._where(key)} was saved by somebody else meanwhile")
        for item in sorted(self.listed(f"{key}#"), key=lambda item: numbered(item.key)[1]):
            self._delete(item.key)

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient. A request each."""
        for key in keys:
            self.delete(key)

    def now(self) -> float:
        """See ObjectClient: the time of the last answer, to the second."""
        try:
            date = self._rest.date if self._rest is not None else ""
            return parsedate_to_datetime(date).timestamp()
        except ValueError:
            return clock().now()

    def close(self) -> None:
        """See ObjectClient."""
        self._service.close()
        if self._rest is not None:
            self._rest.close()

    def _find(self, key: str) -> Saved:
        saved = self._service.find(f"{key}#" if _is_index(key) else key)
        if not _is_index(key) and saved.key != key:
            raise NotFound(f"{self._where(key)} is not there")
        return saved

    def _number(self, key: str) -> int:
        """Give the number under which an index was saved last; 0 for never."""
        try:
            return numbered(self._find(key).key)[1]
        except NotFound:
            return 0

    def _reserve(self, key: str) -> str:
        with self._lock:
            url = self._reserved.get(key)
        if url is None:
            if not self._token.writes:
                raise FailedPrecondition(
                    f"{self._where(key)} cannot be written: the token may only read, as in the "
                    "job of somebody else's pull request"
                )
            url = self._service.reserve(key)
            with self._lock:
                self._reserved[key] = url
        return url

    def _save(self, key: str, url: str, reader: Reader, size: int) -> None:
        Blob(url, self._where(key)).write(reader, size)
        self._service.finish(key, size)
        with self._lock:
            self._reserved.pop(key, None)

    def _wait_for(self, key: str) -> None:
        deadline = clock().monotonic() + self._timeout
        while True:
            try:
                self._find(key)
            except NotFound:
                if clock().monotonic() < deadline:
                    clock().sleep(_PAUSE)
                    continue
                raise BackendError(
                    f"{self._where(key)} was begun by somebody who has not ended it, and the "
                    "service lets nobody else write it; delete that cache in the repository, or "
                    "wait until it has gone",
                    op="write",
                ) from None
            return

    def _delete(self, key: str) -> None:
        self.listed("")  # raises where nothing may be deleted
        assert self._rest is not None
        self._rest.delete(key, self._token.writes)

    def _counts_more(self, one: Stored, other: Stored) -> bool:
        if one.version != other.version:
            return int(one.version) > int(other.version)
        return one.metadata["ref"] == self._token.writes

    def _where(self, key: str) -> str:
        return f"{self.place}/{key}"


def _is_index(key: str) -> bool:
    """Say whether it stands for something that changes: all but blobs do."""
    return not key.startswith(BLOBS) and "#" not in key


def _version(number: int) -> str:
    return str(number) if number else ""


def _stored(key: str, saved: Saved, size: int, modified: float) -> Stored:
    version = _version(numbered(saved.key)[1]) if _is_index(key) else _THE_ONLY
    return Stored(key=key, size=size, version=version, modified=modified)


def _from_listing(item: Listed) -> Stored:
    is_blob = item.key.startswith(BLOBS)
    key, number = (item.key, 0) if is_blob else numbered(item.key)
    return Stored(
        key=key,
        size=item.size,
        version=_version(number) or _THE_ONLY,
        # To look at a name is to use it, which is not to make it newer than others.
        modified=item.used if is_blob else item.saved,
        metadata={"ref": item.ref},
    )
