"""An ObjectClient over a bucket, on boto3."""

from __future__ import annotations

import logging
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cachexport.backends.objects.client import ABSENT, Page, Stored, landed
from cachexport.content.clock import clock
from cachexport.content.parallel import map_parallel
from cachexport.content.retry import (
    ResumingReader,
    Retry,
)
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import (
    BackendError,
    Integrity,
    NotFound,
    Outdated,
    S3Error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cachexport.backends.s3.attrs import Connection
    from cachexport.backends.s3.writing import Writing
    from cachexport.content.protocols import Reader

_log = logging.getLogger(__name__)
_UNKNOWN = ("NotImplemented", "501")
"""Codes of servers that know no conditions."""


class S3Client:
    """See ObjectClient. `make` gives boto3's client; it is called with the first request."""

    def __init__(
        self, make: Callable[[], Any], bucket: str, connection: Connection, writing: Writing
    ) -> None:
        self._make = make
        self._bucket = bucket
        self._writing = writing
        self._retry = Retry(attempts=connection.retry_max_attempts)
        self.place = f"s3://{bucket}"
        self.parallelism = connection.upload_parallelism
        self._deletes_many = True

    def head(self, key: str, /) -> Stored:
        """See ObjectClient."""
        with self._translated("head", key):
            return _stored(key, self._s3.head_object(Bucket=self._bucket, Key=key))

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient. S3 gives 1,000 objects at most."""
        begin = {"ContinuationToken": following} if following else {"StartAfter": after}
        with self._translated("list", prefix):
            answer = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **begin)
        objects = tuple(_listed(item) for item in answer.get("Contents", ()))
        if not answer.get("IsTruncated"):
            return Page(objects)
        token = answer.get("NextContinuationToken", "")
        if token in ("", following):
            message = f"{self.place}/{prefix}: the server lists a part and not how to go on"
            raise BackendError(message, op="list")
        return Page(objects, token)

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient. What breaks off is asked for again from where it broke."""
        return ResumingReader(lambda at: self._body(key, start + at), retry=self._retry)

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient. Raises Integrity for an object of more than METADATA_LIMIT bytes."""
        return self._retry.call(lambda: self._load(key))

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient."""
        try:
            with self._translated("write", key):
                self._writing.write(self._s3, self._bucket, key, reader, size)
        except Outdated as error:
            # There was no condition: the server refuses two writes at once.
            raise BackendError(str(error), op="write", temporary=True) from error

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient."""
        try:
            return self._replace(key, raw, metadata, _conditions(version))
        except (BackendError, Outdated) as error:
            if isinstance(error, BackendError) and not error.temporary:
                raise
            return landed(self, key, raw, metadata, error)

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient."""
        with self._translated("touch", stored.key):
            return self._writing.touch(self._s3, self._bucket, stored)

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient."""
        conditions = {} if version is None else {"IfMatch": version}
        try:
            with self._translated("delete", key):
                self._s3.delete_object(Bucket=self._bucket, Key=key, **conditions)
        except NotFound:
            return
        except S3Error as error:
            if not conditions or error.code not in _UNKNOWN:
                raise
            self.delete(key)

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient. One request, where the server knows such a thing."""
        if self._deletes_many and len(keys) > 1:
            try:
                self._delete_many(keys)
            except S3Error as error:
                if error.temporary:
                    raise
                _log.info("%s; deleting one object at a time", error)
                self._deletes_many = False
            else:
                return
        map_parallel(self.delete, keys, self.parallelism)

    def now(self) -> float:
        """See ObjectClient. What the server says of the time of a listing, to the second."""
        with self._translated("list", ""):
            answer = self._s3.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(date).timestamp()
        except ValueError:
            return clock().now()

    def close(self) -> None:
        """See ObjectClient."""
        client = self.__dict__.pop("_s3", None)
        if client is not None:
            client.close()

    @cached_property
    def _s3(self) -> Any:
        return self._make()

    def _delete_many(self, keys: Sequence[str]) -> None:
        objects = [{"Key": key} for key in keys]
        with self._translated("delete", keys[0]):
            answer = self._s3.delete_objects(
                Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
            )
        for failed in answer.get("Errors", ()):
            self.delete(failed["Key"])  # it says why, as an error of ours

    def _body(self, key: str, start: int) -> Reader:
        wanted = {"Range": f"bytes={start}-"} if start else {}
        with self._translated("read", key):
            answer = self._s3.get_object(Bucket=self._bucket, Key=key, **wanted)
        return _Body(answer["Body"], lambda: self._translated("read", key, retried=False))

    def _load(self, key: str) -> tuple[bytes, Stored]:
        with self._translated("read", key):
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            stored = _stored(key, answer)
            if stored.size > METADATA_LIMIT:
                answer["Body"].close()
                message = f"{self.place}/{key} is too large ({stored.size} > {METADATA_LIMIT})"
                raise Integrity(message)
        with self._translated("read", key, retried=False):
            return answer["Body"].read(), stored

    def _replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], conditions: Mapping[str, str]
    ) -> str:
        settings = {**self._writing.extras, "Metadata": dict(metadata)}
        try:
            with self._translated("write", key, retried=False):
                answer = self._s3.put_object(
                    Bucket=self._bucket, Key=key, Body=raw, **settings, **conditions
                )
        except NotFound as error:
            # Amazon answers 404 to If-Match where the object is gone.
            raise Outdated(f"{self.place}/{key} was deleted meanwhile") from error
        except S3Error as error:
            if not conditions or error.code not in _UNKNOWN:
                raise
            _log.warning("%s has no conditional writes: who writes last wins", self.place)
            return self._replace(key, raw, metadata, {})
        return str(answer["ETag"])

    def _translated(self, op: str, key: str, *, retried: bool = True) -> Any:
        from cachexport.backends.s3.errors import translated

        return translated(op, f"{self.place}/{key}", retried=retried)


class _Body:
    """A response's body, whose errors are ours."""

    def __init__(self, body: Any, translated: Callable[[], Any]) -> None:
        self._body = body
        self._translated = translated

    def read(self, size: int, /) -> bytes:
        with self._translated():
            block: bytes = self._body.read(size)
            return block

    def close(self) -> None:
        self._body.close()


def _conditions(version: str | None) -> dict[str, str]:
    if version is None:
        return {}
    return {"IfNoneMatch": "*"} if version == ABSENT else {"IfMatch": version}


def _stored(key: str, answer: Any) -> Stored:
    return Stored(
        key=key,
        size=answer["ContentLength"],
        version=answer["ETag"],
        modified=answer["LastModified"].timestamp(),
        metadata={name.lower(): value for name, value in answer.get("Metadata", {}).items()},
    )


def _listed(item: Any) -> Stored:
    return Stored(
        key=item["Key"],
        size=item["Size"],
        version=item["ETag"],
        modified=item["LastModified"].timestamp(),
    )
