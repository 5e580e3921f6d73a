"""What clients are told of errors of the library, and of the machine."""

from __future__ import annotations

import errno
import json

import pytest

from cachexport import errors
from cachexport.gateway.http.refusal import Refusal, refusal

CASES = [
    (errors.WireFormat("no manifest"), 400, "MANIFEST_INVALID"),
    (errors.InvalidDigest("sha256:x"), 400, "DIGEST_INVALID"),
    (errors.InvalidReference("no name"), 400, "NAME_INVALID"),
    (errors.InvalidInputError("no name"), 400, "NAME_INVALID"),
    (errors.Integrity("corrupt"), 400, "DIGEST_INVALID"),
    (errors.AlreadyExists("no cache"), 409, "DENIED"),
    (errors.Conflict("the index stays locked"), 503, "UNAVAILABLE"),
    (errors.Outdated("somebody else wrote it"), 503, "UNAVAILABLE"),
    (errors.Unavailable("away"), 503, "UNAVAILABLE"),
    (errors.FailedPrecondition("not here"), 409, "DENIED"),
    (errors.NotFound("gone"), 404, "NAME_UNKNOWN"),
    (errors.BackendError("timed out", op="read", temporary=True), 503, "UNAVAILABLE"),
    (errors.BackendError("no such bucket", op="read"), 502, "UNAVAILABLE"),
    (errors.Auth("who is it", op="read"), 502, "UNAVAILABLE"),
    (errors.RegistryError("busy", op="read", status=429, temporary=True), 503, "UNAVAILABLE"),
    (errors.RegistryError("too large", op="write", status=413), 502, "UNAVAILABLE"),
    (errors.S3Error("slow down", op="write", code="SlowDown", temporary=True), 503, "UNAVAILABLE"),
    (errors.S3Error("no", op="write", code="AccessDenied"), 502, "UNAVAILABLE"),
    (errors.TransferError("cut", op="write", origin="destination"), 503, "UNAVAILABLE"),
    (ConnectionResetError("reset"), 503, "UNAVAILABLE"),
    (OSError(errno.ENOSPC, "No space left on device"), 507, "UNAVAILABLE"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), 507, "UNAVAILABLE"),
    (ValueError("a bug"), 500, "UNKNOWN"),
]


@pytest.mark.parametrize(("error", "status", "code"), CASES)
def test_what_a_client_is_told(error: Exception, status: int, code: str) -> None:
    refused = refusal(error)
    assert (refused.status, refused.code) == (status, code)
    # Of what may go when it is tried again clients hear when.
    assert (int(refused.headers.get("Retry-After", 0)) > 0) == (status == 503)
    [told] = json.loads(refused.body())["errors"]
    assert told == {"code": code, "message": refused.message, "detail": None}
    assert str(error) in refused.message


def test_a_full_disk_is_the_cause() -> None:
    error = errors.TransferError("cannot write", op="write", origin="destination")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert refusal(error).status == 507


def test_a_refusal_stays_as_it_is() -> None:
    refused = Refusal(418, "X", "as it is", {"A": "b"}, detail={"c": 1})
    assert refusal(refused) is refused
