"""What S3 has beyond other stores: uploads and copies in parts, checksums, old versions."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from cachexport.backends.s3.attrs import MAX_PART, MIN_PART
from cachexport.backends.s3.checks.advice import SENT
from cachexport.backends.s3.checks.desk import code, told
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError, CachexportError, NotFound, S3Error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cachexport.backends.objects.checks.trial import Trial
    from cachexport.backends.s3.checks.advice import Advice
    from cachexport.backends.s3.checks.desk import Desk
    from cachexport.contract.checks import Finding

_SIZES = (MIN_PART, 1024)
"""Bytes of the parts of an object: the least that S3 takes, and those of a last one."""
_WRONG = "AAAAAA=="
"""A CRC32 of nothing that is written here."""


class Uploading:
    """The checks of writing in S3's own ways. What they write, `trial` removes."""

    def __init__(self, desk: Desk, trial: Trial, advice: Advice) -> None:
        self._desk = desk
        self._trial = trial
        self._advice = advice
        self._uploads: dict[str, str] = {}
        """Keys of uploads that were begun, and not known to have ended."""
        self._large = ""

    def parts(self) -> Finding:
        """See whether an object can be written in parts, as large blobs are."""
        if not self._trial.may_delete:
            return skipped(f"one of {sum(_SIZES):,} bytes could not be deleted again")
        try:
            stored = self._in_parts("parts", self._send)
        except (BackendError, NotFound) as error:
            return self._not_in_parts(error)
        self._large = stored.key
        size = sum(_SIZES)
        if stored.size != size:
            wrong = S3Error(f"{size:,} bytes in parts became {stored.size:,}", op="write", code="")
            return self._not_in_parts(wrong)
        return ok(f"{size:,} bytes are taken in {len(_SIZES)} parts", bytes=size)

    def abort(self) -> Finding:
        """See whether an upload in parts can be given up, and what was sent of it removed."""
        key = self._key("aborted")
        try:
            upload = self._begin(key)
            self._part(key, upload, 1, bytes(1024))
        except BackendError as error:
            return skipped(f"no upload in parts can be begun ({told(error)})")
        try:
            self._abort(key, upload)
            is_gone = self._is_aborted(key, upload)
        except BackendError as error:
            return self._stays(told(error))
        if not is_gone:
            return self._stays("they are there after an abort")
        return ok("an upload that breaks off leaves nothing")

    def copy_parts(self) -> Finding:
        """See whether an object can be copied in parts, as blobs over 5 GiB are touched."""
        try:
            stored = self._in_parts("copied", self._copy)
        except (BackendError, NotFound) as error:
            return self._not_copied(told(error))
        if stored.size != sum(_SIZES):
            return self._not_copied(f"{sum(_SIZES):,} bytes became {stored.size:,}")
        return ok("an object is copied in parts", copied=True)

    def checksums(self) -> Finding:
        """See whether the server checks what S3's own checksums say."""
        try:
            self._put("checked", ChecksumAlgorithm="CRC32")
        except S3Error as error:
            text = f"CRC32 is not known ({told(error)}): digests are checked when blobs are read"
            return note(text, known=False, checked=False)
        try:
            self._put("checked", ChecksumCRC32=_WRONG)
        except S3Error:
            is_sent = self._desk.connection.checksum == SENT
            hint = "is sent" if is_sent else f"checksum={SENT} sends it"
            return ok(f"CRC32 is checked; {hint}", known=True, checked=True)
        text = "CRC32 is taken but not checked: digests are, when blobs are read"
        return note(text, known=True, checked=False)

    def versions(self) -> Finding:
        """See whether the bucket keeps what is replaced or deleted."""
        answer = self._put("versioned")
        if answer.get("VersionId", "null") == "null":
            return ok("what is replaced or deleted is not kept", kept=False)
        return note(
            "the bucket keeps what is replaced, touched or deleted as old versions",
            "have a lifecycle rule remove them (NoncurrentVersionExpiration)",
            kept=True,
        )

    def erase(self, key: str) -> None:
        """Delete a key with all its versions."""
        answer = self._desk.call("delete", key, "delete_object")
        if answer.get("VersionId", "null") == "null":
            return
        try:
            for version in self._desk.versions(key):
                self._desk.call("delete", key, "delete_object", VersionId=version)
        except Auth as error:
            message = f"{self._desk.place}/{key}: old versions cannot be deleted ({told(error)})"
            raise Auth(message, op="delete versions") from error

    def close(self) -> Sequence[CachexportError]:
        """Give up what is unfinished, and say what was in the way."""
        errors = []
        for key, upload in list(self._uploads.items()):
            try:
                self._abort(key, upload)
            except CachexportError as error:
                errors.append(error)
        return errors

    def _in_parts(self, suffix: str, part: Callable[[str, str, int, int], str]) -> Any:
        """Put an object together and describe it; `part` gives the version of each part."""
        key = self._key(suffix)
        upload = self._begin(key)
        numbered = enumerate(_SIZES, 1)
        done = [
            {"PartNumber": number, "ETag": part(key, upload, number, size)}
            for number, size in numbered
        ]
        self._desk.call(
            "write",
            self._trial.own_key(key),
            "complete_multipart_upload",
            UploadId=upload,
            MultipartUpload={"Parts": done},
        )
        self._uploads.pop(key, None)
        return self._trial.client.head(key)

    def _begin(self, key: str) -> str:
        extras = self._desk.writing.extras
        upload = self._desk.call("write", key, "create_multipart_upload", **extras)["UploadId"]
        self._uploads[key] = upload
        return str(upload)

    def _send(self, key: str, upload: str, number: int, size: int) -> str:
        return self._part(key, upload, number, secrets.token_bytes(size))

    def _part(self, key: str, upload: str, number: int, raw: bytes) -> str:
        which = {"UploadId": upload, "PartNumber": number, "Body": raw}
        return str(self._desk.call("write", key, "upload_part", **which)["ETag"])

    def _copy(self, key: str, upload: str, number: int, size: int) -> str:
        start = sum(_SIZES[: number - 1])
        answer = self._desk.call(
            "touch",
            key,
            "upload_part_copy",
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": self._desk.bucket, "Key": self._large},
            CopySourceIfMatch=self._trial.client.head(self._large).version,
            CopySourceRange=f"bytes={start}-{start + size - 1}",
        )
        return str(answer["CopyPartResult"]["ETag"])

    def _abort(self, key: str, upload: str) -> None:
        self._desk.call("delete", key, "abort_multipart_upload", UploadId=upload)
        self._uploads.pop(key, None)

    def _is_aborted(self, key: str, upload: str) -> bool:
        try:
            self._desk.call("list", key, "list_parts", UploadId=upload)
        except Auth:
            return True  # who may not look has to believe it
        except S3Error as error:
            return code(error) == "NoSuchUpload"
        except NotFound:
            return True
        return False

    def _put(self, suffix: str, **parameters: Any) -> Mapping[str, Any]:
        key = self._trial.own_key(self._key(suffix))
        extras = self._desk.writing.extras
        answer = self._desk.call("write", key, "put_object", Body=b"x", **extras, **parameters)
        found: Mapping[str, Any] = answer
        return found

    def _key(self, suffix: str) -> str:
        return f"{self._trial.blobs.keys.blobs}{self._trial.name}-{suffix}"

    def _not_in_parts(self, error: BackendError | NotFound) -> Finding:
        size = self._desk.writing.part_size
        text = f"no object is taken in parts ({told(error)})"
        if size >= MAX_PART:
            return note(f"{text}, and none is sent so, as part_size= says")
        advice = f"part_size={MAX_PART >> 30}GiB sends every blob in one piece"
        text = f"{text}: exports of blobs of more than {size:,} bytes fail"
        return failed(error, self._advice(error) or advice, text=text)

    def _not_copied(self, reason: str) -> Finding:
        return note(
            f"no object is copied in parts ({reason}): blobs of more than 5 GiB cannot be made "
            "young, and exports that use an old one again fail",
            "where there are such blobs, set touch_refresh=87600h and let nothing expire",
            copied=False,
        )

    def _stays(self, reason: str) -> Finding:
        return warning(
            f"parts of an upload that breaks off stay ({reason}), and cost",
            f"{self._advice.allowing('s3:AbortMultipartUpload')}, or have a lifecycle rule remove "
            "them (AbortIncompleteMultipartUpload)",
        )
