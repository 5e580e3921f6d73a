from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.content.layers.samples import (
    CONTENT,
    Watched,
    blob,
    bytes_of,
    layer,
    packed,
    packed_once,
    unpacked,
)

from cachexport.content.layers.convert import convert_layer, diff_id, open_layer
from cachexport.content.memory import MemoryContent
from cachexport.errors import InvalidAttr
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED
from cachexport.oci.digest import Digest

OTHERS = [(old, new) for old in Compression for new in Compression if old is not new]
DIFF_ID = Digest.of(CONTENT)


class Refusing(MemoryContent):
    """An ingester that has everything, and must be given nothing."""

    def missing(self, descs, /):
        return set()

    def ingest(self, desc, reader, /):
        raise AssertionError(f"{desc.digest} was written again")


@pytest.mark.parametrize(("old", "new"), OTHERS)
def test_a_layer_is_converted(old: Compression, new: Compression) -> None:
    source, desc = layer(CONTENT, old)
    target = MemoryContent()
    converted = convert_layer(source, desc, target, new)
    stored = bytes_of(target, converted)
    assert unpacked(stored, new) == CONTENT
    assert (converted.digest, converted.size) == (Digest.of(stored), len(stored))
    assert converted.media_type == new.media_type
    assert converted.diff_id == desc.diff_id == DIFF_ID


@given(
    content=st.binary(max_size=2000),
    path=st.lists(st.sampled_from(Compression), min_size=1, max_size=5),
)
def test_a_diff_id_survives_any_number_of_conversions(
    content: bytes, path: list[Compression]
) -> None:
    source, desc = layer(content, Compression.UNCOMPRESSED)
    for compression in path:
        target = MemoryContent()
        desc = convert_layer(source, desc, target, compression)
        source = target
    assert desc.diff_id == diff_id(source, desc) == Digest.of(content)
    assert bytes_of(source, desc) == packed(content, path[-1])


@pytest.mark.parametrize("compression", Compression)
def test_the_diff_id_is_found_by_reading(compression: Compression) -> None:
    source, desc = layer(CONTENT, compression, **{UNCOMPRESSED: Digest.of(b"not looked at")})
    assert diff_id(source, desc) == DIFF_ID


@pytest.mark.parametrize(("old", "new"), OTHERS)
def test_an_absent_diff_id_is_added(old: Compression, new: Compression) -> None:
    source, desc = blob(packed_once(CONTENT, old), old.media_type)
    assert convert_layer(source, desc, MemoryContent(), new).annotations == {UNCOMPRESSED: DIFF_ID}


def test_a_diff_id_keeps_its_algorithm() -> None:
    longer = "sha512:" + hashlib.sha512(CONTENT).hexdigest()
    source, desc = layer(CONTENT, Compression.GZIP, **{UNCOMPRESSED: longer})
    assert convert_layer(source, desc, MemoryContent(), Compression.ZSTD).diff_id == longer


def test_annotations_are_kept_but_for_those_about_the_old_bytes() -> None:
    kept = {CREATED_AT: "2024-05-01T10:00:00Z", DESCRIPTION: "RUN make", "org.example": "x"}
    lost = {
        "containerd.io/distribution.source.docker.io": "library/app",
        "containerd.io/snapshot/stargz/toc.digest": DIFF_ID,
    }
    source, desc = layer(CONTENT, Compression.GZIP, **kept, **lost)
    desc = dataclasses.replace(desc, urls=("https://example.org/layer",), data=b"old bytes")
    converted = convert_layer(source, desc, MemoryContent(), Compression.ZSTD)
    assert converted.annotations == kept | {UNCOMPRESSED: DIFF_ID}
    assert (converted.urls, converted.data) == ((), b"")


def test_the_level_is_used() -> None:
    source, desc = layer(CONTENT, Compression.ZSTD)
    target = MemoryContent()
    converted = convert_layer(source, desc, target, Compression.GZIP, 9)
    assert bytes_of(target, converted) == packed(CONTENT, Compression.GZIP, 9)
    assert converted != convert_layer(source, desc, target, Compression.GZIP, 1)


@pytest.mark.parametrize("compression", Compression)
def test_a_layer_that_is_right_already_is_copied_as_it_is(compression: Compression) -> None:
    source, desc = layer(CONTENT, compression, x="kept")
    target = MemoryContent()
    assert convert_layer(source, desc, target, compression, 1) == desc
    assert bytes_of(target, desc) == bytes_of(source, desc)


@pytest.mark.parametrize(
    "media_type",
    [
        mediatype.OCI_FOREIGN_LAYER,
        mediatype.OCI_FOREIGN_LAYER + "+zstd",
        mediatype.DOCKER_FOREIGN_LAYER,
        mediatype.DOCKER_FOREIGN_LAYER + ".gzip",
    ],
)
@pytest.mark.parametrize("compression", Compression)
def test_a_nondistributable_layer_stays_as_it_is(media_type: str, compression) -> None:
    source, desc = blob(b"whatever", media_type)
    target = MemoryContent()
    assert convert_layer(source, desc, target, compression) == desc
    assert bytes_of(target, desc) == b"whatever"


@pytest.mark.parametrize("compression", Compression)
def test_what_the_target_has_is_not_written_again(compression: Compression) -> None:
    source, desc = layer(CONTENT, Compression.GZIP)
    converted = convert_layer(source, desc, Refusing(), compression)
    assert converted.digest == Digest.of(packed(CONTENT, compression))


@pytest.mark.parametrize("actual", Compression)
@pytest.mark.parametrize(
    "media_type", [mediatype.DOCKER_LAYER_GZIP, mediatype.DOCKER_LAYER, "text/html", ""]
)
def test_bytes_are_believed_more_than_media_types(actual: Compression, media_type: str) -> None:
    source, desc = blob(packed_once(CONTENT, actual), media_type)
    assert diff_id(source, desc) == DIFF_ID
    converted = convert_layer(source, desc, MemoryContent(), Compression.ZSTD)
    assert (converted.media_type, converted.diff_id) == (mediatype.OCI_LAYER_ZSTD, DIFF_ID)


@pytest.mark.parametrize("first", [b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd"])
def test_an_oci_media_type_is_believed_more_than_bytes(first: bytes) -> None:
    source, desc = blob(first, mediatype.OCI_LAYER)
    assert diff_id(source, desc) == desc.digest


def test_the_empty_layer_is_a_layer() -> None:
    source, desc = blob(b"", mediatype.DOCKER_LAYER_GZIP)
    assert diff_id(source, desc) == Digest.of(b"")


def test_a_bad_level_is_found_before_anything_is_read() -> None:
    content, desc = layer(CONTENT, Compression.GZIP)
    source = Watched(content)
    with pytest.raises(InvalidAttr):
        convert_layer(source, desc, MemoryContent(), Compression.GZIP, 10)
    assert not source.opened


@pytest.mark.parametrize("compression", Compression)
def test_what_was_opened_is_closed(compression: Compression) -> None:
    content, desc = layer(CONTENT, Compression.GZIP)
    source = Watched(content)
    convert_layer(source, desc, MemoryContent(), compression)
    diff_id(source, desc)
    with open_layer(source, desc) as reader:
        reader.read(1)
    assert len(source.opened) == 3
    assert all(reader.closed for reader in source.opened)
