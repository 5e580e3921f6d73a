from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.images.store.rig import described, opened, put, put_image, read, stream

from cachexport.content.copy import copy_blob, ingest_bytes
from cachexport.content.memory import MemoryContent
from cachexport.content.protocols import Info, InfoProvider, Placed, SizeProvider
from cachexport.errors import (
    FailedPrecondition,
    Integrity,
    InvalidDigest,
    InvalidInputError,
    NotFound,
    TransferError,
    WireFormat,
)
from cachexport.images.store import REFERENCE
from cachexport.oci import mediatype
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

    from unit.images.store.rig import Clock

    from cachexport.images.store import Store

BLOB = described(b"blob")


def files(store: Store) -> list[str]:
    paths = store._context.paths
    found = [*paths.blobs.rglob("*"), *paths.ingests.rglob("*")]
    return sorted(path.name for path in found if path.is_file())


def test_what_is_put_in_can_be_read_by_another_store(store: Store, tmp_path: Path) -> None:
    desc = put(store.content, b"blob")
    with opened(tmp_path / "store") as other:
        assert read(other.content, desc) == b"blob"
        assert other.content.info(desc.digest) == Info(desc.digest, 4)
        assert other.content.missing([desc, described(b"x")]) == {described(b"x").digest}
        assert other.content.list() == [Info(desc.digest, 4)]


def test_it_has_the_abilities_of_content(store: Store) -> None:
    assert isinstance(store.content, InfoProvider)
    assert isinstance(store.content, SizeProvider)
    assert isinstance(store.content, Placed)
    copy_blob(MemoryContent([b"blob"]), store.content, BLOB)
    target = MemoryContent()
    copy_blob(store.content, target, BLOB)
    assert target.info(BLOB.digest).size == 4
    assert store.content.sizes([BLOB.digest, Digest.of(b"x")]) == {BLOB.digest: 4}


def test_absent_content_is_not_found(store: Store) -> None:
    for look in (
        lambda: store.content.open(BLOB),
        lambda: store.content.info(BLOB.digest),
        lambda: store.content.labels(BLOB.digest),
        lambda: store.content.label(BLOB.digest, {"a": "b"}),
    ):
        with pytest.raises(NotFound, match=str(BLOB.digest)):
            look()


def test_putting_in_twice_is_fine(store: Store) -> None:
    put(store.content, b"blob")
    store.content.label(BLOB.digest, {"a": "b"})
    put(store.content, b"blob")
    assert store.content.labels(BLOB.digest) == {"a": "b"}
    assert files(store) == [BLOB.digest.encoded]


def test_a_source_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(Integrity):
        ingest_bytes(store.content, BLOB, b"blab")

    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError("gone")

        def close(self) -> None: ...

    with pytest.raises(OSError, match="gone"):
        store.content.ingest(BLOB, Broken())
    assert files(store) == []
    assert store.content.list() == []


def test_a_file_that_vanished_or_shrank_is_missing_and_can_be_replaced(store: Store) -> None:
    desc = put(store.content, b"blob")
    (path,) = (path for path in (store._context.paths.blobs).rglob("*") if path.is_file())
    path.chmod(0o644)
    path.write_bytes(b"b")
    assert store.content.missing([desc]) == {desc.digest}
    path.unlink()
    assert store.content.missing([desc]) == {desc.digest}
    with pytest.raises(NotFound):
        store.content.open(desc)
    put(store.content, b"blob")
    assert read(store.content, desc) == b"blob"


def test_a_file_that_nobody_committed_is_no_content(store: Store) -> None:
    path = store._context.paths.blob(BLOB.digest)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"blob")
    assert store.content.missing([BLOB]) == {BLOB.digest}
    with pytest.raises(NotFound):
        store.content.open(BLOB)


def test_labels_are_set_and_removed(store: Store) -> None:
    put(store.content, b"blob")
    put(store.content, b"other")
    assert store.content.label(BLOB.digest, {"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert store.content.label(BLOB.digest, {"a": "", "b": "3"}) == {"b": "3"}
    assert store.content.labels(BLOB.digest) == {"b": "3"}
    assert store.content.list({"b": None}) == [Info(BLOB.digest, 4)]
    assert store.content.list({"b": "3"}) == [Info(BLOB.digest, 4)]
    assert store.content.list({"b": "2"}) == []


@pytest.mark.parametrize("labels", [{"": "x"}, {"k": "v" * 4096}, {"\ud800": "x"}, {"x": "\ud800"}])
def test_bad_labels_are_refused(store: Store, labels: dict[str, str]) -> None:
    put(store.content, b"blob")
    with pytest.raises(InvalidInputError, match="label"):
        store.content.label(BLOB.digest, labels)
    with pytest.raises(InvalidInputError, match="label"):
        store.leases.create(labels=labels)
    with pytest.raises(InvalidInputError, match="label"):
        store.images.create("app", BLOB, labels)


def test_a_reference_has_to_be_a_digest(store: Store) -> None:
    put(store.content, b"blob")
    with pytest.raises(InvalidDigest, match=r"gc\.ref"):
        store.content.label(BLOB.digest, {REFERENCE: "blob"})


def test_a_manifest_gets_labels_for_its_children(store: Store) -> None:
    image = put_image(store.content)
    assert store.content.labels(image.manifest.digest) == {
        f"{REFERENCE}.config": image.config.digest,
        f"{REFERENCE}.l.0": image.layers[0].digest,
        f"{REFERENCE}.l.1": image.layers[1].digest,
    }


def test_a_manifest_that_is_none_is_not_taken(store: Store) -> None:
    with pytest.raises(TransferError) as caught:
        put(store.content, b"[1]", mediatype.OCI_MANIFEST)
    assert isinstance(caught.value.__cause__, WireFormat)
    assert files(store) == []


def test_an_expired_lease_takes_nothing(store: Store, clock: Clock) -> None:
    lease = store.leases.create("short", seconds=10)
    content = store.content.under(lease)
    put(content, b"blob")
    clock.now += 10
    for act in (
        lambda: content.missing([BLOB]),
        lambda: content.ingest(described(b"late"), stream(b"late")),
        lambda: store.leases.add("short", BLOB.digest),
        lambda: store.leases.renew("short", seconds=10),
    ):
        with pytest.raises(FailedPrecondition, match="lease 'short' has expired"):
            act()
    store.leases.delete("short")
    with pytest.raises(FailedPrecondition, match="lease 'short' is gone"):
        content.missing([BLOB])
    assert store.content.missing([described(b"late")])
    assert files(store) == [BLOB.digest.encoded]
