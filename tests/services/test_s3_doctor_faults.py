"""`doctor` on S3 servers that fail, or do not do everything."""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from services.diagnoses import found, outcomes
from services.s3_places import DENIED, UNKNOWN, Place, conditional, forget_logins, refusing
from support.clock import set_ahead
from support.services.faulty_proxy import Failure, FaultyProxy
from support.services.http_server import Server, serving
from support.services.messages import Reply

from cachexport.backends.objects.layout import Keys
from cachexport.backends.s3.attrs import S3Export
from cachexport.backends.s3.checks import desk as s3_desk
from cachexport.backends.s3.checks.table import S3Probe
from cachexport.backends.s3.writing import Upload, Writing
from cachexport.contract.attributes import read_attributes
from cachexport.contract.checks import Outcome
from cachexport.contract.spec import parse_spec
from cachexport.doctor.engine import Examination, doctor, examination

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from support.services.http_server import Handler
    from support.services.messages import Request
    from support.services.s3 import S3


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_logins(monkeypatch, tmp_path / "home")


@pytest.fixture
def place(s3: S3, prefix: str) -> Place:
    return Place(s3, prefix)


def copying(it: Request) -> bool:
    return "x-amz-copy-source" in it.headers and "partNumber" not in it.query


def copying_parts(it: Request) -> bool:
    return "x-amz-copy-source" in it.headers and "partNumber" in it.query


def deleting(it: Request) -> bool:
    return it.method == "DELETE" and "uploadId" not in it.query


def aborting(it: Request) -> bool:
    return it.method == "DELETE" and "-aborted" in it.path


def summing(it: Request) -> bool:
    return "x-amz-checksum-crc32" in it.headers or "x-amz-sdk-checksum-algorithm" in it.headers


def in_path(it: Request) -> bool:
    return it.headers["Host"].startswith("localhost")


def beginning(it: Request) -> bool:
    return it.target.endswith("?uploads")


UNCONDITIONAL = "if-absent=warning if-unchanged=warning race=skipped delete-if=note"
UNDELETED = "delete=warning delete-if=skipped parts=skipped copy-parts=skipped clean-up=warning"
NO_PARTS = "parts=failed abort=skipped copy-parts=skipped"
SUMS = "checksum=when_supported"
FAULTS = [
    (UNKNOWN, conditional, "", UNCONDITIONAL, "may lose the entries", "of its own"),
    (UNKNOWN, beginning, "", NO_PARTS, "more than 8,388,608 bytes fail", "part_size=5GiB"),
    (UNKNOWN, beginning, "part_size=5GiB", "parts=note", "none is sent so", ""),
    (DENIED, aborting, "", "abort=warning", "AccessDenied", "s3:AbortMultipartUpload"),
    (UNKNOWN, copying_parts, "", "copy-parts=note", "more than 5 GiB", "touch_refresh="),
    (UNKNOWN, summing, "", "checksums=note", "not known (NotImplemented)", ""),
    (UNKNOWN, summing, SUMS, "write=failed", "501 NotImplemented", "checksum=when_required"),
    (DENIED, copying, "", "touch=warning", "24 h again", "s3:GetObject and s3:PutObject on"),
    (DENIED, deleting, "", UNDELETED, "prune does not work", "allow s3:DeleteObject on"),
]


@pytest.mark.parametrize(("failure", "when", "attrs", "expected", "text", "advice"), FAULTS)
def test_what_a_server_does_not_do(
    place: Place,
    failure: Failure,
    when: Callable[[Request], bool],
    attrs: str,
    expected: str,
    text: str,
    advice: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FaultyProxy(place.s3.endpoint, 1, [failure], when) as proxy:
        checks = place.examine(attrs, endpoint=proxy.url)
        assert proxy.failed
    name = expected.partition("=")[0]
    wanted = dict(item.split("=") for item in expected.split())
    assert outcomes(checks).items() >= wanted.items()
    assert text in checks[name].text
    assert advice in checks[name].advice
    uploads = when is aborting
    assert place.is_clean() is not (expected == UNDELETED or uploads)


def test_a_bucket_that_keeps_versions(place: Place, bucket: str) -> None:
    client = place.s3.client
    settings = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=settings)
    checks = place.examine(f"bucket={bucket}")
    assert outcomes(checks) == {"versions": "note"}
    assert "NoncurrentVersionExpiration" in checks["versions"].advice
    answer = client.list_object_versions(Bucket=bucket)
    assert answer.get("Versions", []) + answer.get("DeleteMarkers", []) == []


def test_versions_that_may_not_be_deleted(place: Place, bucket: str) -> None:
    settings = {"Status": "Enabled"}
    place.s3.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=settings)
    with FaultyProxy(
        place.s3.endpoint, 1, [DENIED], when=lambda it: "versionId=" in it.target
    ) as proxy:
        checks = place.examine(f"bucket={bucket}", endpoint=proxy.url)
        assert proxy.failed
    assert outcomes(checks) == {"versions": "note", "clean-up": "warning"}
    assert "s3:DeleteObjectVersion" in checks["clean-up"].advice
    assert "s3:ListBucketVersions" in checks["clean-up"].advice


