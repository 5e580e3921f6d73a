"""Uploads into a place that has to know a digest first, and uploads that are forgotten."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import pytest

from cachexport import Digest, MemoryContent
from cachexport.content.clock import Clock, using_clock
from cachexport.errors import FailedPrecondition, Integrity
from cachexport.gateway.http.refusal import Refusal
from cachexport.gateway.shelf.names import Below, ByPath, Single
from cachexport.gateway.shelf.origins import Recent
from cachexport.gateway.uploads import Spool, Uploads

if TYPE_CHECKING:
    from pathlib import Path

RAW = bytes(range(256)) * 4000
DIGEST = Digest.of(RAW)


class Place:
    """As much of a place as uploads need."""

    def __init__(self) -> None:
        self.content = MemoryContent()

    def ingesting(self) -> Any:
        return nullcontext(self.content)


def uploads(folder: Path, most: int = 1 << 30, **limits: Any) -> Uploads:
    given = {"most": 3, "expiry": 60.0, **limits}
    return Uploads(Spool(folder, most), **given)


def begin(those: Uploads, place: Place) -> Any:
    return those.begin("team/app", cast("Any", place))


def test_what_comes_in_parts_is_spooled(tmp_path: Path) -> None:
    those, place = uploads(tmp_path), Place()
    upload = begin(those, place)
    upload.write(RAW[:300_000])
    upload.write(RAW[300_000:])
    assert not list(tmp_path.iterdir())  # a file without a name
    with upload.direct(DIGEST, 0) as direct:
        assert direct is None
    upload.commit(DIGEST)
    those.end(upload)
    assert place.content.info(DIGEST).size == len(RAW)


def test_what_comes_at_once_is_not(tmp_path: Path) -> None:
    those, place = uploads(tmp_path, most=0), Place()
    upload = begin(those, place)
    with upload.direct(DIGEST, len(RAW)) as direct:
        direct.ingest(io.BytesIO(RAW))
    assert place.content.info(DIGEST).size == len(RAW)
    for lie in (RAW[:-1], RAW + b"x", RAW[::-1]):
        upload = begin(those, place)
        with pytest.raises(Integrity), upload.direct(Digest.of(b"other"), len(RAW)) as direct:
            direct.ingest(io.BytesIO(lie))
        those.close()
        those = uploads(tmp_path, most=0)


def test_what_comes_at_once_is_spooled_while_many_others_go_directly(tmp_path: Path) -> None:
    spool, place = Spool(tmp_path, 1 << 30), Place()
    those = Uploads(spool, most=3, expiry=60.0)
    while spool.direct.acquire(blocking=False):
        pass
    upload = begin(those, place)
    with upload.direct(DIGEST, len(RAW)) as direct:
        assert direct is None
    upload.write(RAW)
    upload.commit(DIGEST)
    those.end(upload)
    assert place.content.info(DIGEST).size == len(RAW)


def test_a_spool_that_is_full(tmp_path: Path) -> None:
    those, place = uploads(tmp_path, most=1_500_000), Place()
    first, second = begin(those, place), begin(those, place)
    first.write(RAW)
    with pytest.raises(Refusal) as refused:
        second.write(RAW)
    assert (refused.value.status, "Retry-After" in refused.value.headers) == (503, True)
    those.end(first)
    those.end(second)
    third = begin(those, place)
    third.write(RAW)
    those.end(third)


def test_a_blob_that_no_spool_takes(tmp_path: Path) -> None:
    those, place = uploads(tmp_path, most=500_000), Place()
    upload = begin(those, place)
    with pytest.raises(Refusal, match="--spool-bytes") as refused:
        upload.write(RAW)
    assert (refused.value.status, "Retry-After" in refused.value.headers) == (413, False)
    those.release(upload)
    assert len(those) == 0


def test_a_spool_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    with pytest.raises(FailedPrecondition, match="another user's"):
        Spool(tmp_path, 1).check()


def test_an_upload_is_forgotten_after_a_while(tmp_path: Path) -> None:
    now = [0.0]
    with using_clock(Clock(monotonic=lambda: now[0])):
        those, place = uploads(tmp_path), Place()
    resting, used = begin(those, place), begin(those, place)
    those.release(resting)
    now[0] = 59.0
    assert those.expire() == 0
    now[0] = 61.0
    assert (those.expire(), len(those)) == (1, 1)
    with pytest.raises(Refusal, match="no such upload"), those.using(resting.id, "team/app"):
        pass
    those.release(used)
    with those.using(used.id, "team/app"):
        with pytest.raises(Refusal, match="being written"), those.using(used.id, "team/app"):
            pass
        now[0] = 1000.0
        assert those.expire() == 0


def test_what_was_made_last_is_kept() -> None:
    recent = Recent(10)
    recent.keep([b"first", b"other"])
    assert recent.get(Digest.of(b"first")) == b"first"
    recent.keep([b"third"])
    assert recent.get(Digest.of(b"other")) is None
    assert recent.get(Digest.of(b"first")) == b"first"
    recent.keep([b"much more than that"])
    assert recent.get(Digest.of(b"much more than that"))
    assert recent.get(Digest.of(b"third")) is None


def test_names_that_one_reference_stands_for() -> None:
    single = Single(repository="to1", tag="cache", target="My Cache")
    assert single.name("to1", "cache") == "My Cache"
    assert single.reference("My Cache") == ("to1", "cache")
    assert single.reference("other") is None
    below = Below(repository="to1", target="steps/x")
    assert below.reference(below.name("to1", "abc")) == ("to1", "abc")
    assert below.reference("steps/y/abc") is None
    for naming in (single, below):
        with pytest.raises(ValueError, match="not served here"):
            naming.name("to2", "cache")


@pytest.mark.parametrize("name", ["main", "team/app/main", "a/b", "a.b/c_d"])
def test_a_name_and_its_reference(name: str) -> None:
    reference = ByPath().reference(name)
    assert reference is not None
    assert ByPath().name(*reference) == name
