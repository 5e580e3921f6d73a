from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from unit.images.store.rig import BEGIN, Clock, described, manifest_of, opened, read

from cachexport.content.protocols import Info
from cachexport.errors import (
    BackendError,
    FailedPrecondition,
    Integrity,
    InvalidInputError,
    Unavailable,
)
from cachexport.images.store import REFERENCE, Status
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.images.store import Store

BLOB = described(b"blob")


def test_nothing_is_seen_before_commit(store: Store) -> None:
    with store.content.writer("pull") as writer:
        writer.write(b"bl")
        writer.write(b"ob")
        assert writer.offset == 4
        assert store.content.missing([BLOB]) == {BLOB.digest}
        assert writer.commit(4, BLOB.digest, {"a": "b"}) == Info(BLOB.digest, 4)
    assert read(store.content, BLOB) == b"blob"
    assert store.content.labels(BLOB.digest) == {"a": "b"}
    assert store.content.ingests() == []


def test_a_writer_goes_on_where_the_last_one_was(store: Store, clock: Clock) -> None:
    with store.content.writer("pull", BLOB) as writer:
        writer.write(b"bl")
    clock.now += 5
    with opened(store._context.paths.directory, clock) as other:
        (status,) = other.content.ingests()
        assert status == Status(
            ref="pull", offset=2, total=4, expected=BLOB.digest, started=BEGIN, updated=BEGIN
        )
        with other.content.writer("pull") as writer:
            assert writer.offset == 2
            assert writer.status().updated == BEGIN + 5
            writer.write(b"ob")
            assert writer.commit(digest=BLOB.digest).size == 4
        assert other.content.ingests() == []
    assert read(store.content, BLOB) == b"blob"


def test_a_writer_for_another_digest_starts_over(store: Store) -> None:
    with store.content.writer("pull", BLOB) as writer:
        writer.write(b"bl")
    with store.content.writer("pull", described(b"else")) as writer:
        assert writer.offset == 0


def test_what_is_already_too_long_is_dropped(store: Store) -> None:
    with store.content.writer("pull") as writer:
        writer.write(b"much too long")
    with store.content.writer("pull", BLOB) as writer:
        assert writer.offset == 0


def test_one_ref_has_one_writer_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachexport.images.store.ingestion.TIMEOUT", 0.0)
    with (
        opened(store._context.paths.directory) as other,
        store.content.writer("pull"),
        other.content.writer("another"),
        pytest.raises(Unavailable, match="'pull' is being written"),
    ):
        other.content.writer("pull")


@pytest.mark.parametrize(
    ("size", "digest"), [(5, None), (None, Digest.of(b"x")), (4, Digest.of(b"x"))]
)
def test_wrong_content_is_refused_and_dropped(
    store: Store, size: int | None, digest: Digest | None
) -> None:
    writer = store.content.writer("pull")
    writer.write(b"blob")
    with pytest.raises(Integrity, match="ingest 'pull' is sha256:"):
        writer.commit(size, digest)
    assert store.content.ingests() == []
    with store.content.writer("pull") as writer:
        assert writer.offset == 0


def test_the_descriptor_counts_too(store: Store) -> None:
    writer = store.content.writer("pull", BLOB)
    writer.write(b"blab")
    with pytest.raises(Integrity, match=str(BLOB.digest)):
        writer.commit()
    assert store.content.list() == []


def test_any_algorithm_is_checked(store: Store) -> None:
    import hashlib

    digest = Digest.parse("sha512:" + hashlib.sha512(b"blob").hexdigest())
    with store.content.writer("late") as writer:
        writer.write(b"blob")
        assert writer.commit(digest=digest).digest == digest
    desc = Descriptor(digest=digest, size=4)
    with store.content.writer("early", desc) as writer:
        writer.write(b"blob")
        writer.commit()
    assert read(store.content, desc) == b"blob"


def test_committing_what_is_there_is_fine(store: Store) -> None:
    for ref, label in (("one", {"a": "1"}), ("two", {"b": "2"})):
        with store.content.writer(ref, BLOB) as writer:
            writer.write(b"blob")
            writer.commit(labels=label)
    assert store.content.labels(BLOB.digest) == {"a": "1", "b": "2"}


def test_abort_drops_everything(store: Store) -> None:
    writer = store.content.writer("pull")
    writer.write(b"bl")
    writer.abort()
    writer.abort()
    writer.close()
    assert store.content.ingests() == []
    assert store._context.paths.ingest_files() == []
    with pytest.raises(FailedPrecondition, match="closed"):
        writer.write(b"ob")
    with pytest.raises(FailedPrecondition, match="closed"):
        writer.commit()


def test_a_manifest_by_its_descriptor_gets_references(store: Store) -> None:
    raw = manifest_of(described(b"config"), described(b"layer"))
    for media_type, count in ((mediatype.OCI_MANIFEST, 2), ("text/plain", 0)):
        desc = Descriptor.of(raw + b" " * count, media_type)
        with store.content.writer("m", desc) as writer:
            writer.write(raw + b" " * count)
            writer.commit()
        labels = store.content.labels(desc.digest)
        assert len([key for key in labels if key.startswith(REFERENCE)]) == count


def test_a_foreign_layer_counts_only_where_it_is(store: Store) -> None:
    foreign = described(b"foreign", mediatype.OCI_FOREIGN_LAYER)
    raw = manifest_of(described(b"config"), foreign)
    desc = Descriptor.of(raw, mediatype.OCI_MANIFEST)
    for is_here in (False, True):
        if is_here:
            with store.content.writer("f") as writer:
                writer.write(b"foreign")
                writer.commit()
        with store.content.writer("m", desc) as writer:
            writer.write(raw)
            writer.commit()
        assert (foreign.digest in store.content.labels(desc.digest).values()) == is_here


def test_a_lease_that_ends_in_the_middle_loses_nothing_written(store: Store, clock: Clock) -> None:
    short = store.content.under(store.leases.create(seconds=5))
    with short.writer("pull", BLOB) as writer:
        writer.write(b"blob")
        clock.now += 5
        with pytest.raises(FailedPrecondition, match="has expired"):
            writer.commit()
    with store.content.writer("pull", BLOB) as writer:
        assert writer.offset == 4
        writer.commit()


@pytest.mark.parametrize("ref", ["", "\ud800"])
def test_a_ref_has_to_be_a_text(store: Store, ref: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be the name of an ingest"):
        store.content.writer(ref)


def test_any_other_text_is_a_ref_and_no_path(store: Store, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    with store.content.writer("../" * 300 + "é\0\n"):
        added = set(tmp_path.rglob("*")) - before
        assert {path.parent.name for path in added} == {"ingest"}


def test_a_write_that_failed_can_be_done_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.content.writer("pull", BLOB) as writer:
        writer.write(b"b")
        real = os.write

        def half(fd: int, block: bytes) -> int:
            if len(block) < 2:
                raise OSError(errno.ENOSPC, "full")
            return real(fd, block[:1])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(BackendError, match="disk full"):
                writer.write(b"lob")
        assert writer.offset == 1
        writer.write(b"lob")
        writer.commit()
    assert read(store.content, BLOB) == b"blob"
