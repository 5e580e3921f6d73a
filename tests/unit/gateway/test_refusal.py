"""Which answer an error of a store becomes."""

from __future__ import annotations

import errno

import pytest

from cachexport.errors import Auth, BackendError, Conflict, RegistryError, S3Error, Unavailable
from cachexport.gateway.refusal import refusal


@pytest.mark.parametrize(
    "error",
    [
        BackendError("nothing answers there", op="read", temporary=True),
        RegistryError("busy", op="read", status=429, temporary=True),
        S3Error("slow down", op="write", code="SlowDown", temporary=True),
        Conflict("somebody else wrote"),
        Unavailable("not now"),
        OSError(errno.EIO, "Input/output error"),
    ],
)
def test_what_may_go_later(error: Exception) -> None:
    answer = refusal(error)
    assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)


@pytest.mark.parametrize(
    "error",
    [
        Auth("who are you", op="read"),
        RegistryError("too large", op="write", status=413),
        S3Error("no", op="write", code="AccessDenied"),
    ],
)
def test_what_the_store_refuses(error: Exception) -> None:
    answer = refusal(error)
    assert (answer.status, "Retry-After" in answer.headers) == (502, False)


def test_a_full_disk_is_told_of_whatever_says_so() -> None:
    error = BackendError("cannot write", op="write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert refusal(error).status == 507
