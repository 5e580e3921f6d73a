"""Uploader that break: how they go on, what is sent again, and when they are given up."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from support.services.exports import MIB, hasten, noise, push, push_layers
from support.services.logins import ALICE
from support.services.relay import Relay
from support.services.scripted import Fault, ScriptedRegistry
from support.services.scripted.store import digest_of

from cachexport.backends.registry.uploads import Uploader
from cachexport.errors import CachexportError, TransferError

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.messages import Request
    from support.services.registry import Registry

START = r"/blobs/uploads/$"
UPLOAD = r"/blobs/uploads/."
SIZE = 20 * MIB
LAYER = noise(SIZE)
DIGEST = digest_of(LAYER)
RESET = Fault(read=3 * MIB, reset=True)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


def is_whole(request: Request) -> bool:
    """Tell the request with the whole layer from those of smaller blobs."""
    return int(request.headers.get("Content-Length", 0)) == SIZE


def of_layer(request: Request) -> bool:
    return request.query.get("digest") == DIGEST


def break_first(scripted: ScriptedRegistry, fault: Fault = RESET) -> None:
    scripted.on("PUT", UPLOAD, fault, when=is_whole)


def patches(scripted: ScriptedRegistry) -> list[tuple[str, int]]:
    """Give the range that each chunk announced, and how many bytes of it came."""
    return [
        (request.headers["Content-Range"], len(request.body))
        for request in scripted.asked("PATCH", UPLOAD)
    ]


def stored(scripted: ScriptedRegistry, repo: str) -> bool:
    return scripted.store.repositories[repo].blobs.get(DIGEST) == LAYER


def whole_puts(scripted: ScriptedRegistry) -> int:
    return len(list(filter(is_whole, scripted.asked("PUT", UPLOAD))))


THREE_CHUNKS = [
    ("0-8388607", 8 * MIB),
    ("8388608-16777215", 8 * MIB),
    ("16777216-20971519", 4 * MIB),
]


@pytest.mark.parametrize("fault", [RESET, Fault(status=413, body=b"too large")])
def test_what_does_not_get_through_whole_goes_in_chunks(
    scripted: ScriptedRegistry, repo: str, fault: Fault
) -> None:
    break_first(scripted, fault)
    push_layers(scripted.host, repo, [LAYER])
    assert patches(scripted) == THREE_CHUNKS
    assert whole_puts(scripted) == 1
    assert stored(scripted, repo)
    assert scripted.store.uploads == {}


def test_another_failure_is_no_reason_for_chunks(scripted: ScriptedRegistry, repo: str) -> None:
    break_first(scripted, Fault(status=503))
    push_layers(scripted.host, repo, [LAYER])
    assert patches(scripted) == []
    assert whole_puts(scripted) == 2


def test_a_blob_of_one_chunk_is_sent_whole_again(scripted: ScriptedRegistry, repo: str) -> None:
    rule = scripted.on(
        "PUT", UPLOAD, RESET, when=lambda r: r.headers["Content-Length"] == "8388608"
    )
    push_layers(scripted.host, repo, [LAYER[: 8 * MIB]])
    assert rule.hits == 2
    assert patches(scripted) == []


def test_a_chunk_goes_on_where_it_broke(scripted: ScriptedRegistry, repo: str) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, Fault(read=3 * MIB, kept=True, reset=True), nth=2)
    push_layers(scripted.host, repo, [LAYER])
    assert patches(scripted) == [
        ("0-8388607", 8 * MIB),
        ("8388608-16777215", 3 * MIB),
        ("11534336-16777215", 5 * MIB),
        ("16777216-20971519", 4 * MIB),
    ]
    assert len(scripted.asked("GET", UPLOAD)) == 1
    assert stored(scripted, repo)


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("fault", [RESET, Fault(status=500), Fault(status=429)])
def test_a_chunk_of_which_nothing_came_is_sent_again(
    scripted: ScriptedRegistry, repo: str, fault: Fault, nth: int
) -> None:
    scripted.distribution.moves = True
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, fault, nth=nth, times=2)
    push_layers(scripted.host, repo, [LAYER])
    chunk = THREE_CHUNKS[nth - 1][0]
    assert [range_ for range_, _ in patches(scripted)].count(chunk) == 3
    assert len(scripted.asked("PATCH", UPLOAD)) == 5
    assert stored(scripted, repo)


def test_a_chunk_whose_answer_was_lost_is_not_sent_again(
    scripted: ScriptedRegistry, repo: str
) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, Fault(silent=True), times=None)
    push_layers(scripted.host, repo, [LAYER])
    assert patches(scripted) == THREE_CHUNKS
    assert len(scripted.asked("GET", UPLOAD)) == 3
    assert stored(scripted, repo)


def test_a_registry_may_take_a_part_of_a_chunk(scripted: ScriptedRegistry, repo: str) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, Fault(headers={"Range": "0-1048575"}))

    def drops_the_rest(request: Request) -> bool:
        if request.headers["Content-Range"] == "1048576-8388607":
            [upload] = scripted.store.uploads.values()
            del upload.data[MIB:]
        return False

    scripted.on("PATCH", UPLOAD, Fault(), when=drops_the_rest)
    push_layers(scripted.host, repo, [LAYER])
    assert patches(scripted)[:2] == [("0-8388607", 8 * MIB), ("1048576-8388607", 7 * MIB)]
    assert stored(scripted, repo)


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=429)])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_passes_between_chunks_is_tried_again(
    scripted: ScriptedRegistry, repo: str, method: str, fault: Fault
) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, RESET, nth=2)
    rule = scripted.on(method, UPLOAD, fault, times=2, when=lambda r: not is_whole(r))
    push_layers(scripted.host, repo, [LAYER])
    assert rule.hits > 2
    assert len(patches(scripted)) == 4
    assert stored(scripted, repo)


LOST = {
    "gone": Fault(status=404),
    "refused": Fault(status=400),
    "forgot what it had": Fault(headers={"Range": "0-5"}),
    "has what was never sent": Fault(headers={"Range": "0-99999999"}),
    "says nothing": Fault(headers={"Range": None}),
    "says nonsense": Fault(headers={"Range": "all of it"}),
}


@pytest.mark.parametrize("status", LOST.values(), ids=LOST.keys())
def test_an_upload_that_is_lost_begins_anew(
    scripted: ScriptedRegistry, repo: str, status: Fault
) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, RESET, nth=2)
    scripted.on("GET", UPLOAD, status)
    push_layers(scripted.host, repo, [LAYER])
    first, broken, *again = patches(scripted)
    assert [first, broken] == [("0-8388607", 8 * MIB), ("8388608-16777215", 3 * MIB)]
    assert again == THREE_CHUNKS
    assert whole_puts(scripted) == 1
    assert stored(scripted, repo)
    assert scripted.store.uploads == {}


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 416, 501])
def test_a_registry_that_takes_no_chunks_gets_the_whole(
    scripted: ScriptedRegistry, repo: str, status: int
) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, Fault(status=status), times=None)
    push_layers(scripted.host, repo, [LAYER])
    assert len(scripted.asked("PATCH")) == 1
    assert whole_puts(scripted) == 2
    assert stored(scripted, repo)


def test_chunks_that_were_put_together_wrong_are_sent_whole(
    scripted: ScriptedRegistry, repo: str
) -> None:
    break_first(scripted)
    wrong = Fault(status=400, body=b'{"errors": [{"code": "DIGEST_INVALID"}]}')
    scripted.on("PUT", UPLOAD, wrong, when=lambda r: of_layer(r) and not is_whole(r))
    push_layers(scripted.host, repo, [LAYER])
    assert whole_puts(scripted) == 2
    assert stored(scripted, repo)


def test_what_is_too_large_in_any_way_says_so(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("PATCH", UPLOAD, Fault(status=405), times=None)
    scripted.on("PUT", UPLOAD, Fault(status=413), times=None, when=is_whole)
    with pytest.raises(TransferError, match=r"413 .*raise the limit") as raised:
        push_layers(scripted.host, repo, [LAYER])
    assert not raised.value.temporary
    assert (whole_puts(scripted), len(scripted.asked("PATCH"))) == (2, 1)


@pytest.mark.parametrize(
    ("least", "chunks"), [(9 * MIB, [9, 9, 2]), (5 * MIB, [8, 8, 4]), (1 << 40, [])]
)
def test_chunks_are_as_large_as_the_registry_wants_within_reason(
    scripted: ScriptedRegistry, repo: str, least: int, chunks: list[int]
) -> None:
    break_first(scripted)
    wants = Fault(headers={"OCI-Chunk-Min-Length": str(least)})
    scripted.on("POST", START, wants, times=None)
    push_layers(scripted.host, repo, [LAYER])
    assert [size // MIB for _, size in patches(scripted)] == chunks
    assert stored(scripted, repo)


@pytest.mark.parametrize("first", [Fault(silent=True), RESET])
def test_a_blob_that_came_is_not_sent_again(
    scripted: ScriptedRegistry, repo: str, first: Fault
) -> None:
    """First a whole blob, then the end of one in chunks comes, and only the answer is lost."""
    break_first(scripted, first)
    scripted.on("PUT", UPLOAD, Fault(silent=True), when=lambda r: of_layer(r) and not is_whole(r))
    push_layers(scripted.host, repo, [LAYER])
    assert whole_puts(scripted) == 1
    assert patches(scripted) == ([] if first.silent else THREE_CHUNKS)
    assert stored(scripted, repo)


def test_chunks_that_bring_nothing_are_given_up(scripted: ScriptedRegistry, repo: str) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, Fault(read=10, reset=True), nth=2, times=None)
    with pytest.raises(TransferError, match="tried 3 times"):
        push_layers(scripted.host, repo, [LAYER], "retries=3")
    # The whole blob was the first of the three tries. Of the others one got a chunk through, and
    # either sent three that broke.
    assert len(scripted.asked("PATCH")) == 1 + 3 + 3
    assert scripted.store.uploads == {}


def test_a_registry_that_hangs_up_on_chunks_gets_the_whole(
    scripted: ScriptedRegistry, repo: str
) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, Fault(read=10, reset=True), times=None)
    push_layers(scripted.host, repo, [LAYER], "retries=3")
    assert (whole_puts(scripted), len(scripted.asked("PATCH"))) == (2, 3)
    assert stored(scripted, repo)


def test_chunks_that_bring_something_are_not_given_up(
    scripted: ScriptedRegistry, repo: str
) -> None:
    break_first(scripted)
    scripted.on("PATCH", UPLOAD, Fault(read=MIB, kept=True, reset=True), times=None)
    push_layers(scripted.host, repo, [LAYER], "retries=2")
    assert len(scripted.asked("PATCH")) == SIZE // MIB
    assert stored(scripted, repo)


def test_a_small_blob_is_tried_again_wherever_it_is_written(
    scripted: ScriptedRegistry, repo: str
) -> None:
    """The config, which is the last of eleven, is sent by nobody who would try again."""
    rule = scripted.on("PUT", UPLOAD, Fault(read=5, reset=True), nth=11, times=2)
    push(scripted.host, repo)
    assert rule.hits == 13


@pytest.mark.parametrize("answer", [Fault(), Fault(status=500), Fault(silent=True)])
def test_an_upload_that_is_given_up_is_cancelled_once(
    scripted: ScriptedRegistry, repo: str, answer: Fault
) -> None:
    scripted.on("PUT", UPLOAD, Fault(status=507), times=None)
    cancel = scripted.on("DELETE", UPLOAD, answer, times=None)
    with pytest.raises(TransferError, match="507"):
        push_layers(scripted.host, repo, [b"small"])
    assert cancel.hits == len(scripted.asked("POST")) == 1
    assert (scripted.store.uploads == {}) is (answer.status is None)


def test_an_upload_is_cancelled_when_the_source_is_corrupt(
    scripted: ScriptedRegistry, repo: str
) -> None:
    layer = noise(2 * MIB)
    with ScriptedRegistry() as source:
        push_layers(source.host, repo, [layer])
        source.store.repositories[repo].blobs[digest_of(layer)] = bytes(2 * MIB)
        with pytest.raises(CachexportError, match="corrupt"):
            push(scripted.host, repo, source=f"{source.host}/{repo}:cache")
    assert len(scripted.asked("POST", START)) == 1
    assert scripted.store.uploads == {}


def test_no_more_than_four_blobs_hold_a_chunk(
    scripted: ScriptedRegistry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    five = threading.Barrier(5)
    genuine = Uploader._in_chunks

    def counted(uploads: Uploader, *args: object) -> None:
        with suppress(threading.BrokenBarrierError):
            five.wait(1)  # which no five of them come to
        genuine(uploads, *args)

    monkeypatch.setattr(Uploader, "_in_chunks", counted)
    layers = [noise(9 * MIB, seed) for seed in range(5)]
    scripted.on("PUT", UPLOAD, RESET, times=5, when=lambda r: "digest" in r.query)
    push_layers(scripted.host, repo, layers, "parallelism=5")
    assert five.broken
    assert len(scripted.asked("PATCH")) == 10


def challenge(scripted: ScriptedRegistry) -> None:
    asks = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    scripted.on("*", "", asks, times=None, when=lambda r: "Authorization" not in r.headers)


def test_a_login_does_not_follow_chunks(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path
) -> None:
    from support.services.exports import log_in

    log_in(tmp_path, scripted.host, ALICE)
    challenge(scripted)
    break_first(scripted)
    with ScriptedRegistry() as other:
        elsewhere = {"Location": f"{other.url}/v2/{repo}/blobs/uploads/x"}
        scripted.on("PATCH", UPLOAD, Fault(headers=elsewhere), times=None)
        with pytest.raises(CachexportError):
            push_layers(scripted.host, repo, [LAYER], "retries=2")
        assert {request.method for request in other.requests} == {"PATCH", "GET", "DELETE"}
        assert not any("Authorization" in request.headers for request in other.requests)


def test_the_real_registry_loses_chunks_and_gets_them_anew(registry: Registry, repo: str) -> None:
    with Relay(registry.host, [5 * MIB, 12 * MIB]) as relay:
        push_layers(relay.host, repo, [LAYER])
        assert relay.cuts == []
        # It may not have seen yet that the chunk broke: then that is sent once more in vain.
        assert 5 + 12 + 12 <= relay.sent / MIB < 5 + 12 + 8 + 20 + 1
    assert registry.has_blob(DIGEST, repo)


def test_what_is_lost_each_time_is_given_up(registry: Registry, repo: str) -> None:
    with (
        Relay(registry.host, [MIB, *[12 * MIB] * 9]) as relay,
        pytest.raises(TransferError, match="tried 3 times"),
    ):
        push_layers(relay.host, repo, [LAYER], "retries=3")
    assert 3 <= 10 - len(relay.cuts) <= 1 + 2 * 3
    assert not registry.has_blob(DIGEST, repo)
