"""Writing objects: in one piece, or in parts of which no two are in memory at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cachexport.content.verify import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cachexport.backends.objects.client import Stored
    from cachexport.content.protocols import Reader

_log = logging.getLogger(__name__)
_MOST_PARTS = 10_000
_LARGEST_COPY = 5 << 30
"""Bytes of an object that S3 copies with one request."""
_COPIED_PART = 1 << 30
_TOLD = ("ETag", "ChecksumCRC32")
"""What S3 says of a part and wants to hear again."""
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
"""What a copy would lose of an object, unless it is said again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How objects are written; `extras` are settings that S3 takes for each of them."""

    part_size: int = 8 << 20
    extras: Mapping[str, str] = field(default_factory=dict)
    checksums: bool = False
    """Whether boto3 sends a checksum with every part. S3 has to hear of it beforehand."""

    def write(self, s3: Any, bucket: str, key: str, reader: Reader, size: int) -> None:
        """Write `size` bytes. Raises what the reader raises, and boto3's errors."""
        if size <= self.part_size:
            body = _fill(bytearray(size), reader)
            reader.read(1)  # of an empty blob nothing was read, and so nothing verified, before
            s3.put_object(Bucket=bucket, Key=key, Body=body, **self.extras)
            return
        part_size = max(self.part_size, -(-size // _MOST_PARTS))

        def parts(upload: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
            buffer = bytearray(part_size)
            for number in range(1, -(-size // part_size) + 1):
                body = _fill(buffer, reader)
                yield s3.upload_part(**upload, PartNumber=number, Body=body)

        self._in_parts(s3, bucket, key, parts, self.extras)

    def touch(self, s3: Any, bucket: str, stored: Stored) -> str:
        """Copy an object onto itself, which makes it young, and give its ETag."""
        source = {"Bucket": bucket, "Key": stored.key}
        described = s3.head_object(Bucket=bucket, Key=stored.key)
        kept = {name: described[name] for name in _KEPT if described.get(name)}
        # Tags stay with a copy unless something else is asked for.
        extras = {name: value for name, value in self.extras.items() if name != "Tagging"}
        settings = {**kept, **extras}
        if extras.get("ServerSideEncryption", "aws:kms") != "aws:kms":
            settings.pop("SSEKMSKeyId", None)
        if stored.size <= _LARGEST_COPY:
            copied = s3.copy_object(
                Bucket=bucket,
                Key=stored.key,
                CopySource=source,
                CopySourceIfMatch=stored.version,
                MetadataDirective="REPLACE",
                **settings,
            )
            return str(copied["CopyObjectResult"]["ETag"])

        def parts(upload: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
            for number, start in enumerate(range(0, stored.size, _COPIED_PART), 1):
                end = min(start + _COPIED_PART, stored.size) - 1
                answer = s3.upload_part_copy(
                    **upload,
                    PartNumber=number,
                    CopySource=source,
                    CopySourceIfMatch=stored.version,
                    CopySourceRange=f"bytes={start}-{end}",
                )
                yield answer["CopyPartResult"]

        return self._in_parts(s3, bucket, stored.key, parts, settings)

    def _in_parts(
        self, s3: Any, bucket: str, key: str, parts: Any, settings: Mapping[str, Any]
    ) -> str:
        """Put an object together of parts, and give its ETag; if that fails nothing is left."""
        checksums = {"ChecksumAlgorithm": "CRC32"} if self.checksums else {}
        begun = s3.create_multipart_upload(Bucket=bucket, Key=key, **settings, **checksums)
        upload = {"Bucket": bucket, "Key": key, "UploadId": begun["UploadId"]}
        try:
            done = [
                {"PartNumber": number} | {name: part[name] for name in _TOLD if part.get(name)}
                for number, part in enumerate(parts(upload), 1)
            ]
            whole = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        except BaseException:
            _abort(s3, upload)
            raise
        return str(whole["ETag"])


def _fill(buffer: bytearray, reader: Reader) -> bytearray:
    """Read until the buffer is full or nothing is left, and give what was read."""
    at = 0
    while at < len(buffer) and (block := reader.read(min(BLOCK, len(buffer) - at))):
        buffer[at : at + len(block)] = block
        at += len(block)
    return buffer if at == len(buffer) else buffer[:at]


def _abort(s3: Any, upload: Mapping[str, str]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        s3.abort_multipart_upload(**upload)
    except (BotoCoreError, ClientError) as error:
        _log.warning(
            "s3://%s/%s: parts of a broken upload could not be deleted (%s); a lifecycle rule that "
            "aborts incomplete uploads removes them",
            upload["Bucket"],
            upload["Key"],
            type(error).__name__,
        )
