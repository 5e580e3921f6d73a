"""Buckets as sources and targets, on a real S3 server."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support import caches
from support.services.faulty_proxy import RESET_AFTER, Failure, FaultyProxy

from cachexport import (
    CacheChains,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    copy_cache,
    export_cache,
    import_cache,
    load_cache,
)
from cachexport.errors import (
    AlreadyExists,
    Auth,
    BackendError,
    CachexportError,
    Integrity,
    InvalidAttr,
    NotFound,
    S3Error,
    TransferError,
    WireFormat,
)
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.registry import Registry
    from support.services.s3 import S3, AccessKey

MAX = f"type=local,src={caches.FOLDER / 'max'}"
BUCKET = caches.FOLDER / "s3-bucket"
NAMES = ("main", "abc123")
KEPT = ["max", "max-oci-index", "max-docker-list", "max-zstd", "max-uncompressed", "copy-link"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find no login that the machine has in its cloud."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@dataclass
class Place:
    """A part of a bucket that is a test's own."""

    s3: S3
    prefix: str
    endpoint: str

    def spec(self, attrs: str = "", *, key: AccessKey | None = None) -> str:
        key = key or self.s3.admin
        login = f"access_key_id={key.access},secret_access_key={key.secret}"
        where = f"endpoint_url={self.endpoint},bucket={self.s3.shared},region=us-east-1"
        given = f"type=s3,{where},{login},prefix={self.prefix}"
        return given + (attrs and f",{attrs}")

    def get(self, key: str) -> bytes:
        answer = self.s3.client.get_object(Bucket=self.s3.shared, Key=self.prefix + key)
        raw: bytes = answer["Body"].read()
        return raw

    def put(self, key: str, raw: bytes) -> None:
        self.s3.client.put_object(Bucket=self.s3.shared, Key=self.prefix + key, Body=raw)

    def delete(self, key: str) -> None:
        self.s3.client.delete_object(Bucket=self.s3.shared, Key=self.prefix + key)

    def keys(self) -> set[str]:
        return {key.removeprefix(self.prefix) for key in self.s3.keys(self.s3.shared, self.prefix)}


@pytest.fixture
def place(s3: S3, prefix: str) -> Place:
    return Place(s3, prefix, s3.endpoint)


@pytest.fixture
def buildkits(place: Place) -> Place:
    """Give a place with what BuildKit exported, under two names."""
    for path in (BUCKET / "team").rglob("*"):
        if path.is_file():
            place.put(str(path.relative_to(BUCKET / "team")), path.read_bytes())
    return place


def export(source: str, target: str) -> dict[str, str]:
    [answer] = copy_cache([source], [target])
    return answer.response


@pytest.mark.parametrize("name", NAMES)
def test_what_buildkit_wrote_is_read(buildkits: Place, tmp_path: Path, name: str) -> None:
    export(buildkits.spec(f"name={name}"), f"type=local,dest={tmp_path}")
    expected = caches.files(caches.FOLDER / "max")
    assert caches.files(tmp_path) == expected


def test_a_copied_bucket_has_the_same_names(buildkits: Place) -> None:
    answers = copy_cache(
        [buildkits.spec("name=main;abc123")],
        [buildkits.spec(f"prefix={buildkits.prefix}copy/,name=main;abc123")],
    )
    assert [answer.target.rpartition("name=")[2] for answer in answers] == list(NAMES)
    for name in NAMES:
        assert buildkits.get(f"copy/manifests/{name}") == buildkits.get(f"manifests/{name}")


def test_the_same_build_gives_the_object_that_buildkit_wrote(place: Place) -> None:
    export(MAX, place.spec("name=main"))
    assert place.get("manifests/main") == (BUCKET / "team/manifests/main").read_bytes()


@pytest.mark.parametrize("name", KEPT)
def test_there_and_back_changes_no_byte(place: Place, tmp_path: Path, name: str) -> None:
    source = f"type=local,src={caches.FOLDER / name}"
    response = export(source, place.spec())
    export(place.spec(), f"type=local,dest={tmp_path / 'name'}")
    digest = json.loads(response["cache.manifest"])["digest"]
    export(place.spec(f"digest={digest}"), f"type=local,dest={tmp_path / 'digest'}")
    expected = caches.files(caches.FOLDER / name)
    assert caches.files(tmp_path / "name") == expected
    assert caches.files(tmp_path / "digest") == expected


@pytest.mark.parametrize("name", KEPT)
def test_registry_bucket_and_directory_are_one(
    place: Place, registry: Registry, repo: str, tmp_path: Path, name: str
) -> None:
    ref = f"{registry.host}/{repo}"
    export(f"type=local,src={caches.FOLDER / name}", f"{ref}:one")
    export(f"{ref}:one", place.spec("name=a/b"))
    export(place.spec("name=a/b"), f"{ref}:two")
    export(f"{ref}:two", f"type=local,dest={tmp_path}")
    assert caches.files(tmp_path) == caches.files(caches.FOLDER / name)


