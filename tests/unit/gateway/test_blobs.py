"""Blobs through a gateway, as the distribution specification has it."""

from __future__ import annotations

import http.client
import os
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cachexport import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.gateway.conftest import Gateway

RAW = os.urandom(700_000)
DIGEST = Digest.of(RAW)


def begin(gateway: Gateway) -> str:
    answer = gateway.ask("POST", "/v2/team/app/blobs/uploads/")
    assert (answer.status, answer.headers["Range"]) == (202, "0-0")
    return answer.headers["Location"]


def test_a_blob_comes_in_parts(gateway: Gateway) -> None:
    place = begin(gateway)
    first = gateway.ask("PATCH", place, RAW[:300_000], Content_Range="0-299999")
    assert (first.status, first.headers["Range"]) == (202, "0-299999")
    status = gateway.ask("GET", place)
    assert (status.status, status.headers["Range"]) == (204, "0-299999")
    assert gateway.ask("HEAD", f"/v2/team/app/blobs/{DIGEST}").status == 404
    assert gateway.ask("PATCH", place, RAW[300_000:600_000]).status == 202
    done = gateway.ask("PUT", f"{place}?digest={DIGEST}", RAW[600_000:])
    assert (done.status, done.headers["Docker-Content-Digest"]) == (201, DIGEST)
    found = gateway.ask("GET", done.headers["Location"])
    assert (found.status, found.body) == (200, RAW)
    assert gateway.ask("GET", place).code == "BLOB_UPLOAD_UNKNOWN"


def test_a_blob_comes_at_once(gateway: Gateway) -> None:
    assert gateway.put_blob("team/app", RAW) == DIGEST
    assert gateway.ask("GET", f"/v2/team/app/blobs/{DIGEST}").body == RAW
    place = begin(gateway)
    assert gateway.ask("PUT", f"{place}?digest={DIGEST}", RAW).status == 201


def test_a_body_without_a_length(gateway: Gateway) -> None:
    place = begin(gateway)
    parts = iter([RAW[:100_000], RAW[100_000:]])
    assert gateway.ask("PUT", f"{place}?digest={DIGEST}", parts).status == 201
    assert gateway.ask("GET", f"/v2/x/blobs/{DIGEST}").body == RAW


def test_an_empty_blob(gateway: Gateway) -> None:
    digest = gateway.put_blob("team/app", b"")
    found = gateway.ask("GET", f"/v2/team/app/blobs/{digest}")
    assert (found.status, found.body, found.headers["Content-Length"]) == (200, b"", "0")


def test_what_is_there_is_mounted(gateway: Gateway) -> None:
    gateway.put_blob("team/app", RAW)
    there = f"/v2/other/blobs/uploads/?mount={DIGEST}&from=team/app"
    assert gateway.ask("POST", there).status == 201
    absent = f"/v2/other/blobs/uploads/?mount={Digest.of(b'absent')}&from=team/app"
    assert gateway.ask("POST", absent).status == 202


PARTS = [
    ("bytes=0-3", 0, 4),
    ("bytes=5-", 5, 700_000),
    ("bytes=-7", 699_993, 700_000),
    ("bytes=299999-400000", 299_999, 400_001),
    ("bytes=699999-900000", 699_999, 700_000),
]


def test_a_part_of_a_blob(gateway: Gateway) -> None:
    gateway.put_blob("team/app", RAW)
    for wanted, first, end in PARTS:
        found = gateway.ask("GET", f"/v2/team/app/blobs/{DIGEST}", Range=wanted)
        assert (found.status, found.body) == (206, RAW[first:end])
        assert found.headers["Content-Range"] == f"bytes {first}-{end - 1}/700000"


def test_a_part_that_is_not_there(gateway: Gateway) -> None:
    gateway.put_blob("team/app", RAW)
    found = gateway.ask("GET", f"/v2/team/app/blobs/{DIGEST}", Range="bytes=700000-")
    assert (found.status, found.headers["Content-Range"]) == (416, "bytes */700000")


def test_a_digest_that_lies(gateway: Gateway, tmp_path: Path) -> None:
    for lie in (RAW + b"more", RAW[:-1], b""):
        place = begin(gateway)
        refused = gateway.ask("PUT", f"{place}?digest={DIGEST}", lie)
        assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
        assert gateway.ask("PUT", f"{place}?digest={DIGEST}", RAW).code == "BLOB_UPLOAD_UNKNOWN"
    assert gateway.ask("HEAD", f"/v2/team/app/blobs/{DIGEST}").status == 404
    assert not list((tmp_path / "store" / "ingest").rglob("*.tmp"))


def test_no_digest(gateway: Gateway) -> None:
    for digest in ("", "sha256:12", "md5:" + 32 * "0", "sha512:" + 128 * "0"):
        place = begin(gateway)
        assert gateway.ask("PUT", f"{place}?digest={digest}", RAW).code == "DIGEST_INVALID"