@pytest.mark.parametrize("part", [1, 2])
def test_an_interrupt_leaves_nothing(
    place: Place, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = Upload.send

    def interrupted(self: Upload, number: int, body: bytes | bytearray) -> Mapping[str, Any]:
        if number == part:
            raise KeyboardInterrupt
        return genuine(self, number, body)

    monkeypatch.setattr(Upload, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        doctor(place.spec())
    assert place.is_clean()


def test_who_stops_looking_leaves_nothing(place: Place) -> None:
    with examination(place.spec()) as prepared:
        for result in prepared.run():
            if result.check == "race":
                break
        assert not place.is_clean()
    assert place.is_clean()


@pytest.mark.parametrize(("skew", "said"), [(3600, "ahead of"), (-3600, "behind")])
def test_a_clock_that_is_off(place: Place, skew: float, said: str) -> None:
    set_ahead(skew)
    attrs = read_attributes(S3Export, parse_spec(place.spec()))
    keys = Keys(blobs=f"{place.prefix}blobs/", names=f"{place.prefix}manifests/")
    probe = S3Probe(s3_desk.Desk(attrs, Writing(), keys))
    checks = {it.check: it.finding for it in Examination("s3", probe).run()}
    probe.close()
    assert outcomes(checks) == {"clock": "warning", "modified": "warning"}
    for name in ("clock", "modified"):
        assert re.search(rf"3,(599|600|601) s {said}", checks[name].text)


@pytest.mark.parametrize(
    ("waiting", "said"), [(0, "the connection broke (ReadTimeoutError)"), (3, "nothing answers")]
)
def test_a_server_that_hangs_is_not_waited_for(
    place: Place, waiting: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_desk, "_ANSWERING", 0.2)
    monkeypatch.setattr(s3_desk, "_CONNECTING", 0.2)
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(waiting):  # until nobody else is let in
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        started = time.monotonic()
        diagnosis = doctor(place.spec(endpoint=endpoint))
    assert time.monotonic() - started < 5
    assert diagnosis.exit_code == 74
    assert said in found(diagnosis)["reach"].text
    assert "endpoint_url=" in found(diagnosis)["reach"].advice


@contextmanager
def site(respond: Callable[[Handler], None]) -> Iterator[str]:
    server = Server(respond)
    with serving(server):
        yield server.url


@pytest.mark.parametrize(
    ("status", "body", "check", "said"),
    [
        (503, b"", "reach", "answers 503"),
        (200, b"<html><br></html>", "bucket", "not as S3 does"),
        (200, b"<html></html>", "bucket", "not as S3 does"),
        (403, b"<html><br></html>", "bucket", "not as S3 does"),
        (404, b"", "bucket", "not as S3 does"),
    ],
)
def test_a_server_of_something_else(
    place: Place, status: int, body: bytes, check: str, said: str
) -> None:
    with site(lambda handler: handler.send(Reply(status, {}, body))) as url:
        diagnosis = doctor(place.spec(endpoint=url))
    [failure] = [it for it in diagnosis.results if it.finding.exit_code]
    assert (failure.check, failure.finding.exit_code) == (check, 74)
    assert said in failure.finding.text
    assert "endpoint_url=" in failure.finding.text + failure.finding.advice


@pytest.fixture
def local_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all names below localhost be this machine, as they are on some."""
    genuine = socket.getaddrinfo

    def resolve(host: str, *args: object, **options: object) -> object:
        local = "127.0.0.1" if host.endswith("localhost") else host
        return genuine(local, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.usefixtures("local_hosts")
def test_a_server_that_knows_the_path_only(place: Place) -> None:
    endpoint = place.s3.endpoint.replace("127.0.0.1", "localhost")
    style = place.examine(endpoint=endpoint)["style"]
    assert (style.outcome, style.facts["works"]) == (Outcome.NOTE, "path")
    assert "use_path_style=true" in style.advice
    assert outcomes(place.examine("use_path_style=true", endpoint=endpoint)) == {}


@pytest.mark.usefixtures("local_hosts")
def test_a_server_that_knows_both_styles_or_hosts_only(moto_s3: S3, prefix: str) -> None:
    place = Place(moto_s3, prefix)
    gone = refusing("NoSuchBucket", 404)
    with FaultyProxy(moto_s3.endpoint, 0, [gone], when=in_path) as proxy:
        endpoint = proxy.url.replace("127.0.0.1", "localhost")
        style = place.examine(endpoint=endpoint)["style"]
        assert (style.outcome, style.facts["works"]) == (Outcome.OK, "path virtual")
        proxy.every = 1
        bucket = place.examine(endpoint=endpoint)["bucket"]
        assert bucket.exit_code == 74
        assert "use_path_style=false" in bucket.advice
        checks = place.examine("use_path_style=false", endpoint=endpoint)
        assert outcomes(checks) == {"checksums": "note"}
        assert checks["style"].facts["works"] == "virtual"