def large_cache(folder: Path) -> Path:
    """Write a cache with one layer of several parts, and give the layer's file."""
    blob = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(400_000))
    desc = Descriptor.of(blob, mediatype.OCI_LAYER)
    chains = CacheChains()
    result = CacheResult("2026-01-01T00:00:00Z", Remote([desc], MemoryContent([blob])))
    chains.add(Digest.of(b"step"), results=[result])
    export_cache(chains, f"type=local,dest={folder}")
    return folder / "blobs" / "sha256" / desc.digest.encoded


def test_a_large_layer_goes_up_in_parts(place: Place, tmp_path: Path) -> None:
    large_cache(tmp_path / "one")
    export(f"type=local,src={tmp_path / 'one'}", place.spec("part_size=5MiB"))
    export(place.spec(), f"type=local,dest={tmp_path / 'two'}")
    assert caches.files(tmp_path / "two") == caches.files(tmp_path / "one")


@pytest.mark.parametrize("part_size", ["5MiB", "32MiB"])
def test_a_layer_that_is_corrupt_leaves_nothing(
    place: Place, tmp_path: Path, part_size: str
) -> None:
    file = large_cache(tmp_path)
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Integrity, match=file.name):
        export(f"type=local,src={tmp_path}", place.spec(f"part_size={part_size}"))
    assert place.keys() == set()
    uploads = place.s3.client.list_multipart_uploads(Bucket=place.s3.shared, Prefix=place.prefix)
    assert not uploads.get("Uploads")


def test_what_is_there_is_not_sent_again_and_takes_three_requests(place: Place) -> None:
    with FaultyProxy(place.endpoint) as proxy:
        seen: list[tuple[str, str]] = []
        proxy.every = 1_000_000
        proxy.when = lambda request: seen.append((request.method, request.path)) or False  # type: ignore[func-returns-value]
        spec = Place(place.s3, place.prefix, proxy.url).spec()
        export(MAX, spec)
        seen.clear()
        export(MAX, spec)
    assert [method for method, _ in seen] == ["GET", "GET", "PUT"]


def test_a_damaged_blob_is_written_again(place: Place) -> None:
    export(MAX, place.spec())
    [cache] = load_cache(MAX)
    key = f"blobs/{cache.layers[0].digest}"
    whole = place.get(key)
    place.put(key, whole[:-1])
    export(MAX, place.spec())
    assert place.get(key) == whole


def test_old_blobs_become_young(place: Place) -> None:
    def modified() -> dict[str, Any]:
        answer = place.s3.client.list_objects_v2(
            Bucket=place.s3.shared, Prefix=f"{place.prefix}blobs/"
        )
        return {item["Key"]: item["LastModified"] for item in answer["Contents"]}

    export(MAX, place.spec())
    before = modified()
    while modified() == before:
        # It counts in seconds: the first of them that passes is enough.
        export(MAX, place.spec("touch_refresh=1ns"))
    export(MAX, place.spec("touch_refresh=24h"))
    after = modified()
    assert all(after[key] >= before[key] for key in before)
    assert load_cache(place.spec())


def test_what_is_not_there_is_no_cache(place: Place) -> None:
    with pytest.raises(NotFound, match="manifests/other is not there"):
        load_cache(place.spec("name=other"))


def test_a_missing_blob_is_named(buildkits: Place, tmp_path: Path) -> None:
    [cache] = load_cache(buildkits.spec("name=main"))
    gone = cache.layers[0].digest
    buildkits.delete(f"blobs/{gone}")
    with pytest.raises(Integrity, match=f"missing blob {gone}"):
        export(buildkits.spec("name=main"), f"type=local,dest={tmp_path}")


def test_a_truncated_blob_is_named(buildkits: Place, tmp_path: Path) -> None:
    [cache] = load_cache(buildkits.spec("name=main"))
    key = f"blobs/{cache.layers[0].digest}"
    buildkits.put(key, buildkits.get(key)[:-1])
    with pytest.raises(Integrity, match=f"{cache.layers[0].digest} is corrupt"):
        export(buildkits.spec("name=main"), f"type=local,dest={tmp_path}")


def test_a_size_that_lies_does_not_empty_a_blob(place: Place) -> None:
    export(MAX, place.spec("name=a"))
    document = json.loads(place.get("manifests/a"))
    blob = document["layers"][0]["blob"]
    whole = place.get(f"blobs/{blob}")
    document["layers"][0]["annotations"]["size"] = 0
    place.put("manifests/b", json.dumps(document, separators=(",", ":")).encode())
    with pytest.raises(Integrity, match=blob):
        export(place.spec("name=b"), place.spec("name=c"))
    assert place.get(f"blobs/{blob}") == whole


def test_a_refusal_that_breaks_off_is_tried_again(place: Place) -> None:
    cut = Failure(cut=10)
    named = lambda request: request.method == "GET" and "/manifests/" in request.path  # noqa: E731
    with FaultyProxy(place.endpoint, 2, [cut], when=named) as proxy:
        faulty = Place(place.s3, place.prefix, proxy.url)
        for _ in range(2):
            export(MAX, faulty.spec("merge=true"))
        assert proxy.failed