def test_a_part_that_does_not_follow(gateway: Gateway) -> None:
    place = begin(gateway)
    for told in ("1-300000", "0-5", "0-900000", "5", "5-0"):
        refused = gateway.ask("PATCH", place, RAW[:300_000], Content_Range=told)
        assert (refused.status, refused.code) == (416, "BLOB_UPLOAD_INVALID")
        assert refused.headers["Range"] == "0-0"
    assert gateway.ask("PATCH", place, RAW, Content_Range="0-699999").status == 202


def test_an_upload_is_cancelled(gateway: Gateway, tmp_path: Path) -> None:
    place = begin(gateway)
    gateway.ask("PATCH", place, RAW)
    assert len(list((tmp_path / "store" / "ingest").rglob("*.tmp"))) == 1
    assert gateway.ask("DELETE", place).status == 204
    assert not list((tmp_path / "store" / "ingest").rglob("*.tmp"))
    assert gateway.ask("PATCH", place, RAW).code == "BLOB_UPLOAD_UNKNOWN"


def test_an_upload_belongs_to_its_repository(gateway: Gateway) -> None:
    elsewhere = begin(gateway).replace("team/app", "other")
    assert gateway.ask("PATCH", elsewhere, RAW).code == "BLOB_UPLOAD_UNKNOWN"


def test_too_many_uploads(start: Callable[..., Gateway]) -> None:
    gateway = start(uploads=2)
    first = begin(gateway)
    begin(gateway)
    refused = gateway.ask("POST", "/v2/team/app/blobs/uploads/")
    assert (refused.status, refused.code) == (429, "TOOMANYREQUESTS")
    assert int(refused.headers["Retry-After"]) > 0
    gateway.ask("DELETE", first)
    begin(gateway)


def test_a_client_that_breaks_off_can_go_on(gateway: Gateway) -> None:
    place = begin(gateway)
    host, _, port = gateway.host.partition(":")
    with closing(socket.create_connection((host, int(port)))) as raw:
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(RAW)}\r\n\r\n"
        raw.sendall(head.encode() + RAW[:400_000])
    for _ in range(500):
        status = gateway.ask("GET", place)
        if status.status == 204:
            break
        time.sleep(0.01)
    came = int(status.headers["Range"].partition("-")[2]) + 1
    done = gateway.ask("PATCH", place, RAW[came:], Content_Range=f"{came}-{len(RAW) - 1}")
    assert done.status == 202
    assert gateway.ask("PUT", f"{place}?digest={DIGEST}").status == 201


def test_a_full_disk(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    place = begin(gateway)

    def write(fd: int, block: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cachexport.content.files.staged.os.write", write)
        refused = gateway.ask("PUT", f"{place}?digest={DIGEST}", RAW)
    assert (refused.status, refused.code) == (507, "UNAVAILABLE")
    assert gateway.ask("HEAD", f"/v2/team/app/blobs/{DIGEST}").status == 404


def test_a_disk_that_is_full_in_a_block(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    place, room, whole = begin(gateway), [300_001], os.write

    def write(fd: int, block: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = whole(fd, block[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr("cachexport.content.files.staged.os.write", write)
        assert gateway.ask("PATCH", place, RAW).status == 507
    # How much is there nobody knows for sure, so it does not go on.
    assert gateway.ask("GET", place).code == "BLOB_UPLOAD_UNKNOWN"
    assert b"cachexport_uploads 0.0" in gateway.ask("GET", "/metrics").body


def test_blobs_are_not_deleted(gateway: Gateway) -> None:
    gateway.put_blob("team/app", RAW)
    refused = gateway.ask("DELETE", f"/v2/team/app/blobs/{DIGEST}")
    assert (refused.status, refused.code) == (405, "UNSUPPORTED")


def test_what_is_refused_holds_no_place_of_an_upload(gateway: Gateway) -> None:
    for digest in ("garbage", "", "sha512:0"):
        refused = gateway.ask("POST", f"/v2/a/blobs/uploads/?digest={digest}", b"x")
        assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
    assert b"cachexport_uploads 0.0" in gateway.ask("GET", "/metrics").body


def test_a_blob_that_is_corrupt_is_not_served_for_it(
    start: Callable[..., Gateway], tmp_path: Path
) -> None:
    gateway = start(verify=True)
    gateway.put_blob("team/app", RAW)
    path = tmp_path / "store" / "blobs" / "sha256" / DIGEST.encoded
    for wrong in (b"", RAW[:-1], RAW[:600_000], b"x" + RAW[1:]):
        path.write_bytes(wrong)
        if len(wrong) > 512 << 10:  # it has begun when it is noticed
            with pytest.raises(http.client.IncompleteRead):
                gateway.ask("GET", f"/v2/team/app/blobs/{DIGEST}")
        else:
            assert gateway.ask("GET", f"/v2/team/app/blobs/{DIGEST}").code == "BLOB_UNKNOWN"
    gateway.stop()  # then all is told: a client has its answer before that
    said = [record.error for record in gateway.told if record.method == "GET"]
    assert ["is corrupt" in error for error in said] == [True] * 4
