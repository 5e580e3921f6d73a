from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.images.store.rig import BEGIN, described, index_of, opened, put, put_image

from cachexport.errors import AlreadyExists, InvalidInputError, NotFound, Outdated
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor, Platform

if TYPE_CHECKING:
    from unit.images.store.rig import Clock

    from cachexport.images.store import Store


def test_a_name_stands_for_all_that_a_descriptor_says(store: Store, clock: Clock) -> None:
    found = put(store.content, b"blob")
    target = Descriptor(
        media_type="x/y",
        digest=found.digest,
        size=found.size,
        annotations={"ä": "<>"},
        platform=Platform(architecture="arm64", os="linux", variant="v8"),
    )
    made = store.images.create("app:1", target, {"a": "b"})
    assert (made.name, made.target, made.labels) == ("app:1", target, {"a": "b"})
    assert (made.created, made.updated) == (BEGIN, BEGIN)
    with opened(store._context.paths.directory) as other:
        assert other.images.get("app:1") == made
    clock.now += 1
    after = store.images.update("app:1", found, {"c": "d"})
    assert (after.target, after.labels) == (found, {"a": "b", "c": "d"})
    assert (after.created, after.updated) == (BEGIN, BEGIN + 1)


def test_a_name_is_taken_once(store: Store) -> None:
    blob = put(store.content, b"blob")
    store.images.create("app", blob)
    with pytest.raises(AlreadyExists, match="image 'app'"):
        store.images.create("app", blob)


def test_names_that_are_not_there_are_not_found(store: Store) -> None:
    blob = put(store.content, b"blob")
    acts = (store.images.get, store.images.delete, lambda name: store.images.update(name, blob))
    for act in acts:
        with pytest.raises(NotFound, match="there is no image 'app'"):
            act("app")
    with pytest.raises(InvalidInputError, match="name of an image"):
        store.images.create("", blob)


def test_what_changed_meanwhile_is_not_overwritten(store: Store) -> None:
    one, two = put(store.content, b"one"), put(store.content, b"two")
    read = store.images.create("app", one)
    newer = store.images.update("app", two, expected=read)
    # To and fro is a change too.
    newest = store.images.update("app", one)
    for expected in (read, newer):
        with pytest.raises(Outdated, match="somebody changed it"):
            store.images.update("app", two, expected=expected)
        with pytest.raises(Outdated):
            store.images.delete("app", expected=expected)
    assert store.images.get("app") == newest
    store.images.delete("app", expected=newest)
    assert store.images.list() == []


def test_a_name_never_leads_to_what_is_not_there(store: Store) -> None:
    absent = described(b"absent")
    with pytest.raises(NotFound, match=f"cannot be named: blob {absent.digest} is not there"):
        store.images.create("app", absent)
    image = put_image(store.content)
    hollow = put(store.content, index_of(image.manifest, absent), mediatype.OCI_INDEX)
    with pytest.raises(NotFound, match=str(absent.digest)):
        store.images.create("app", hollow)
    store.images.create("app", image.manifest)
    with pytest.raises(NotFound, match=str(absent.digest)):
        store.images.update("app", hollow)
    assert store.images.get("app").target == image.manifest


def test_names_are_listed_by_pattern_and_label(store: Store) -> None:
    blob = put(store.content, b"blob")
    for name, labels in (("b:1", {"x": "1"}), ("a:1", {"x": "2"}), ("a:2", {})):
        store.images.create(name, blob, labels)
    assert [image.name for image in store.images.list()] == ["a:1", "a:2", "b:1"]
    assert [image.name for image in store.images.list("a:*")] == ["a:1", "a:2"]
    assert [image.name for image in store.images.list("?:1", {"x": None})] == ["a:1", "b:1"]
    assert [image.name for image in store.images.list(labels={"x": "2"})] == ["a:1"]


def test_labels_go_with_their_name(store: Store) -> None:
    blob = put(store.content, b"blob")
    store.images.create("app", blob, {"a": "b"})
    store.images.delete("app")
    assert store.images.create("app", blob).labels == {}


def test_a_name_is_put_whether_or_not_it_is_there(store: Store, clock: Clock) -> None:
    first, second = put_image(store.content), put_image(store.content, 5)
    made = store.images.put("app", first.manifest, {"a": "1"})
    assert made == store.images.get("app")
    clock.now += 5
    changed = store.images.put("app", second.manifest, {"b": "2"})
    assert (changed.target, changed.labels) == (second.manifest, {"a": "1", "b": "2"})
    assert (changed.created, changed.updated) == (made.created, clock.now)
    with pytest.raises(NotFound):
        store.images.put("app", described(b"not there"))
    assert store.images.get("app") == changed