def test_foreign_objects_are_named_and_left_alone(place: Place) -> None:
    place.put("manifests/main", b'{"some":"thing"}')
    with pytest.raises(WireFormat, match=f"{place.prefix}manifests/main"):
        load_cache(place.spec("name=main"))
    with pytest.raises(AlreadyExists, match=f"{place.prefix}manifests/main"):
        export(MAX, place.spec("name=main"))
    assert place.keys() == {"manifests/main"}


@pytest.mark.parametrize(
    ("attrs", "error", "said"),
    [
        ("bucket=no-such-bucket-here", S3Error, "no such bucket"),
        ("access_key_id=AKNOBODY", Auth, "access key is not known"),
        ("secret_access_key=wrong", Auth, "secret does not fit"),
        ("endpoint_url=http://127.0.0.1:9", BackendError, "nothing answers there"),
    ],
)
def test_a_wrong_setting_is_named(
    place: Place, attrs: str, error: type[CachexportError], said: str
) -> None:
    for work in (
        lambda: load_cache(place.spec(f"{attrs},retry_max_attempts=1")),
        lambda: export(MAX, place.spec(f"{attrs},retry_max_attempts=1")),
    ):
        with pytest.raises(error, match=said) as raised:
            work()
        notes = getattr(raised.value, "__notes__", [])
        assert place.s3.admin.secret not in "".join([str(raised.value), *notes])


def test_who_may_only_read_is_told_what_is_missing(place: Place) -> None:
    with pytest.raises((Auth, TransferError), match="s3:PutObject") as raised:
        export(MAX, place.spec(key=place.s3.reader))
    assert f"s3://{place.s3.shared}/{place.prefix}blobs/sha256:" in str(raised.value)
    assert raised.value.exit_code == 77


def test_settings_come_from_the_environment_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BUCKET", place.s3.shared)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", place.s3.admin.access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", place.s3.admin.secret)
    spec = f"type=s3,endpoint_url={place.endpoint},prefix={place.prefix}"
    export(MAX, spec)
    assert load_cache(spec)


def test_without_a_bucket_or_a_login_it_says_so(place: Place) -> None:
    with pytest.raises(InvalidAttr, match=r"bucket=, or \$AWS_BUCKET"):
        load_cache("type=s3,name=a")
    with pytest.raises(Auth, match="anonymous=true"):
        load_cache(f"type=s3,bucket=a,endpoint_url={place.endpoint},region=us-east-1")


@pytest.mark.parametrize("every", [2, 3])
def test_failures_that_pass_do_not_matter(place: Place, tmp_path: Path, every: int) -> None:
    with FaultyProxy(place.endpoint, every) as proxy:
        faulty = Place(place.s3, place.prefix, proxy.url)
        attempts = "retry_max_attempts=10"
        export(MAX, faulty.spec(f"merge=true,{attempts}"))
        export(faulty.spec(attempts), f"type=local,dest={tmp_path}")
        assert proxy.failed
    assert caches.files(tmp_path) == caches.files(caches.FOLDER / "max")


@pytest.mark.parametrize("failure", [Failure(status=500), RESET_AFTER], ids=["500", "reset"])
def test_a_conditional_write_of_which_the_answer_is_lost_counts(
    place: Place, failure: Failure
) -> None:
    conditional = lambda request: "If-None-Match" in request.headers  # noqa: E731
    with FaultyProxy(place.endpoint, 1, [failure], when=conditional) as proxy:
        faulty = Place(place.s3, place.prefix, proxy.url)
        export(MAX, faulty.spec("merge=true,retry_max_attempts=2"))
        assert proxy.failed
    assert place.get("manifests/buildkit") == (BUCKET / "team/manifests/main").read_bytes()


def test_a_cut_download_goes_on(place: Place, tmp_path: Path) -> None:
    export(MAX, place.spec())
    cut = Failure(cut=10)
    with FaultyProxy(
        place.endpoint, 2, [cut], when=lambda request: "/blobs/" in request.path
    ) as proxy:
        export(Place(place.s3, place.prefix, proxy.url).spec(), f"type=local,dest={tmp_path}")
        assert proxy.failed
    assert caches.files(tmp_path) == caches.files(caches.FOLDER / "max")


def test_a_server_without_conditions_is_named(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"<Error><Code>NotImplemented</Code></Error>"
    with FaultyProxy(
        place.endpoint,
        1,
        [Failure(before=True, status=501, body=body)],
        when=lambda request: "If-None-Match" in request.headers or "If-Match" in request.headers,
    ) as proxy:
        export(MAX, Place(place.s3, place.prefix, proxy.url).spec("merge=true"))
        assert proxy.failed
    assert "no conditional writes" in caplog.text
    assert load_cache(place.spec())
    config, _ = import_cache(place.spec()).marshal()
    assert config.records
