"""`doctor` on a registry that does what a test tells it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from services.diagnoses import FORMS, MAX, READING, TAG, examine, found, spec
from support.clock import wait_for_nothing
from support.services.client import ask
from support.services.http_server import Handler
from support.services.scripted.faults import Fault

from cachexport import Digest, copy_cache
from cachexport.backends.registry.checks import manifests
from cachexport.contract.checks import Outcome
from cachexport.doctor.engine import doctor, examination
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from support.services.scripted import ScriptedRegistry

PUT_TAG = r"/manifests/cachexport-doctor-"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_nothing()
    # Long manifests take long, and others test them.
    monkeypatch.setattr(manifests, "_SIZES", (4 << 10,))


def test_only_its_own_names_are_written(scripted: ScriptedRegistry, repo: str) -> None:
    copy_cache([MAX], [spec(scripted.host, repo)])
    kept = dict(scripted.store.repositories[repo].blobs)
    del scripted.requests[:]
    examine(scripted.host, repo)
    targets = {request.path.rpartition("/")[2] for request in scripted.asked("PUT", "/manifests/")}
    tags = {target for target in targets if not target.startswith("sha256:")}
    assert len(tags) == 1
    assert TAG.fullmatch(tags.pop())
    deleted = {request.path.rpartition("/")[2] for request in scripted.asked("DELETE", "sha256:")}
    assert deleted
    assert not deleted & kept.keys()
    assert scripted.store.repositories[repo].blobs == kept
    assert list(scripted.store.repositories[repo].tags) == ["cache"]
    assert scripted.store.uploads == {}


def test_read_only_only_reads(scripted: ScriptedRegistry, repo: str) -> None:
    checks = found(doctor(spec(scripted.host, repo), read_only=True))
    assert list(checks) == READING
    assert {request.method for request in scripted.requests} <= {"GET", "HEAD"}
    assert scripted.store.repositories == {}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404, body=b"no such page"),
        Fault(status=200, body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}),
        Fault(status=502, body=b"bad gateway"),
    ],
)
def test_a_host_that_is_no_registry(scripted: ScriptedRegistry, repo: str, fault: Fault) -> None:
    scripted.on("GET", "^/v2/$", fault, times=None)
    diagnosis = doctor(spec(scripted.host, repo))
    reach = found(diagnosis)["reach"]
    assert diagnosis.exit_code == 74
    assert f"answers {fault.status}" in reach.text
    assert ("try later" if fault.status == 502 else "ref=") in reach.advice
    assert scripted.asked("PUT") == []


def test_an_image_under_the_name(scripted: ScriptedRegistry, repo: str) -> None:
    blob = scripted.add_blob(repo, b"{}")
    named = {"mediaType": mediatype.OCI_CONFIG, "digest": blob, "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "config": named}
    ask(
        "PUT",
        f"{scripted.url}/v2/{repo}/manifests/cache",
        body=json.dumps({**manifest, "layers": [named]}).encode(),
        headers={"Content-Type": mediatype.OCI_MANIFEST},
    )
    checks = examine(scripted.host, repo)
    assert (checks["read"].outcome, checks["read"].exit_code) == (Outcome.FAILED, 73)
    assert "force=true" in checks["read"].advice
    assert examine(scripted.host, repo, "force=true")["read"].outcome is Outcome.NOTE


@pytest.mark.parametrize(
    ("attrs", "refused", "expected", "advice"),
    [
        ("", [mediatype.OCI_MANIFEST], ("image-manifest", "warning"), "image-manifest=false"),
        ("", [mediatype.CACHE_CONFIG_V0], ("image-manifest", "warning"), "image-manifest=false"),
        (
            "image-manifest=false",
            [mediatype.OCI_INDEX],
            ("oci-index", "warning"),
            "image-manifest=true",
        ),
        (
            "oci-mediatypes=false",
            [mediatype.DOCKER_MANIFEST_LIST],
            ("docker-list", "warning"),
            "image-manifest=true",
        ),
        (
            "",
            [mediatype.OCI_MANIFEST, mediatype.OCI_INDEX],
            ("image-manifest", "failed"),
            "oci-mediatypes=false",
        ),
        ("", [mediatype.OCI_INDEX], ("oci-index", "note"), ""),
        ("", [mediatype.DOCKER_MANIFEST_LIST], ("docker-list", "note"), ""),
        ("image-manifest=false", [mediatype.OCI_MANIFEST], ("image-manifest", "note"), ""),
    ],
)
def test_a_form_that_is_refused(
    scripted: ScriptedRegistry,
    repo: str,
    attrs: str,
    refused: list[str],
    expected: tuple[str, str],
    advice: str,
) -> None:
    for media_type in refused:
        scripted.refuse(media_type, status=415)
    checks = examine(scripted.host, repo, attrs)
    name, outcome = expected
    assert checks[name].outcome == outcome
    assert "415" in checks[name].text
    assert (advice in checks[name].advice) if advice else not checks[name].advice
    assert checks[name].facts == {"accepted": False, "status": 415}
    taken = [form for form in FORMS if checks[form].facts["accepted"]]
    assert len(taken) == 3 - len(refused)
    # The others go on with a form that is taken.
    assert checks["replace"].outcome is checks["read-back"].outcome is Outcome.OK
    assert scripted.store.repositories[repo].tags == {}


def test_the_advice_about_forms_is_good(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.refuse(mediatype.OCI_MANIFEST)
    scripted.refuse(mediatype.OCI_INDEX)
    advice = examine(scripted.host, repo)["image-manifest"].advice
    [attribute] = re.findall(r"[a-z-]+=[a-z]+", advice)
    [answer] = copy_cache([MAX], [spec(scripted.host, repo, attribute)])
    assert json.loads(answer.response["cache.manifest"])["mediaType"] == (
        mediatype.DOCKER_MANIFEST_LIST
    )


def test_all_forms_are_refused(scripted: ScriptedRegistry, repo: str) -> None:
    for media_type in (mediatype.OCI_MANIFEST, *mediatype.INDEXES):
        scripted.refuse(media_type)
    diagnosis = doctor(spec(scripted.host, repo))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 74
    assert checks["image-manifest"].outcome is Outcome.FAILED
    assert checks["replace"].text == checks["merge"].text == "no form of manifest is taken"
    assert checks["read-back"].outcome is Outcome.OK  # the blobs are there
    assert checks["clean-up"].facts == {"left_tag": None, "left_manifests": 0, "left_blobs": 0}


def test_no_blob_can_be_written(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("POST", "/blobs/uploads/", Fault(status=405, body=b"{}"), times=None)
    diagnosis = doctor(spec(scripted.host, repo))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 74
    assert "mirror" in checks["write"].advice
    assert checks["image-manifest"].text == "needs write, which failed"


def test_a_repository_that_has_to_be_made_first(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("POST", "/blobs/uploads/", Fault(status=404, body=b"{}"), times=None)
    diagnosis = doctor(spec(scripted.host, repo))
    assert diagnosis.exit_code == 74  # 66 would mean that there is no cache yet
    assert repo in found(diagnosis)["write"].advice


def test_blobs_that_vanish(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("HEAD", "/blobs/", Fault(status=404), times=None)
    write = examine(scripted.host, repo)["write"]
    assert (write.exit_code, write.text) == (74, "2 of 2 blobs were taken, and are not there")


def test_manifests_of_missing_blobs_are_taken(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.distribution.checks_blobs = False
    checks = examine(scripted.host, repo)
    assert checks["missing-blobs"].outcome is Outcome.NOTE
    assert checks["missing-blobs"].facts == {"status": 201, "trust_existing": False}
    trusting = examine(scripted.host, repo, "trust-existing=true")["missing-blobs"]
    assert (trusting.outcome, trusting.advice) == (Outcome.WARNING, "leave it out")
    assert scripted.store.repositories[repo].manifests == {}


def test_a_refusal_that_does_not_name_the_blob(scripted: ScriptedRegistry, repo: str) -> None:
    refusal = Fault(status=500, body=b"{}")
    scripted.on("PUT", "/manifests/sha256:", refusal, nth=3, times=5)
    checks = examine(scripted.host, repo)
    assert checks["missing-blobs"].outcome is Outcome.NOTE
    assert "not for the blob (500" in checks["missing-blobs"].text


def test_a_tag_that_cannot_be_replaced(scripted: ScriptedRegistry, repo: str) -> None:
    body = json.dumps({"errors": [{"code": "TAG_INVALID", "message": "immutable"}]}).encode()
    scripted.on("PUT", PUT_TAG, Fault(status=400, body=body), nth=2, times=None)
    checks = examine(scripted.host, repo)
    assert checks["replace"].outcome is Outcome.WARNING
    assert "TAG_INVALID: immutable" in checks["replace"].text
    assert checks["read-back"].outcome is Outcome.OK
    assert scripted.store.repositories[repo].tags == {}


def test_no_ranges(scripted: ScriptedRegistry, repo: str) -> None:
    ranged = Fault(status=200, body=b"all of it")
    scripted.on("GET", "/blobs/", ranged, times=None, when=lambda r: "Range" in r.headers)
    read_back = examine(scripted.host, repo)["read-back"]
    assert (read_back.outcome, read_back.facts) == (Outcome.NOTE, {"ranges": False})


def test_what_comes_back_is_something_else(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("GET", "/blobs/sha256", Fault(body=b"rotten"), times=None)
    diagnosis = doctor(spec(scripted.host, repo))
    assert found(diagnosis)["read-back"].outcome is Outcome.FAILED
    assert diagnosis.exit_code == 70


def test_the_tag_names_something_else(scripted: ScriptedRegistry, repo: str) -> None:
    other = {"Docker-Content-Digest": Digest.of(b"other")}
    scripted.on("HEAD", PUT_TAG, Fault(headers=other), times=None)
    read_back = examine(scripted.host, repo)["read-back"]
    assert read_back.exit_code == 70
    assert f"the tag names {Digest.of(b'other')}" in read_back.text


@pytest.mark.parametrize(
    ("method", "fault"),
    [("PATCH", Fault(status=405, body=b"{}")), ("PATCH", Fault(status=501, body=b"{}"))],
)
def test_no_chunks(scripted: ScriptedRegistry, repo: str, method: str, fault: Fault) -> None:
    scripted.on(method, "/blobs/uploads/.", fault, times=None)
    chunks = examine(scripted.host, repo)["chunked-upload"]
    assert chunks.outcome is Outcome.NOTE
    assert chunks.facts == {"accepted": False, "status": fault.status}
    assert scripted.store.uploads == {}


def test_chunks_whose_state_is_not_told(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("GET", "/blobs/uploads/.", Fault(status=404, body=b"{}"), times=None)
    chunks = examine(scripted.host, repo)["chunked-upload"]
    assert (chunks.outcome, chunks.facts["status_told"]) == (Outcome.OK, False)


def test_an_upload_that_moves(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.distribution.moves = True
    chunks = examine(scripted.host, repo)["chunked-upload"]
    assert chunks.facts == {"accepted": True, "status_told": True}


def test_chunks_that_have_to_be_large(scripted: ScriptedRegistry, repo: str) -> None:
    large = Fault(headers={"OCI-Chunk-Min-Length": "5242880"})
    scripted.on("POST", "/blobs/uploads/", large, times=None)
    chunks = examine(scripted.host, repo)["chunked-upload"]
    assert (chunks.outcome, chunks.facts) == (Outcome.OK, {"least": 5 << 20})
    assert scripted.asked("PATCH") == []
    assert scripted.store.uploads == {}


def test_a_connection_that_breaks_is_a_warning_where_exports_go_on(
    scripted: ScriptedRegistry, repo: str
) -> None:
    scripted.on("PATCH", "", Fault(silent=True), times=None)
    diagnosis = doctor(spec(scripted.host, repo))
    assert diagnosis.exit_code == 0
    assert found(diagnosis)["chunked-upload"].outcome is Outcome.WARNING
    assert scripted.store.repositories[repo].tags == {}


def test_a_connection_that_breaks_is_a_failure_where_exports_fail(
    scripted: ScriptedRegistry, repo: str
) -> None:
    scripted.on("PUT", "/manifests/sha256:", Fault(silent=True), times=5)
    diagnosis = doctor(spec(scripted.host, repo))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 74
    assert [checks[form].outcome for form in FORMS] == ["failed", "ok", "ok"]
    assert scripted.store.repositories[repo].manifests == {}


def test_no_mounts(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.distribution.mounts = False
    mount = examine(scripted.host, repo)["mount"]
    assert (mount.outcome, mount.facts) == (Outcome.NOTE, {"mounted": False})
    assert scripted.store.uploads == {}


def test_conditional_writes(scripted: ScriptedRegistry, repo: str) -> None:
    unmet = Fault(status=412, body=b"{}")
    scripted.on("PUT", PUT_TAG, unmet, times=None, when=lambda r: "If-Match" in r.headers)
    merge = examine(scripted.host, repo)["merge"]
    assert (merge.outcome, merge.facts) == (Outcome.OK, {"conditional": True})


def test_a_tag_that_is_only_deleted_by_its_name(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("DELETE", "/manifests/sha256:", Fault(status=405, body=b"{}"), times=None)
    checks = examine(scripted.host, repo)
    assert checks["delete"].outcome is Outcome.WARNING
    assert checks["clean-up"].outcome is Outcome.NOTE
    assert checks["clean-up"].facts["left_tag"] is None
    assert scripted.store.repositories[repo].tags == {}


@pytest.mark.parametrize(
    ("date", "outcome", "advice"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", Outcome.WARNING, "timedatectl"),
        ("yesterday", Outcome.SKIPPED, ""),
    ],
)
def test_the_clock(
    scripted: ScriptedRegistry,
    repo: str,
    monkeypatch: pytest.MonkeyPatch,
    date: str,
    outcome: Outcome,
    advice: str,
) -> None:
    monkeypatch.setattr(Handler, "date_time_string", lambda *_: date)
    clock = examine(scripted.host, repo)["clock"]
    assert clock.outcome is outcome
    assert advice in clock.advice
    if outcome is Outcome.WARNING:
        assert "ahead of the registry's clock" in clock.text


def test_a_proxy_is_told_without_its_login(
    scripted: ScriptedRegistry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:hunter2@{scripted.host}")
    body = {"status": 200, "body": b"{}", "headers": {"Content-Type": "application/json"}}
    scripted.on("GET", "", Fault(**body), times=None)
    diagnosis = doctor(spec("far.example", repo, "registry.insecure=true"), read_only=True)
    reach = found(diagnosis)["reach"]
    assert reach.facts["proxy"] == f"http://{scripted.host}"
    assert f"through http://{scripted.host}" in reach.text
    assert "hunter2" not in repr(diagnosis)


def test_who_stops_in_the_middle_leaves_nothing(scripted: ScriptedRegistry, repo: str) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        examination(spec(scripted.host, repo)) as prepared,
    ):
        for result in prepared.run():
            if result.check == "replace":
                assert scripted.store.repositories[repo].tags
                raise KeyboardInterrupt
    repository = scripted.store.repositories[repo]
    assert (repository.tags, repository.manifests, repository.blobs) == ({}, {}, {})


def test_who_stops_in_the_middle_is_told_what_stays(
    scripted: ScriptedRegistry, repo: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.on("DELETE", "/manifests/", Fault(status=405, body=b"{}"), times=None)
    with pytest.raises(KeyboardInterrupt), examination(spec(scripted.host, repo)) as prepared:
        for result in prepared.run():
            if result.check == "replace":
                raise KeyboardInterrupt
    [tag] = scripted.store.repositories[repo].tags
    assert f"{scripted.host}/{repo}:{tag} is left there" in caplog.text
