"""The rig's scripted registry: right when nothing is scripted, and wrong as scripted."""

from __future__ import annotations

import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from threading import Event
from typing import TYPE_CHECKING

import pytest
from support.caches import FOLDER
from support.services.client import Answer, ask
from support.services.push import PushFailed, push_blob, push_layout, push_manifest
from support.services.scripted import Fault, ScriptedRegistry
from support.services.scripted.store import digest_of

if TYPE_CHECKING:
    from support.services.tls import Authority

OCI = "application/vnd.oci.image.manifest.v1+json"
BUILDKIT = "application/vnd.buildkit.cacheconfig.v0"
DATA = bytes(range(256)) * 40


def test_a_cache_goes_in_and_out(scripted: ScriptedRegistry) -> None:
    digest = push_layout(scripted.url, "a/b", "cache", FOLDER / "max")
    answer = _get(scripted, "/v2/a/b/manifests/cache", Accept=f"text/plain, {OCI}")
    assert digest_of(answer.body) == digest == answer.headers["Docker-Content-Digest"]
    assert answer.headers["Content-Type"] == OCI
    for layer in answer.json()["layers"]:
        blob = _get(scripted, f"/v2/a/b/blobs/{layer['digest']}")
        assert digest_of(blob.body) == layer["digest"]


def test_a_manifest_is_given_to_who_accepts_it(scripted: ScriptedRegistry) -> None:
    push_layout(scripted.url, "a/b", "cache", FOLDER / "min")
    assert _get(scripted, "/v2/a/b/manifests/cache", Accept="*/*").status == 404
    assert _get(scripted, "/v2/a/b/manifests/other", Accept=OCI).status == 404
    assert _get(scripted, "/v2/none/manifests/cache", Accept=OCI).status == 404


def test_head_has_the_size_and_no_body(scripted: ScriptedRegistry) -> None:
    digest = scripted.add_blob("a/b", DATA)
    answer = ask("HEAD", f"{scripted.url}/v2/a/b/blobs/{digest}")
    assert (answer.headers["Content-Length"], answer.body) == (str(len(DATA)), b"")
    assert ask("HEAD", f"{scripted.url}/v2/a/b/blobs/{digest_of(b'')}").status == 404


def test_a_range_is_given(scripted: ScriptedRegistry) -> None:
    path = f"/v2/a/b/blobs/{scripted.add_blob('a/b', DATA)}"
    part = _get(scripted, path, Range="bytes=10-19")
    assert (part.status, part.body) == (206, DATA[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(DATA)}"
    assert _get(scripted, path, Range="bytes=10-").body == DATA[10:]
    assert _get(scripted, path, Range=f"bytes={len(DATA)}-").status == 416


def test_a_blob_may_come_in_one_request(scripted: ScriptedRegistry) -> None:
    url = f"{scripted.url}/v2/a/b/blobs/uploads/?digest={digest_of(DATA)}"
    assert ask("POST", url, DATA).status == 201
    assert scripted.store.repositories["a/b"].blobs == {digest_of(DATA): DATA}


def test_a_blob_may_come_in_chunks(scripted: ScriptedRegistry) -> None:
    url = scripted.url + ask("POST", f"{scripted.url}/v2/a/b/blobs/uploads/").headers["Location"]
    first = ask("PATCH", url, DATA[:100], {"Content-Range": "0-99"})
    assert (first.status, first.headers["Range"]) == (202, "0-99")
    assert ask("PATCH", url, DATA[50:], {"Content-Range": "50-999"}).status == 416
    assert ask("GET", url).headers["Range"] == "0-99"
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(DATA) - 100, DATA[100:])
    assert ask("PATCH", url, chunked, {"Transfer-Encoding": "chunked"}).status == 202
    assert ask("PUT", f"{url}&digest={digest_of(b'other')}").status == 400
    assert ask("PUT", f"{url}&digest={digest_of(DATA)}").status == 201
    assert ask("GET", url).status == 404
    assert scripted.store.repositories["a/b"].blobs == {digest_of(DATA): DATA}


