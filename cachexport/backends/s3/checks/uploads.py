"""What S3 has beyond other stores: uploads and copies in parts, checksums, old versions.

`desk.trial` removes what is written here.
"""

from __future__ import annotations

import io
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cachexport.backends.s3.attrs import MAX_PART, MIN_PART
from cachexport.backends.s3.checks.advice import SENT
from cachexport.backends.s3.errors import code_of, code_or_text, translated
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError, NotFound, S3Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.s3.checks.desk import Desk
    from cachexport.contract.checks import Finding

_SIZE = MIN_PART + 1024
"""Bytes of an object of two parts: the least that S3 takes, and a last one."""
_WRONG = "AAAAAA=="
"""A CRC32 of nothing that is written here."""


def parts(desk: Desk) -> Finding:
    """See whether an object can be written in parts, as large blobs are."""
    if not desk.trial.facts.may_delete:
        return skipped(f"one of {_SIZE:,} bytes could not be deleted again")
    key = desk.trial.own_key(_key(desk, "parts"))
    reader = io.BytesIO(secrets.token_bytes(_SIZE))
    try:
        with translated("write", f"{desk.place}/{key}"):
            in_two = replace(desk.writing, part_size=MIN_PART)
            in_two.write(desk.s3, desk.bucket, key, reader, _SIZE)
        desk.facts.large = desk.trial.client.head(key)
    except (BackendError, NotFound) as error:
        return _not_in_parts(desk, error)
    size = desk.facts.large.size
    if size != _SIZE:
        wrong = S3Error(f"{_SIZE:,} bytes in parts became {size:,}", op="write", code="")
        return _not_in_parts(desk, wrong)
    return ok(f"{size:,} bytes are taken in 2 parts", bytes=size)


def _not_in_parts(desk: Desk, error: BackendError | NotFound) -> Finding:
    size = desk.writing.part_size
    desk.facts.no_parts = code_or_text(error)
    text = f"no object is taken in parts ({desk.facts.no_parts})"
    if size >= MAX_PART:
        return note(f"{text}, and none is sent so, as part_size= says")
    advice = f"part_size={MAX_PART >> 30}GiB sends every blob in one piece"
    text = f"{text}: exports of blobs of more than {size:,} bytes fail"
    return failed(error, desk.advice(error) or advice, text=text)


def abort(desk: Desk) -> Finding:
    """See whether an upload in parts can be given up, and what was sent of it removed."""
    key = _key(desk, "aborted")
    where = f"{desk.place}/{key}"
    try:
        with translated("write", where):
            upload = desk.writing.begin(desk.s3, desk.bucket, key, desk.writing.extras)
            with upload:
                upload.send(1, bytes(1024))
    except BackendError as error:
        return skipped(f"no upload in parts can be begun ({code_or_text(error)})")
    try:
        with translated("delete", where), upload:
            upload.abort()
        is_gone = _is_aborted(desk, key, upload.id)
    except BackendError as error:
        return _stays(desk, code_or_text(error))
    if not is_gone:
        return _stays(desk, "they are there after an abort")
    return ok("an upload that breaks off leaves nothing")


def _is_aborted(desk: Desk, key: str, upload: str) -> bool:
    try:
        desk.call("list", key, "list_parts", UploadId=upload)
    except (Auth, NotFound):
        return True  # a login that may not list parts cannot see any
    except S3Error as error:
        return code_of(error) == "NoSuchUpload"
    return False


def _stays(desk: Desk, reason: str) -> Finding:
    return warning(
        f"parts of an upload that breaks off stay ({reason}), and cost",
        f"{desk.advice.allowing('s3:AbortMultipartUpload')}, or have a lifecycle rule remove "
        "them (AbortIncompleteMultipartUpload)",
    )


def copy_parts(desk: Desk) -> Finding:
    """See whether an object can be copied in parts, as blobs over 5 GiB are touched."""
    if desk.facts.large is None:
        return _not_copied(desk.facts.no_parts)
    key = desk.trial.own_key(_key(desk, "copied"))
    try:
        with translated("touch", f"{desk.place}/{key}"):
            settings = desk.writing.extras
            desk.writing.copy(desk.s3, desk.bucket, desk.facts.large, key, settings, MIN_PART)
        size = desk.trial.client.head(key).size
    except (BackendError, NotFound) as error:
        return _not_copied(code_or_text(error))
    if size != _SIZE:
        return _not_copied(f"{_SIZE:,} bytes became {size:,}")
    return ok("an object is copied in parts", copied=True)


def _not_copied(reason: str) -> Finding:
    return note(
        f"no object is copied in parts ({reason}): blobs of more than 5 GiB cannot be made "
        "young, and exports that use an old one again fail",
        "where there are such blobs, set touch_refresh=87600h and let nothing expire",
        copied=False,
    )


def checksums(desk: Desk) -> Finding:
    """See whether the server checks what S3's own checksums say."""
    try:
        _put(desk, "checked", ChecksumAlgorithm="CRC32")
    except S3Error as error:
        known = code_or_text(error)
        text = f"CRC32 is not known ({known}): digests are checked when blobs are read"
        return note(text, known=False, checked=False)
    try:
        _put(desk, "checked", ChecksumCRC32=_WRONG)
    except S3Error:
        is_sent = desk.connection.checksum == SENT
        hint = "is sent" if is_sent else f"checksum={SENT} sends it"
        return ok(f"CRC32 is checked; {hint}", known=True, checked=True)
    text = "CRC32 is taken but not checked: digests are, when blobs are read"
    return note(text, known=True, checked=False)


def versions(desk: Desk) -> Finding:
    """See whether the bucket keeps what is replaced or deleted."""
    answer = _put(desk, "versioned")
    if answer.get("VersionId", "null") == "null":
        return ok("what is replaced or deleted is not kept", kept=False)
    return note(
        "the bucket keeps what is replaced, touched or deleted as old versions",
        "have a lifecycle rule remove them (NoncurrentVersionExpiration)",
        kept=True,
    )


def _put(desk: Desk, suffix: str, **parameters: Any) -> Mapping[str, Any]:
    key = desk.trial.own_key(_key(desk, suffix))
    answer: Mapping[str, Any] = desk.call(
        "write", key, "put_object", Body=b"x", **desk.writing.extras, **parameters
    )
    return answer


def _key(desk: Desk, suffix: str) -> str:
    return f"{desk.trial.blobs.keys.blobs}{desk.trial.name}-{suffix}"
