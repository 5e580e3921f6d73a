"""What BuildKit's `type=azblob` writes is read, and what is written it reads; on a real Azurite."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azurite import KEY
from cachexport_azblob.attrs import AzblobExport
from cachexport_azblob.client import AzblobClient
from cachexport_azblob.connect import checked, connect

from cachexport import Digest, copy_cache, import_cache, load_cache, verify_cache
from cachexport.errors import Auth, BackendError, NotFound, Outdated
from cachexport.plugin import ABSENT, Spec, read_attributes
from cachexport.testing import layout_files, real_cache, small_chains

if TYPE_CHECKING:
    from azurite import Azurite

MAX = real_cache("max")
BUILDKITS = Path(__file__).parents[3] / "tests" / "wire" / "caches" / "s3-bucket" / "team"
"""Objects that BuildKit wrote to S3: in Azure they are the same, but for what keys begin with."""
MIB = 1 << 20


def put_buildkits(azurite: Azurite, container: str, prefix: str = "") -> None:
    azurite.service.create_container(container)
    for path in BUILDKITS.rglob("*"):
        if path.is_file():
            azurite.put(container, f"{prefix}{path.relative_to(BUILDKITS)}", path.read_bytes())


def client_of(azurite: Azurite, container: str, part_size: int = 8 * MIB, **more: str) -> Any:
    given = dict(word.split("=", 1) for word in azurite.spec(container).split(",")[1:])
    attrs = checked(read_attributes(AzblobExport, Spec("azblob", {**given, **more})))
    return AzblobClient(lambda: connect(attrs), attrs, part_size)


@pytest.mark.parametrize("name", ["main", "abc123", "main;abc123", "absent;main"])
def test_what_buildkit_wrote_is_read(
    azurite: Azurite, container: str, tmp_path: Path, name: str
) -> None:
    put_buildkits(azurite, container, "team/")
    source = azurite.spec(container, f"prefix=team,name={name}")
    copy_cache([source], [f"type=local,dest={tmp_path / 'got'}"])
    copy_cache([MAX], [f"type=local,dest={tmp_path / 'max'}"])
    if ";" not in name:
        assert layout_files(tmp_path / "got") == layout_files(tmp_path / "max")
    got = import_cache(f"type=local,src={tmp_path / 'got'}").marshal()[0]
    assert got.encode() == import_cache(MAX).marshal()[0].encode()


def test_the_same_build_gives_the_objects_that_buildkit_wrote(
    azurite: Azurite, container: str
) -> None:
    copy_cache([MAX], [azurite.spec(container, "prefix=team,name=main")])
    assert (
        azurite.get(container, "team/manifests/main") == (BUILDKITS / "manifests/main").read_bytes()
    )
    theirs = {f"team/{path.relative_to(BUILDKITS)}" for path in BUILDKITS.glob("blobs/*")}
    ours = set(azurite.keys(container))
    [cache] = load_cache(MAX)
    extra = {cache.wrapped.descriptor, cache.wrapped.config_descriptor}  # type: ignore[attr-defined]
    assert ours - theirs == {
        "team/manifests/main",
        *(f"team/blobs/{desc.digest}" for desc in extra),
    }
    assert theirs <= ours


def test_all_names_are_read_and_none_is_no_cache(azurite: Azurite, container: str) -> None:
    from cachexport import export_cache

    export_cache(small_chains(1), azurite.spec(container, "name=a"))
    export_cache(small_chains(2), azurite.spec(container, "name=b"))
    assert len(load_cache(azurite.spec(container, "name=a;b;c"))) == 2
    for name in ("c", "c;d"):
        with pytest.raises(NotFound):
            load_cache(azurite.spec(container, f"name={name}"))


def test_a_container_is_made_by_an_export_alone(azurite: Azurite, container: str) -> None:
    with pytest.raises(NotFound):
        load_cache(azurite.spec(container))
    assert not azurite.service.get_container_client(container).exists()
    copy_cache([MAX], [azurite.spec(container)])
    assert load_cache(azurite.spec(container))


def test_a_blob_that_is_gone_is_a_miss(azurite: Azurite, container: str, tmp_path: Path) -> None:
    put_buildkits(azurite, container)
    [cache] = load_cache(azurite.spec(container, "name=main"))
    gone = cache.layers[0].digest
    azurite.service.get_blob_client(container, f"blobs/{gone}").delete_blob()
    [found] = verify_cache(azurite.spec(container, "name=main"))
    assert [fault.kind for fault in found.faults] == ["missing"]
    config, _ = import_cache(azurite.spec(container, "name=main")).marshal()
    assert gone not in {layer.blob for layer in config.layers}
    assert config.layers


def test_what_is_beside_a_blob_stays_when_it_is_touched(azurite: Azurite, container: str) -> None:
    from azure.storage.blob import ContentSettings

    put_buildkits(azurite, container)
    blob = azurite.service.get_blob_client(container, "manifests/main")
    blob.set_http_headers(ContentSettings(content_type="application/x-cache", cache_control="no"))
    blob.set_blob_metadata({"owner": "somebody"})
    client = client_of(azurite, container)
    version = client.touch(client.head("manifests/main"))
    found = blob.get_blob_properties()
    assert (found.etag.strip('"'), found.metadata) == (version, {"owner": "somebody"})
    assert found.content_settings.content_type == "application/x-cache"
    assert found.content_settings.cache_control == "no"
    client.close()


def test_metadata_has_names_that_azure_takes(azurite: Azurite, container: str) -> None:
    copy_cache([MAX], [azurite.spec(container)])
    found = azurite.service.get_blob_client(container, "manifests/buildkit").get_blob_properties()
    assert all(name.isidentifier() for name in found.metadata)
    assert Digest.parse(found.metadata["cachexport_manifest"])


class Endless:
    """Gives so many bytes, and holds none."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int, /) -> bytes:
        block = bytes(min(size, self.left))
        self.left -= len(block)
        return block

    def close(self) -> None:
        pass