def test_a_blob_is_mounted_or_else_uploaded(scripted: ScriptedRegistry) -> None:
    digest = scripted.add_blob("from", DATA)
    start = f"{scripted.url}/v2/to/blobs/uploads/?mount={digest}"
    assert ask("POST", f"{start}&from=elsewhere").status == 202
    assert ask("POST", f"{start}&from=from").status == 201
    assert ask("HEAD", f"{scripted.url}/v2/to/blobs/{digest}").status == 200
    scripted.distribution.mounts = False
    assert ask("POST", f"{start}&from=from").status == 202


def test_tags_come_in_pages(scripted: ScriptedRegistry) -> None:
    for tag in "cab":
        push_layout(scripted.url, "a/b", tag, FOLDER / "min")
    page = _get(scripted, "/v2/a/b/tags/list?n=2")
    assert page.json() == {"name": "a/b", "tags": ["a", "b"]}
    following = page.headers["Link"].partition(">")[0].removeprefix("<")
    assert _get(scripted, following).json()["tags"] == ["c"]
    assert "Link" not in _get(scripted, following).headers


def test_manifests_and_blobs_are_deleted(scripted: ScriptedRegistry) -> None:
    digest = push_layout(scripted.url, "a/b", "one", FOLDER / "min")
    push_layout(scripted.url, "a/b", "two", FOLDER / "min")
    manifests = f"{scripted.url}/v2/a/b/manifests"
    assert ask("DELETE", f"{manifests}/one").status == 202
    assert _get(scripted, f"/v2/a/b/manifests/{digest}", Accept=OCI).status == 200
    assert ask("DELETE", f"{manifests}/{digest}").status == 202
    assert _get(scripted, "/v2/a/b/tags/list").json()["tags"] == []
    blob = f"{scripted.url}/v2/a/b/blobs/{scripted.add_blob('a/b', DATA)}"
    assert [ask("DELETE", blob).status, ask("DELETE", blob).status] == [202, 404]
    assert ask("PUT", blob).status == 405


def test_a_manifest_needs_its_blobs_unless_told_otherwise(scripted: ScriptedRegistry) -> None:
    raw = json.dumps({"layers": [{"digest": digest_of(DATA)}]}).encode()
    with pytest.raises(PushFailed, match="MANIFEST_BLOB_UNKNOWN"):
        push_manifest(scripted.url, "a/b", "tag", raw, OCI)
    scripted.distribution.checks_blobs = False
    assert push_manifest(scripted.url, "a/b", "tag", raw, OCI) == digest_of(raw)
    with pytest.raises(PushFailed, match="DIGEST_INVALID"):
        push_manifest(scripted.url, "a/b", digest_of(DATA), raw, OCI)


@pytest.mark.parametrize("media_type", [OCI, BUILDKIT])
def test_a_media_type_is_refused(scripted: ScriptedRegistry, media_type: str) -> None:
    scripted.refuse(media_type, 415)
    with pytest.raises(PushFailed, match=r"415.*MANIFEST_INVALID"):
        push_layout(scripted.url, "a/b", "cache", FOLDER / "max")
    push_layout(scripted.url, "a/b", "cache", FOLDER / "max-docker-list")


