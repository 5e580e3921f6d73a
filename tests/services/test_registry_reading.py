"""Reading that breaks: how it goes on, whatever a registry makes of ranges, and when it ends."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from support import caches
from support.services.exports import MIB, hasten, noise, pull, push, push_layers
from support.services.scripted import Fault
from support.services.scripted.store import digest_of

from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.scripted import ScriptedRegistry

BLOB = "/blobs/sha256:"
LAYER = noise(5 * MIB)
DIGEST = digest_of(LAYER)
CUT = Fault(cut=3 * MIB + 7)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


@pytest.fixture
def pushed(scripted: ScriptedRegistry, repo: str) -> ScriptedRegistry:
    push_layers(scripted.host, repo, [LAYER])
    return scripted


def ranges(scripted: ScriptedRegistry) -> list[str | None]:
    return [request.headers["Range"] for request in scripted.asked("GET", DIGEST)]


def arrived(files: dict[str, bytes]) -> bool:
    return files["blobs/" + DIGEST.replace(":", "/")] == LAYER


def test_it_goes_on_where_it_broke(pushed: ScriptedRegistry, repo: str, tmp_path: Path) -> None:
    pushed.on("GET", DIGEST, CUT)
    assert arrived(pull(pushed.host, repo, tmp_path))
    assert ranges(pushed) == [None, f"bytes={3 * MIB}-"]


WITHOUT_RANGES = {
    "ignored": Fault(status=200, body=LAYER),
    "refused": Fault(status=416),
    "another one": Fault(status=206, body=LAYER[5:], headers={"Content-Range": "bytes 5-9/10"}),
    "untold": Fault(status=206, body=LAYER),
    "of what is encoded": Fault(
        status=206,
        body=gzip.compress(LAYER)[3 * MIB :],
        headers={"Content-Range": f"bytes {3 * MIB}-6000000/6000001", "Content-Encoding": "gzip"},
    ),
}


@pytest.mark.parametrize("fault", WITHOUT_RANGES.values(), ids=WITHOUT_RANGES.keys())
def test_a_registry_without_ranges_is_read_from_the_start(
    pushed: ScriptedRegistry, repo: str, tmp_path: Path, fault: Fault
) -> None:
    pushed.on("GET", DIGEST, CUT)
    pushed.on("GET", DIGEST, fault, nth=2)
    assert arrived(pull(pushed.host, repo, tmp_path))
    again = [] if fault.status == 200 else [None]
    assert ranges(pushed) == [None, f"bytes={3 * MIB}-", *again]


def test_a_break_while_reading_from_the_start_is_one_more(
    pushed: ScriptedRegistry, repo: str, tmp_path: Path
) -> None:
    pushed.on("GET", DIGEST, CUT)
    pushed.on("GET", DIGEST, Fault(status=200, body=LAYER, cut=MIB), nth=2, times=2)
    assert arrived(pull(pushed.host, repo, tmp_path))
    assert len(ranges(pushed)) == 4


def test_what_a_proxy_encodes_is_decoded_and_not_asked_for_in_parts(
    pushed: ScriptedRegistry, repo: str, tmp_path: Path
) -> None:
    encoded = gzip.compress(LAYER, 1)
    gzipped = {"Content-Encoding": "gzip"}
    first = Fault(status=200, body=encoded, headers=gzipped, cut=3 * MIB)
    pushed.on("GET", DIGEST, first)
    pushed.on("GET", DIGEST, Fault(status=200, body=encoded, headers=gzipped), nth=2)
    assert arrived(pull(pushed.host, repo, tmp_path))
    assert ranges(pushed) == [None, None]


@pytest.mark.parametrize("retries", [1, 2, 3, 7])
@pytest.mark.parametrize("fault", [Fault(status=500), Fault(cut=20), Fault(silent=True)])
def test_a_blob_is_asked_for_as_often_as_told(
    pushed: ScriptedRegistry, repo: str, tmp_path: Path, fault: Fault, retries: int
) -> None:
    rule = pushed.on("GET", DIGEST, fault, times=None)
    with pytest.raises(CachexportError, match="in the source"):
        pull(pushed.host, repo, tmp_path, f"retries={retries}")
    assert rule.hits == retries


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/manifests/"), ("GET", "/manifests/")])
@pytest.mark.parametrize("retries", [1, 3])
def test_a_manifest_is_asked_for_as_often_as_told(
    pushed: ScriptedRegistry, repo: str, tmp_path: Path, method: str, path: str, retries: int
) -> None:
    rule = pushed.on(method, path, Fault(status=500), times=None)
    with pytest.raises(CachexportError, match="500"):
        pull(pushed.host, repo, tmp_path, f"retries={retries}")
    assert rule.hits == retries


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(silent=True)])
@pytest.mark.parametrize(
    ("method", "path"), [("HEAD", "/manifests/"), ("GET", "/manifests/"), ("GET", BLOB)]
)
def test_what_passes_is_tried_again(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path, method: str, path: str, fault: Fault
) -> None:
    push(scripted.host, repo)
    rule = scripted.on(method, path, fault, times=2)
    assert pull(scripted.host, repo, tmp_path) == caches.files(caches.FOLDER / "max")
    assert rule.hits > 2