def test_a_large_blob_is_never_in_memory(azurite: Azurite, container: str) -> None:
    client, size = client_of(azurite, container, MIB), 96 * MIB
    client.write("warm", Endless(2 * MIB), 2 * MIB)
    tracemalloc.start()
    client.write("large", Endless(size), size)
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    reader, read = client.read("large"), 0
    while block := reader.read(MIB):
        read += len(block)
    reader.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    client.close()
    assert read == size
    # The SDK makes room for a list of as many items as a chunk has bytes, which it never fills.
    assert peak < 48 * MIB


def test_who_reads_goes_on_though_the_blob_is_touched(azurite: Azurite, container: str) -> None:
    client, size = client_of(azurite, container), 10 * MIB
    client.write("large", Endless(size), size)
    reader = client.read("large")
    read = len(reader.read(MIB))
    client.touch(client.head("large"))
    while block := reader.read(MIB):
        read += len(block)
    assert read == size
    client.close()


def test_another_who_writes_the_same_is_no_error(azurite: Azurite, container: str) -> None:
    client, size = client_of(azurite, container, MIB), 3 * MIB
    client.write("other", Endless(1), 1)

    class Overtaken(Endless):
        def read(self, size: int, /) -> bytes:
            if 0 < self.left <= MIB:
                azurite.put(container, "same", bytes(3 * MIB))
            return super().read(size)

    client.write("same", Overtaken(size), size)
    assert client.head("same").size == size
    client.close()


def test_a_write_of_which_the_answer_is_lost_counts(
    azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.storage.blob import BlobClient

    client = client_of(azurite, container)
    upload = BlobClient.upload_blob

    def lost(self: Any, *args: Any, **kwargs: Any) -> Any:
        upload(self, *args, **kwargs)
        raise ServiceResponseError("gone")

    client.write("other", Endless(1), 1)
    monkeypatch.setattr(BlobClient, "upload_blob", lost)
    version = client.replace("name", b"mine", {"a-b": "c"}, version=ABSENT)
    monkeypatch.undo()
    assert client.head("name").version == version
    with pytest.raises(Outdated):
        client.replace("name", b"mine", {}, version=ABSENT)
    client.close()


def test_many_are_deleted_with_few_requests(azurite: Azurite, container: str) -> None:
    client = client_of(azurite, container)
    client.write("x", Endless(1), 1)
    keys = ["x", *(f"absent/{number}" for number in range(300))]
    client.delete_all(keys)
    assert client._deletes_many
    assert azurite.keys(container) == []
    client.close()


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"secret_access_key": "c29tZSBvdGhlciBrZXk="}, Auth, "the key does not fit"),
        ({"account_url": "http://127.0.0.1:9/x"}, BackendError, "nothing answers there"),
    ],
)
def test_a_wrong_setting_is_named(
    azurite: Azurite, container: str, change: dict[str, str], kind: type[Exception], said: str
) -> None:
    client = client_of(azurite, container, retry_max_attempts="1", **change)
    for ask in (
        lambda: client.head("x"),
        lambda: client.replace("x", b"", {}, version=None),
        lambda: client.list_page("x"),
    ):
        with pytest.raises(kind, match=said) as raised:
            ask()
        assert KEY not in str(raised.value)
    client.close()


def test_doctor_finds_nothing_to_change(azurite: Azurite, container: str) -> None:
    azurite.service.create_container(container)
    argv = [sys.executable, "-m", "cachexport", "doctor", "--format", "json"]
    done = subprocess.run(
        [*argv, azurite.spec(container)], capture_output=True, text=True, check=False
    )
    assert KEY not in done.stdout + done.stderr
    found = {each["name"]: each["outcome"] for each in json.loads(done.stdout)["checks"]}
    assert set(found.values()) <= {"ok", "note"}, done.stdout
    assert (done.returncode, found["race"], found["touch"]) == (0, "ok", "ok")
    assert azurite.keys(container) == []


def test_the_place_of_buildkits_exports_is_looked_after(azurite: Azurite, container: str) -> None:
    put_buildkits(azurite, container, "team/")
    azurite.put(container, f"team/blobs/{Digest.of(b'old')}", b"old")
    argv = [sys.executable, "-m", "cachexport", "prune", "--keep-name", "main", "--keep-last", "0"]
    for more in ([], ["--yes"]):
        done = subprocess.run(
            [*argv, *more, azurite.spec(container, "prefix=team")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert KEY not in done.stdout + done.stderr
    left = set(azurite.keys(container))
    assert "team/manifests/main" in left
    assert "team/manifests/abc123" not in left
    assert f"team/blobs/{Digest.of(b'old')}" in left  # it is young