def test_a_fault_plays_when_it_is_due(scripted: ScriptedRegistry) -> None:
    busy = Fault(status=503, headers={"Retry-After": "7"})
    rule = scripted.on("GET", r"/tags/", busy, nth=2, times=2)
    scripted.add_blob("a/b", DATA)
    answers = [_get(scripted, "/v2/a/b/tags/list") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 503, 503, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert rule.hits == 4
    assert _get(scripted, "/v2/").status == 200


def test_a_fault_may_depend_on_the_request(scripted: ScriptedRegistry) -> None:
    denied = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    scripted.on(
        "*", "", denied, times=None, when=lambda asked: "authorization" not in asked.headers
    )
    assert [_get(scripted, "/v2/").status for _ in range(2)] == [401, 401]
    assert _get(scripted, "/v2/", Authorization="Basic x").status == 200
    assert [asked.headers["Authorization"] for asked in scripted.requests] == [
        None,
        None,
        "Basic x",
    ]


def test_headers_are_put_over_the_reply(scripted: ScriptedRegistry) -> None:
    path = f"/v2/a/b/blobs/{scripted.add_blob('a/b', DATA)}"
    wrong = {"Docker-Content-Digest": digest_of(b"wrong"), "Accept-Ranges": None}
    scripted.on("GET", path, Fault(headers=wrong))
    answer = _get(scripted, path)
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["Docker-Content-Digest"] == digest_of(b"wrong")
    assert "Accept-Ranges" not in answer.headers


def test_a_location_may_lead_elsewhere(scripted: ScriptedRegistry) -> None:
    with ScriptedRegistry() as other:
        other.on("GET", "/signed", Fault(status=200, body=DATA))
        there = {"Location": f"{other.url}/signed?key=1"}
        scripted.on("GET", "/blobs/", Fault(status=307, headers=there))
        moved = _get(scripted, "/v2/a/b/blobs/x", Authorization="Bearer secret")
        assert ask("GET", moved.headers["Location"]).body == DATA
        (asked,) = other.asked("GET", "/signed")
        assert asked.query == {"key": "1"}
        assert "Authorization" not in asked.headers


def test_a_reply_is_cut(scripted: ScriptedRegistry) -> None:
    path = f"/v2/a/b/blobs/{scripted.add_blob('a/b', DATA)}"
    scripted.on("GET", path, Fault(cut=1000))
    with pytest.raises(IncompleteRead) as caught:
        _get(scripted, path)
    assert caught.value.partial == DATA[:1000]
    assert _get(scripted, path).body == DATA


def test_a_reply_is_reset_in_its_middle(scripted: ScriptedRegistry) -> None:
    path = f"/v2/a/b/blobs/{scripted.add_blob('a/b', DATA)}"
    scripted.on("GET", path, Fault(cut=1000, reset=True))
    with pytest.raises(ConnectionResetError):
        _get(scripted, path)


def test_a_request_is_reset_in_its_middle(scripted: ScriptedRegistry) -> None:
    scripted.on("PUT", "/uploads/", Fault(read=1000, reset=True))
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        push_blob(scripted.url, "a/b", DATA * 1000)
    assert scripted.asked("PUT")[0].body == DATA[:1000]
    assert "a/b" not in scripted.store.repositories


def test_what_was_done_may_stay_unsaid(scripted: ScriptedRegistry) -> None:
    scripted.on("PUT", "/uploads/", Fault(silent=True))
    with pytest.raises(RemoteDisconnected):
        push_blob(scripted.url, "a/b", DATA)
    assert scripted.store.repositories["a/b"].blobs == {digest_of(DATA): DATA}


def test_a_request_is_held_until_the_test_lets_it_go(scripted: ScriptedRegistry) -> None:
    go = Event()
    rule = scripted.on("GET", "/tags/", Fault(until=go))
    scripted.add_blob("a/b", DATA)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(_get, scripted, "/v2/a/b/tags/list")
        assert rule.reached.wait(10)
        assert _get(scripted, "/v2/").status == 200
        assert not held.done()
        go.set()
        assert held.result(10).status == 200


def test_a_connection_is_kept(scripted: ScriptedRegistry) -> None:
    connection = HTTPConnection(scripted.host)
    ports = []
    for _ in range(3):
        connection.request("GET", "/v2/")
        ports.append(connection.sock.getsockname())
        assert connection.getresponse().read() == b"{}"
    connection.close()
    assert len(set(ports)) == 1


def test_a_defect_of_the_rig_is_not_silent() -> None:
    def defective(_: object) -> bool:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError), ScriptedRegistry() as registry:
        registry.on("GET", "", Fault(), when=defective)
        with pytest.raises(RemoteDisconnected):
            _get(registry, "/v2/")


def test_tls(authority: Authority) -> None:
    with ScriptedRegistry(authority.issue()) as registry:
        assert ask("GET", f"{registry.url}/v2/", trust=authority.trust()).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask("GET", f"{registry.url}/v2/", trust=ssl.create_default_context())


def _get(registry: ScriptedRegistry, path: str, **headers: str) -> Answer:
    return ask("GET", registry.url + path, headers=headers)
