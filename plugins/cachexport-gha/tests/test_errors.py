"""The tables of failures, walked."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from azure.core import exceptions as azure
from cachexport_gha.calls import Bucket, _seconds
from cachexport_gha.errors import CODES, TEMPORARY, WAITING, Expired, from_storage, refusal
from cachexport_gha.rest import Rest
from cachexport_gha.signed import Blob

from cachexport.errors import AlreadyExists, Auth, BackendError, NotFound
from cachexport.plugin import Clock, using_clock


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_word_has_its_meaning(code: str) -> None:
    error = refusal("write", "gha://x", 500, code)
    assert type(error) is CODES[code]
    assert code in str(error)


@pytest.mark.parametrize("status", sorted(TEMPORARY))
def test_some_statuses_may_pass(status: int) -> None:
    error = refusal("write", "gha://x", status)
    assert isinstance(error, BackendError)
    assert error.temporary


@pytest.mark.parametrize("code", sorted(WAITING))
def test_some_words_may_pass(code: str) -> None:
    error = refusal("write", "gha://x", 400, code)
    assert isinstance(error, BackendError)
    assert error.temporary


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Auth), (403, Auth), (404, NotFound), (409, AlreadyExists)]
)
def test_statuses_without_a_word(status: int, kind: type[Exception]) -> None:
    assert type(refusal("write", "gha://x", status)) is kind


def test_what_the_storage_says() -> None:
    def fails(error: azure.AzureError, status: int = 0) -> BackendError:
        if status and isinstance(error, azure.HttpResponseError):
            error.status_code = status
        with pytest.raises(BackendError) as raised, from_storage("read", "gha://x/key"):
            raise error
        return raised.value

    assert type(fails(azure.HttpResponseError("sig=secret"), 403)) is Expired
    broken = fails(azure.ServiceResponseError("https://x?sig=secret"))
    assert broken.temporary
    assert "secret" not in str(broken)
    assert fails(azure.HttpResponseError("x"), 503).temporary
    assert not fails(azure.HttpResponseError("x"), 400).temporary


def test_requests_drop_out_of_the_bucket_steadily() -> None:
    time, waits = [100.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time[0] += seconds

    bucket = Bucket()
    with using_clock(Clock(monotonic=lambda: time[0], sleep=sleep)):
        for _ in range(60):
            bucket.take()
        assert waits == []
        for _ in range(20):
            bucket.take()
        assert time[0] == pytest.approx(101.0, abs=0.2)
        bucket.pause(30)
        bucket.take()
    assert time[0] == pytest.approx(131.0, abs=0.3)


def test_a_pause_may_be_a_date() -> None:
    then = formatdate(time.time() + 30, usegmt=True)
    assert 25 < _seconds(then) <= 31
    assert (_seconds("7"), _seconds(""), _seconds("soon")) == (7.0, 0.0, 0.0)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "x"])
def test_what_is_no_url_of_a_storage(url: str) -> None:
    with pytest.raises(BackendError, match="gave no URL of a storage"):
        Blob(url, "gha://x/key")


@pytest.mark.parametrize("answer", [None, [], 1, {"actions_caches": "x", "total_count": 1}])
def test_lists_that_are_none(answer: object) -> None:
    class Odd:
        def ask(self, *args: object) -> object:
            return answer

    with pytest.raises(BackendError, match="does not speak as GitHub does"):
        list(Rest(Odd(), "a/b").list("x"))  # type: ignore[arg-type]
