"""Writing objects: in one piece, or in parts of which no two are in memory at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cachexport.content.verify import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cachexport.backends.objects.client import Stored
    from cachexport.content.protocols import Reader

_log = logging.getLogger(__name__)
_MOST_PARTS = 10_000
_LARGEST_COPY = 5 << 30
"""Bytes of an object that S3 copies with one request."""
_COPIED_PART = 1 << 30
_OF_PART = ("ETag", "ChecksumCRC32")
"""What S3 answers about a part, and wants again to put the object together."""
_KEPT = (
    "Metadata",
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "StorageClass",
    "ServerSideEncryption",
    "SSEKMSKeyId",
    "BucketKeyEnabled",
)
"""What a copy would lose of an object, unless it is given again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload in parts that has begun. Readers see nothing of it before `complete`.

    As a context manager it leaves nothing on the server when its block fails. All methods raise
    boto3's errors.
    """

    s3: Any
    bucket: str
    key: str
    id: str

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._discard()

    def send(self, number: int, body: bytes | bytearray) -> Mapping[str, Any]:
        """Send a part; they count from 1."""
        part: Mapping[str, Any] = self.s3.upload_part(**self._named, PartNumber=number, Body=body)
        return part

    def copy(self, number: int, source: Stored, start: int, end: int) -> Mapping[str, Any]:
        """Have the server take a part from an object of the same bucket; `end` is the last byte."""
        answer = self.s3.upload_part_copy(
            **self._named,
            PartNumber=number,
            CopySource={"Bucket": self.bucket, "Key": source.key},
            CopySourceIfMatch=source.version,
            CopySourceRange=f"bytes={start}-{end}",
        )
        part: Mapping[str, Any] = answer["CopyPartResult"]
        return part

    def complete(self, parts: Iterable[Mapping[str, Any]]) -> str:
        """Put the object together of all parts, and give its ETag."""
        done = [
            {"PartNumber": number} | {name: part[name] for name in _OF_PART if part.get(name)}
            for number, part in enumerate(parts, 1)
        ]
        whole = self.s3.complete_multipart_upload(**self._named, MultipartUpload={"Parts": done})
        return str(whole["ETag"])

    def abort(self) -> None:
        """Give it up, and have the server delete what was sent."""
        self.s3.abort_multipart_upload(**self._named)

    @property
    def _named(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key, "UploadId": self.id}

    def _discard(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.abort()
        except (BotoCoreError, ClientError) as error:
            _log.warning(
                "s3://%s/%s: parts of a broken upload could not be deleted (%s); a lifecycle rule "
                "that aborts incomplete uploads removes them",
                self.bucket,
                self.key,
                type(error).__name__,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How objects are written; `extras` are settings that S3 takes for each of them."""

    part_size: int = 8 << 20
    """Bytes."""
    extras: Mapping[str, str] = field(default_factory=dict)
    checksums: bool = False
    """Whether boto3 sends a checksum with every part. S3 has to know that when it begins."""

    def write(self, s3: Any, bucket: str, key: str, reader: Reader, size: int) -> None:
        """Write `size` bytes. Raises what the reader raises, and boto3's errors."""
        if size <= self.part_size:
            body = _fill(bytearray(size), reader)
            reader.read(1)  # an empty blob is verified by this read only
            s3.put_object(Bucket=bucket, Key=key, Body=body, **self.extras)
            return
        part_size = max(self.part_size, -(-size // _MOST_PARTS))
        buffer = bytearray(part_size)
        with self.begin(s3, bucket, key, self.extras) as upload:
            numbers = range(1, -(-size // part_size) + 1)
            upload.complete(upload.send(number, _fill(buffer, reader)) for number in numbers)

    def touch(self, s3: Any, bucket: str, stored: Stored) -> str:
        """Copy an object onto itself, which makes it young, and give its ETag."""
        described = s3.head_object(Bucket=bucket, Key=stored.key)
        kept = {name: described[name] for name in _KEPT if described.get(name)}
        # Tags stay with a copy unless something else is asked for.
        extras = {name: value for name, value in self.extras.items() if name != "Tagging"}
        settings = {**kept, **extras}
        if extras.get("ServerSideEncryption", "aws:kms") != "aws:kms":
            settings.pop("SSEKMSKeyId", None)
        if stored.size > _LARGEST_COPY:
            return self.copy(s3, bucket, stored, stored.key, settings, _COPIED_PART)
        copied = s3.copy_object(
            Bucket=bucket,
            Key=stored.key,
            CopySource={"Bucket": bucket, "Key": stored.key},
            CopySourceIfMatch=stored.version,
            MetadataDirective="REPLACE",
            **settings,
        )
        return str(copied["CopyObjectResult"]["ETag"])

    def copy(
        self,
        s3: Any,
        bucket: str,
        source: Stored,
        key: str,
        settings: Mapping[str, Any],
        part_size: int,
    ) -> str:
        """Copy an object to `key` in parts of so many bytes, and give the copy's ETag."""
        starts = range(0, source.size, part_size)
        with self.begin(s3, bucket, key, settings) as upload:
            return upload.complete(
                upload.copy(number, source, start, min(start + part_size, source.size) - 1)
                for number, start in enumerate(starts, 1)
            )

    def begin(self, s3: Any, bucket: str, key: str, settings: Mapping[str, Any]) -> Upload:
        """Begin an upload in parts of an object with these settings."""
        checksums = {"ChecksumAlgorithm": "CRC32"} if self.checksums else {}
        begun = s3.create_multipart_upload(Bucket=bucket, Key=key, **settings, **checksums)
        return Upload(s3=s3, bucket=bucket, key=key, id=begun["UploadId"])


def _fill(buffer: bytearray, reader: Reader) -> bytearray:
    """Read until the buffer is full or nothing is left, and give what was read."""
    at = 0
    while at < len(buffer) and (block := reader.read(min(BLOCK, len(buffer) - at))):
        buffer[at : at + len(block)] = block
        at += len(block)
    return buffer if at == len(buffer) else buffer[:at]
