from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.local.rig import CACHES, LAYOUTS, described

from cachexport.errors import NotFound, WireFormat
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.index import IMAGE_NAME, REF_NAME, Index

OLD = described(b"old", "application/vnd.oci.image.manifest.v1+json")
NEW = described(b"new", "application/vnd.oci.image.manifest.v1+json")
DIGEST = str(OLD.digest)


def entry(raw: bytes, **names: str) -> Descriptor:
    annotations = {{"image": IMAGE_NAME, "ref": REF_NAME}[key]: name for key, name in names.items()}
    desc = described(raw)
    return Descriptor(digest=desc.digest, size=desc.size, annotations=annotations)


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_index_built_from_its_descriptor_has_buildkits_bytes(name: str) -> None:
    raw = (CACHES / name / "index.json").read_bytes()
    found = json.loads(raw)["manifests"][0]
    desc = Descriptor(
        media_type=found["mediaType"],
        digest=Descriptor.decode(found).digest,
        size=found["size"],
    )
    assert Index().with_tag("latest", desc).encode() == raw


def test_there_are_real_layouts() -> None:
    assert len(LAYOUTS) >= 12


def test_what_buildkit_keeps_of_other_entries_is_kept() -> None:
    kept = (
        '{"mediaType":"m","digest":"DIGEST","size":3,"urls":["u"],"annotations":{"a":"\\u003cb"},'
        '"data":"b2xk","platform":{"architecture":"arm64","os":"linux","variant":"v8"},'
        '"artifactType":"t"}'
    ).replace("DIGEST", DIGEST)
    tail = '"subject":{"mediaType":"s","digest":"DIGEST","size":3},"annotations":{"x":"y"}'
    tail = tail.replace("DIGEST", DIGEST)
    head = '{"schemaVersion":2,"mediaType":"i","artifactType":"k","manifests":['
    raw = f"{head}{kept}],{tail}}}".encode()
    changed = Index.decode(raw).with_tag("latest", NEW).encode()
    added = NEW.encode()[:-1] + ',"annotations":{"org.opencontainers.image.ref.name":"latest"}}'
    assert changed == f"{head}{kept},{added}],{tail}}}".encode()


def test_absent_fields_get_buildkits_defaults() -> None:
    assert Index.decode(b"{}") == Index() == Index.decode(b"null")
    assert Index().encode() == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    )


def test_a_new_entry_goes_last_and_replaces_all_with_its_tag() -> None:
    others = (entry(b"1", ref="other"), entry(b"2", ref="latest", image="docker.io/a:latest"))
    index = Index(
        manifests=(entry(b"3", ref="latest"), others[0], entry(b"4", ref="latest"), others[1])
    )
    changed = index.with_tag("latest", NEW)
    assert changed.manifests[:-1] == others
    assert changed.manifests[-1].digest == NEW.digest


def test_the_same_entry_stays_where_it_is() -> None:
    index = Index().with_tag("a", OLD).with_tag("b", NEW)
    assert index.with_tag("a", OLD) is index
    assert index.with_tag("a", NEW).names() == ("b", "a")


def test_image_names_are_sought_before_tags() -> None:
    by_tag = entry(b"1", ref="x")
    by_name = entry(b"2", image="x", ref="latest")
    index = Index(manifests=(by_tag, by_name))
    assert index.find("x") == by_name
    assert index.find("latest") == by_name
    assert index.find("y") is None


def test_the_first_of_several_entries_counts() -> None:
    index = Index(manifests=(entry(b"1", ref="x"), entry(b"2", ref="x")))
    assert index.find("x") == index.manifests[0]


def test_without_takes_away_what_is_listed_under_the_name_only() -> None:
    image = entry(b"1", image="docker.io/a:x", ref="x")
    index = Index(manifests=(image, entry(b"2", ref="x"), entry(b"3")))
    assert index.names() == ("docker.io/a:x", "x")
    assert index.without("x").manifests == (image, entry(b"3"))
    with pytest.raises(NotFound, match=r"'y' \(there is docker.io/a:x, x\)"):
        index.without("y")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"manifests":[{"digest":"sha256:zz"}]}', "manifests[0].digest"),
        (b'{"manifests":{}}', "manifests"),
        (b'{"annotations":[]}', "annotations"),
        (b'{"annotations":{"a":1}}', "annotations['a']"),
        (b'{"subject":{"digest":3}}', "subject.digest"),
        (b'{"schemaVersion":"2"}', "schemaVersion"),
        (b"[]", ""),
        (b"", ""),
    ],
)
def test_an_error_says_where_it_is(raw: bytes, path: str) -> None:
    with pytest.raises(WireFormat) as caught:
        Index.decode(raw)
    assert caught.value.path == path


texts = st.text(max_size=5)
descriptors = st.builds(
    Descriptor,
    digest=st.binary(max_size=3).map(lambda raw: described(raw).digest),
    size=st.integers(0, 2**63 - 1),
    media_type=texts,
    annotations=st.dictionaries(texts, texts, max_size=2),
)
indexes = st.builds(
    Index,
    artifact_type=texts,
    manifests=st.lists(descriptors, max_size=3).map(tuple),
    subject=st.none() | descriptors,
    annotations=st.dictionaries(texts, texts, max_size=2),
)


@given(indexes)
def test_decode_reads_what_encode_writes(index: Index) -> None:
    raw = index.encode()
    assert Index.decode(raw).encode() == raw
    assert json.loads(raw)["schemaVersion"] == 2


@given(indexes, st.text(min_size=1, max_size=3))
def test_what_is_tagged_is_found_and_can_be_taken_away(index: Index, tag: str) -> None:
    changed = index.with_tag(tag, NEW)
    found = [e for e in changed.manifests if e.annotations.get(REF_NAME) == tag]
    assert NEW.digest in {e.digest for e in found}
    assert tag not in changed.without(tag).names()
    assert changed.with_tag(tag, NEW) is changed


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(WireFormat):
        Index.decode(raw)


def test_images_take_the_place_of_those_with_their_names() -> None:
    kept, old, cache = (
        entry(b"kept", image="b", ref="1"),
        entry(b"old", image="a", ref="1"),
        entry(b"cache", ref="1"),
    )
    index = Index(manifests=(old, kept, cache))
    new, nameless = entry(b"new", image="a", ref="1"), entry(b"nameless")
    changed = index.with_images([new]).with_images([nameless])
    assert changed.manifests == (kept, cache, new, nameless)
    assert changed.with_images([nameless]) == changed
