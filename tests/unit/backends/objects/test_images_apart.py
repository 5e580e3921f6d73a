"""Images that a place keeps beside its caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.object_place import HOUR, KEYS, has, place, prune, put

from cachexport.backends.objects.layout import Keys
from cachexport.content.copy import ingest_bytes
from cachexport.errors import FailedPrecondition, NotFound, Outdated
from cachexport.images import encode_image_manifest
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.mediatype import OCI_CONFIG
from cachexport.testing.memory import MemoryObjects
from cachexport.testing.samples import layer
from cachexport.upkeep.names import list_names, remove_names
from cachexport.upkeep.prune import Plan, prune_places
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from cachexport.backends.objects.place import ObjectPlace


def test_an_image_of_a_place_below_needs_what_it_shares_with_us() -> None:
    client = MemoryObjects()
    put(client, "main", 1)
    below = Keys(blobs="app/sub/blobs/", names="app/sub/manifests/")
    put(client, "theirs", 2, keys=below)
    put(client, "ours", 3)
    for root, number, keys in (("app/sub/", 2, below), ("app/other/", 3, KEYS)):
        place(client, keys, root).assign("steps/a", layer(number)[1])
    client.delete(KEYS.name("ours"))
    client.time += 100 * HOUR
    done = prune(client)
    assert (has(client, 2, below), has(client, 3)) == (True, True)
    assert done.names[0].name == "main"


def apart(here: ObjectPlace) -> list[str]:
    return [entry.name for entry in here.assigned()]


def image(client: MemoryObjects, name: str, number: int) -> None:
    """Store an image with a layer that caches may have too, and name it."""
    blob, desc = layer(number)
    config = b'{"rootfs":{"type":"layers","diff_ids":[]}}'
    described, raw = encode_image_manifest(config, [desc], oci_mediatypes=True)
    here = place(client)
    with here.ingesting() as ingester:
        parts = ((desc, blob), (Descriptor.of(config, OCI_CONFIG), config), (described, raw))
        for each, content in parts:
            ingest_bytes(ingester, each, content)
    here.assign(name, described)


def test_images_are_listed_and_pruned_beside_caches_of_the_same_names() -> None:
    client = MemoryObjects()
    put(client, "main", 1)
    image(client, "main", 1)
    image(client, "steps/a", 2)
    client.time += 100 * HOUR
    put(client, "young", 3)
    image(client, "steps/b", 4)
    listed = {(item.name, item.kind): item for item in list_names(place(client))}
    assert [item for item in listed if item[1] == "image"] == [
        ("steps/b", "image"),
        ("main", "image"),
        ("steps/a", "image"),
    ]
    assert listed.keys() > {("main", "image-manifest"), ("young", "image-manifest")}
    assert listed["main", "image"].size > layer(1)[1].size
    rules = {"max_age": 50 * HOUR}
    [told] = prune_places([place(client)], Plan(retention=Retention(**rules)), 0)  # type: ignore[arg-type]
    rows = {(it.name, it.is_image): it for it in told.names}
    assert {key for key, it in rows.items() if not it.stays} == {("main", False)}
    assert rows["main", True].reason == "an image"
    # The layer that cache and image share is freed by neither alone.
    assert rows["main", False].own == rows["main", False].size - layer(1)[1].size
    done = prune(client, **rules, images=True)  # type: ignore[arg-type]
    gone = {(it.name, it.is_image) for it in done.names if not it.stays}
    assert gone == {("main", False), ("main", True), ("steps/a", True)}
    assert [has(client, number) for number in (1, 2, 3, 4)] == [False, False, True, True]
    assert done.kept.size == sum(it.size for it in done.names if it.stays)


def test_images_are_told_of_once_where_places_share_them() -> None:
    client = MemoryObjects()
    theirs = Keys(blobs=KEYS.blobs, names="app/branches/")
    image(client, "steps/a", 1)
    both = [place(client), place(client, theirs)]
    [told] = prune_places(both, Plan(), 0)
    assert [item.name for item in told.names] == ["steps/a"]
    assert told.kept.blobs == 3


def test_an_image_that_leads_nowhere_stops_a_prune() -> None:
    client = MemoryObjects()
    image(client, "steps/a", 1)
    [blob] = [place(client).resolve("steps/a").digest]
    client.delete(KEYS.blob(blob))
    [listed] = list_names(place(client))
    assert listed.kind == "damaged"
    assert "app/cachexport/images/steps/a leads nowhere" in listed.fault
    with pytest.raises(FailedPrecondition, match="leads nowhere"):
        prune(client)
    assert remove_names(place(client), "steps/a", force=True) == ["steps/a"]
    prune(client)


def test_a_cache_may_have_the_folder_of_images_in_its_name() -> None:
    client = MemoryObjects()
    put(client, "x/cachexport/images/y", 1)
    client.time += 100 * HOUR
    assert [item.name for item in prune(client).names] == ["x/cachexport/images/y"]
    assert has(client, 1)


def test_an_image_that_is_written_meanwhile_stays() -> None:
    client = MemoryObjects()
    image(client, "steps/a", 1)
    here = place(client)
    listed = here.assigned()
    image(client, "steps/a", 2)
    assert isinstance(here.withdraw(listed)["steps/a"], Outdated)
    assert apart(here) == ["steps/a"]


def test_images_that_are_kept_apart_are_removed_by_force() -> None:
    client = MemoryObjects()
    here = place(client)
    for name in ("main", "other"):
        put(client, name, 1)
    desc = layer(1)[1]
    for name in ("main", "steps/a", "steps/b"):
        here.assign(name, desc)
    with pytest.raises(NotFound):
        remove_names(here, "steps/*")
    told: list[str] = []
    wanted = ["steps/a", "steps/b"]
    for is_dry in (True, False):
        assert apart(here) == ["main", *wanted]
        removed = remove_names(here, "steps/*", force=True, dry_run=is_dry, removed=told.append)
        assert removed == wanted
    assert told == wanted * 2
    assert apart(here) == ["main"]
    assert remove_names(here, "main") == ["main"]
    assert apart(here) == ["main"]
    assert remove_names(here, "m*", force=True) == ["main"]
    assert (apart(here), [entry.name for entry in here.entries()]) == ([], ["other"])
