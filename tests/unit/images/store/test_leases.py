from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.images.store.rig import BEGIN, described, opened, put

from cachexport.errors import AlreadyExists, InvalidInputError, NotFound
from cachexport.images.store import Lease

if TYPE_CHECKING:
    from unit.images.store.rig import Clock

    from cachexport.images.store import Store


def test_a_lease_outlives_the_store_that_took_it(store: Store) -> None:
    lease = store.leases.create("build", labels={"a": "b"}, seconds=60)
    assert lease == Lease(id="build", labels={"a": "b"}, created=BEGIN, expires=BEGIN + 60)
    with opened(store._context.paths.directory) as other:
        assert other.leases.get("build") == lease
        assert other.leases.list({"a": "b"}) == [lease]
        assert other.leases.list({"a": "c"}) == []
        other.leases.delete("build")
    assert store.leases.list() == []


def test_an_id_is_made_or_taken_once(store: Store) -> None:
    one, two = store.leases.create(), store.leases.create()
    assert one.id != two.id
    with pytest.raises(AlreadyExists, match=one.id):
        store.leases.create(one.id)
    with pytest.raises(InvalidInputError, match="a lease"):
        store.leases.create("\ud800")


def test_what_is_not_there_is_not_found(store: Store) -> None:
    for act in (
        store.leases.get,
        store.leases.delete,
        store.leases.resources,
        lambda name: store.leases.renew(name, seconds=1),
    ):
        with pytest.raises(NotFound, match="there is no lease 'x'"):
            act("x")


def test_a_lease_holds_what_is_put_in_or_found_under_it(store: Store) -> None:
    before = put(store.content, b"before")
    absent = described(b"absent")
    with store.leases.held() as lease:
        content = store.content.under(lease)
        added = put(content, b"added")
        with content.writer("w") as writer:
            writer.write(b"written")
            written = writer.commit().digest
        assert content.missing([before, absent]) == {absent.digest}
        assert store.leases.resources(lease.id) == {added.digest, written, before.digest}
        store.leases.remove(lease.id, before.digest)
        assert store.leases.resources(lease.id) == {added.digest, written}
    with pytest.raises(NotFound):
        store.leases.get(lease.id)


def test_content_that_is_not_there_cannot_be_held(store: Store) -> None:
    lease = store.leases.create()
    with pytest.raises(NotFound, match="is not there"):
        store.leases.add(lease.id, described(b"x").digest)


def test_the_block_may_delete_its_lease_itself(store: Store) -> None:
    with store.leases.held() as lease:
        store.leases.delete(lease.id)


def test_the_lease_goes_when_its_block_fails(store: Store) -> None:
    with pytest.raises(RuntimeError), store.leases.held():
        raise RuntimeError
    assert store.leases.list() == []


def test_renewing_counts_from_now(store: Store, clock: Clock) -> None:
    store.leases.create("build", seconds=60)
    clock.now += 59
    assert store.leases.renew("build", seconds=60).expires == BEGIN + 119
    assert store.leases.renew("build", seconds=None).expires is None
