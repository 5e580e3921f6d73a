from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.images.store.rig import described, index_of, opened, put, put_image, read

from cachexport.content.files import lock
from cachexport.content.protocols import Info
from cachexport.images.store import REFERENCE, Collected
from cachexport.images.store.paths import Paths
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from pathlib import Path

    from unit.images.store.rig import Clock

    from cachexport.images.store import Store

NOTHING = Collected(content=(), leases=(), ingests=())


def there(store: Store) -> set[str]:
    return {info.digest for info in store.content.list()}


def test_what_nothing_holds_goes_and_its_files_with_it(store: Store) -> None:
    blob = put(store.content, b"blob")
    store.content.label(blob.digest, {"a": "b"})
    collected = store.collect_garbage()
    assert collected.content == (Info(blob.digest, 4),)
    assert collected.size == 4
    assert list(store._context.paths.digests()) == []
    assert store.collect_garbage() == NOTHING
    put(store.content, b"blob")
    assert store.content.labels(blob.digest) == {}


def test_a_name_holds_all_that_it_leads_to(store: Store) -> None:
    one, two = put_image(store.content, 1), put_image(store.content, 2)
    index = put(store.content, index_of(one.manifest), mediatype.OCI_INDEX)
    store.images.create("app", index)
    store.collect_garbage()
    assert there(store) == {index.digest, *(desc.digest for desc in one.all)}
    assert two.layers[0].digest == one.layers[1].digest  # shared, so it stays
    store.images.delete("app")
    store.collect_garbage()
    assert there(store) == set()


def test_a_lease_holds_until_it_ends(store: Store, clock: Clock) -> None:
    lease = store.leases.create("l", seconds=10)
    image = put_image(store.content)
    store.leases.add(lease.id, image.manifest.digest)
    clock.now += 9.9
    assert store.collect_garbage() == NOTHING
    clock.now += 0.1
    collected = store.collect_garbage()
    assert collected.leases == ("l",)
    assert len(collected.content) == 4
    assert store.leases.list() == []


def test_references_of_ones_own_hold_and_loops_do_no_harm(store: Store) -> None:
    root, leaf = put(store.content, b"root"), put(store.content, b"leaf")
    store.content.label(root.digest, {f"{REFERENCE}.leaf": leaf.digest})
    store.content.label(leaf.digest, {f"{REFERENCE}/root": root.digest})
    store.images.create("app", root)
    assert store.collect_garbage() == NOTHING
    store.content.label(root.digest, {f"{REFERENCE}.leaf": ""})
    assert store.collect_garbage().content == (Info(leaf.digest, 4),)


def test_what_is_found_there_under_a_lease_stays(store: Store) -> None:
    """An export that skips what is there must find it there when it names the image."""
    image = put_image(store.content)
    with store.leases.held() as lease:
        assert store.content.under(lease).missing([image.manifest]) == set()
        assert store.collect_garbage() == NOTHING
        store.images.create("app", image.manifest)
    assert store.collect_garbage() == NOTHING


def test_whoever_reads_reads_to_the_end(store: Store) -> None:
    blob = put(store.content, b"blob")
    reader = store.content.open(blob)
    store.collect_garbage()
    assert reader.read(10) == b"blob"
    reader.close()


def test_files_that_were_left_by_a_kill_go(store: Store) -> None:
    paths = store._context.paths
    kept = put(store.content, b"kept")
    store.images.create("app", kept)
    orphan = paths.blob(described(b"orphan").digest)
    orphan.write_bytes(b"orphan")
    half = paths.ingests / "0123"
    half.write_bytes(b"half")
    (paths.blobs / "sha256" / "README").write_text("not ours")
    store.collect_garbage()
    assert not orphan.exists()
    assert not half.exists()
    assert (paths.blobs / "sha256" / "README").exists()
    assert read(store.content, kept) == b"kept"


def test_ingests_go_when_nobody_went_on_with_them(store: Store, clock: Clock) -> None:
    store.content.writer("left").close()
    clock.now += 3600
    assert store.collect_garbage().ingests == ()
    clock.now += 23 * 3600
    with opened(store._context.paths.directory, clock) as other, store.content.writer("kept"):
        clock.now += 48 * 3600
        assert other.collect_garbage().ingests == ("left",)
        assert [status.ref for status in other.content.ingests()] == ["kept"]
    assert store.collect_garbage(stale_after=1).ingests == ()
    clock.now += 1
    assert store.collect_garbage(stale_after=1).ingests == ("kept",)
    assert store._context.paths.ingest_files() == []


def test_a_row_whose_file_is_gone_goes_too(store: Store, clock: Clock) -> None:
    store.content.writer("left").close()
    store._context.paths.ingest("left").unlink()
    assert [status.offset for status in store.content.ingests()] == [0]
    clock.now += 25 * 3600
    assert store.collect_garbage().ingests == ("left",)
    assert store.content.ingests() == []


def test_an_ingest_that_begins_during_a_collection_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Paths.ingest_files

    def late(paths: Paths) -> list[Path]:
        with store.content.writer("late") as writer:
            writer.write(b"la")
        return listed(paths)

    monkeypatch.setattr(Paths, "ingest_files", late)
    store.collect_garbage()
    assert [status.offset for status in store.content.ingests()] == [2]


def test_whoever_begins_waits_while_a_collection_looks_at_the_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = [lock.acquire(store._context.paths.ingests / "0123")]
    monkeypatch.setattr("secrets.token_hex", lambda _: "0123")
    monkeypatch.setattr(lock, "pause", lambda: begun.pop().close())
    blob = put(store.content, b"blob")
    assert begun == []
    begun = [lock.acquire(store._context.paths.ingest("pull"))]
    store.content.writer("pull").close()
    assert begun == []
    assert read(store.content, blob) == b"blob"


@pytest.mark.parametrize("count", [0, 63, 64, 65, 200])
def test_any_number_of_files_goes(store: Store, count: int) -> None:
    folder = store._context.paths.blobs / "sha256"
    folder.mkdir()
    for number in range(count):
        (folder / described(b"%d" % number).digest.encoded).touch()
    store.collect_garbage()
    assert list(folder.iterdir()) == []


def test_names_that_are_to_go_go_with_what_they_held(store: Store) -> None:
    first, second = put_image(store.content), put_image(store.content, 5)
    store.images.create("gone", first.manifest)
    store.images.create("kept", second.manifest)
    told = store.collect_garbage(images=["gone", "never there"], dry_run=True)
    assert (told.images, len(told.content)) == (("gone",), 4)
    assert len(store.images.list()) == 2
    assert len(store.content.list()) == 8
    assert store.collect_garbage(images=["gone", "never there"]) == told
    assert [image.name for image in store.images.list()] == ["kept"]
    assert sorted(info.digest for info in store.content.list()) == sorted(
        desc.digest for desc in second.all
    )


def test_a_dry_run_leaves_expired_leases(store: Store, clock: Clock) -> None:
    lease = store.leases.create(seconds=10)
    clock.now += 10
    assert store.collect_garbage(dry_run=True).leases == (lease.id,)
    assert store.leases.get(lease.id) == lease
    assert store.collect_garbage().leases == (lease.id,)
