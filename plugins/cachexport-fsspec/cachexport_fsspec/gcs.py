"""An ObjectClient over Google Cloud Storage, on gcsfs: writes are on condition of the generation.

gcsfs knows no conditions but for "is not there yet", and lists whole buckets: so what is small goes
through its `call`, which signs and retries, and only layers go through its files.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from time import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cachexport.errors import BackendError, Integrity, NotFound, Outdated
from cachexport.plugin import (
    ABSENT,
    BLOCK,
    METADATA_LIMIT,
    Page,
    ResumingReader,
    Stored,
    landed,
    map_parallel,
)
from cachexport_fsspec.body import Body
from cachexport_fsspec.errors import translated
from cachexport_fsspec.held import Held
from cachexport_fsspec.url import opened, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cachexport.plugin import Reader
    from cachexport_fsspec.attrs import Connection

_log = logging.getLogger(__name__)
_PAGE = 1000
"""How many objects Google lists at once."""
_BLOCK = 8 << 20
"""Bytes of a large upload that are in memory at once."""
_OBJECT = "b/{}/o/{}"
_TRIES = 5
"""How often a small object is read that is written meanwhile."""


class GcsClient:
    """See ObjectClient. A version is a generation."""

    def __init__(self, attrs: Connection, page_size: int = _PAGE) -> None:
        self._held = Held(lambda: opened(attrs.url, attrs.options))
        self._page_size = page_size
        self.place = shown(attrs.url)
        self.parallelism = attrs.parallelism

    def head(self, key: str, /) -> Stored:
        """See ObjectClient."""
        return self._stored(self._asked("look at", key, "GET", _OBJECT, *self._object(key)))

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient."""
        bucket, base = self._place("list")
        asked = {
            "prefix": base + prefix,
            "maxResults": self._page_size,
            "pageToken": following or None,
            "startOffset": base + after if after > prefix else None,
        }
        found = self._asked("list", prefix, "GET", "b/{}/o", bucket, **asked)
        listed = [self._stored(item) for item in found.get("items", ())]
        return Page(
            tuple(stored for stored in listed if stored.key > after), found.get("nextPageToken", "")
        )

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient."""
        return ResumingReader(lambda at: self._body(key, start + at))

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient. Raises Integrity for an object of more than METADATA_LIMIT bytes."""
        for _ in range(_TRIES):
            stored = self.head(key)
            if stored.size > METADATA_LIMIT:
                message = f"{self.place}/{key} is too large ({stored.size} > {METADATA_LIMIT})"
                raise Integrity(message)
            with suppress(NotFound):  # that generation is gone: there is another, or none
                return self._content(key, stored.version), stored
        raise BackendError(f"{self.place}/{key}: others write it all the time", op="read")

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient. Google shows nothing before the last byte."""
        with self._translated("write", key):
            fs, _ = self._held.get()
            file = fs.open("/".join(self._object(key)), "wb", block_size=_BLOCK)
        try:
            while block := reader.read(BLOCK):
                with self._translated("write", key):
                    file.write(block)
            with self._translated("write", key):
                file.close()
        except BaseException:
            with suppress(Exception):
                file.discard()
            file.closed = True  # else it would be finished when nobody has it any more
            raise

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient."""
        bucket, name = self._object(key)
        kind, body = _multipart({"name": name, "metadata": dict(metadata)}, raw)
        try:
            made = self._asked(
                "write",
                key,
                "POST",
                f"{self._held.get()[0]._location}/upload/storage/v1/b/{{}}/o",
                bucket,
                headers={"Content-Type": kind},
                data=BytesIO(body),
                uploadType="multipart",
                **_condition(version),
            )
        except Outdated as error:
            return landed(self, key, raw, metadata, error)
        return str(made["generation"])

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient. It is copied onto itself, so that rules by age see a new object."""
        where, token = self._object(stored.key), None
        path = "b/{}/o/{}/rewriteTo/b/{}/o/{}"
        while True:
            try:
                found = self._asked(
                    "touch",
                    stored.key,
                    "POST",
                    path,
                    *where,
                    *where,
                    rewriteToken=token,
                    **_condition(stored.version),
                )
            except Outdated:
                return self.head(stored.key).version  # somebody else wrote it just now
            if found.get("done", True):
                return str(found["resource"]["generation"])
            token = found["rewriteToken"]

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient. Some servers know no such condition: it is looked at before."""
        with suppress(NotFound):
            if version is not None and self.head(key).version != version:
                raise Outdated(f"{self.place}/{key}: somebody else wrote it meanwhile")
            with self._translated("delete", key):
                fs, _ = self._held.get()
                fs.call("DELETE", _OBJECT, *self._object(key), **_condition(version))

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient."""
        map_parallel(self.delete, keys, self.parallelism)

    def now(self) -> float:
        """See ObjectClient. Google's clocks are right."""
        return time()

    def close(self) -> None:
        """See ObjectClient. gcsfs closes its connections when nobody has it any more."""
        self._held.drop()

    def _place(self, op: str) -> tuple[str, str]:
        """Give the bucket, and what the names of all objects begin with."""
        with self._translated(op, ""):
            _, path = self._held.get()
        bucket, _, base = path.strip("/").partition("/")
        return bucket, base and f"{base}/"

    def _object(self, key: str) -> tuple[str, str]:
        bucket, base = self._place("reach")
        return bucket, base + key

    def _asked(self, op: str, key: str, method: str, path: str, *args: str, **more: Any) -> Any:
        """Ask for something and give the answer. Raises Outdated where a condition is not met."""
        with self._translated(op, key):
            fs, _ = self._held.get()
            try:
                return fs.call(method, path, *args, json_out=True, **more)
            except FileExistsError as error:  # as gcsfs calls a 412
                message = f"{self.place}/{key}: somebody else wrote it meanwhile"
                raise Outdated(message) from error

    def _content(self, key: str, generation: str) -> bytes:
        with self._translated("read", key):
            fs, _ = self._held.get()
            where = self._object(key)
            _, raw = fs.call("GET", _OBJECT, *where, alt="media", generation=generation)
            return bytes(raw)

    def _body(self, key: str, start: int) -> Reader:
        with self._translated("read", key):
            fs, _ = self._held.get()
            file = fs.open("/".join(self._object(key)), "rb")
            file.seek(start)
        return Body(file, lambda: self._translated("read", key))

    def _stored(self, found: Mapping[str, Any]) -> Stored:
        _, base = self._place("reach")
        return Stored(
            key=found["name"].removeprefix(base),
            size=int(found.get("size", 0)),
            version=str(found["generation"]),
            modified=datetime.fromisoformat(found["timeCreated"]).timestamp(),
            metadata={name.lower(): text for name, text in (found.get("metadata") or {}).items()},
        )

    def _translated(self, op: str, key: str) -> Any:
        return translated(op, f"{self.place}/{key}", retried=True)


def _condition(version: str | None) -> dict[str, str]:
    if version is None:
        return {}
    return {"ifGenerationMatch": "0" if version == ABSENT else version}


def _multipart(described: Mapping[str, Any], raw: bytes) -> tuple[str, bytes]:
    """Give the type and the bytes of a request that has a description and the bytes themselves."""
    line = uuid4().hex
    head = (
        f"--{line}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(described)}"
        f"\r\n--{line}\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    return f'multipart/related; boundary="{line}"', head.encode() + raw + f"\r\n--{line}--".encode()
