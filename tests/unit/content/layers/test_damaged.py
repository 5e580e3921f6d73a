from __future__ import annotations

import gzip
import struct
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from unit.content.layers.samples import CONTENT, packed, unpacked

from cachexport.errors import Integrity
from cachexport.oci.compression import Compression

PACKED = [Compression.GZIP, Compression.ZSTD]
SMALL = CONTENT[:3000]
MEMBERS = st.lists(st.binary(max_size=300), min_size=1, max_size=8)


def skippable(content: bytes, nibble: int = 0) -> bytes:
    return struct.pack("<LL", 0x184D2A50 + nibble, len(content)) + content


def one_shot(content: bytes, **options: bool) -> bytes:
    """A frame as libzstd makes it when it knows the size: another kind of header."""
    return zstandard.ZstdCompressor(**options).compress(content)


@given(MEMBERS)
def test_gzip_members_are_read_one_after_the_other(contents: list[bytes]) -> None:
    blob = b"".join(map(gzip.compress, contents))
    assert unpacked(blob, Compression.GZIP) == b"".join(contents)


def test_gzip_members_may_be_longer_than_a_piece() -> None:
    blob = gzip.compress(CONTENT) + gzip.compress(b"") + gzip.compress(CONTENT)
    assert unpacked(blob, Compression.GZIP) == CONTENT * 2


def test_gzip_headers_may_have_names_comments_and_times() -> None:
    body = gzip.compress(SMALL)[10:]
    header = b"\x1f\x8b\x08" + bytes([0x08 | 0x10]) + b"\x01\x02\x03\x04\x00\x03name\0comment\0"
    assert unpacked(header + body, Compression.GZIP) == SMALL


@given(MEMBERS, st.booleans(), st.booleans(), st.integers(0, 15))
def test_zstd_frames_are_read_one_after_the_other(
    contents: list[bytes], checksum: bool, sized: bool, nibble: int
) -> None:
    frames = [
        one_shot(content, write_checksum=checksum, write_content_size=sized) for content in contents
    ]
    blob = skippable(b"first", nibble).join([b"", *frames, b""])
    assert unpacked(blob, Compression.ZSTD) == b"".join(contents)


def test_skippable_frames_alone_have_no_content() -> None:
    assert unpacked(skippable(b"") + skippable(b"x" * 3_000_000), Compression.ZSTD) == b""


@pytest.mark.parametrize("content", [b"\0" * 1_000_000, zlib.compress(CONTENT), CONTENT])
def test_zstd_blocks_of_every_kind_are_read(content: bytes) -> None:
    # Of one repeated byte, stored, and compressed.
    assert unpacked(one_shot(content), Compression.ZSTD) == content


@pytest.mark.parametrize("compression", PACKED)
@given(data=st.data())
def test_what_is_cut_off_is_an_error(compression: Compression, data: st.DataObject) -> None:
    blob = packed(SMALL, compression)
    end = data.draw(st.integers(0, len(blob) - 1))
    with pytest.raises(Integrity, match="it is truncated"):
        unpacked(blob[:end], compression)


@pytest.mark.parametrize("compression", PACKED)
@given(data=st.data())
def test_a_second_part_that_is_cut_off_is_an_error(compression, data: st.DataObject) -> None:
    blob = packed(SMALL, compression)
    end = data.draw(st.integers(1, len(blob) - 1))
    with pytest.raises(Integrity, match="it is truncated"):
        unpacked(blob + blob[:end], compression)


@pytest.mark.parametrize("end", range(1, 13))
def test_a_skippable_frame_that_is_cut_off_is_an_error(end: int) -> None:
    with pytest.raises(Integrity, match="it is truncated"):
        unpacked(packed(SMALL, Compression.ZSTD) + skippable(b"hello")[:end], Compression.ZSTD)


@pytest.mark.parametrize("compression", PACKED)
@given(data=st.data())
def test_a_changed_byte_never_changes_the_content(
    compression: Compression, data: st.DataObject
) -> None:
    blob = bytearray(packed(SMALL, compression))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        content = unpacked(bytes(blob), compression)
    except Integrity:
        return
    assert content == SMALL  # it was a time in a header, or the like


@pytest.mark.parametrize("compression", PACKED)
def test_a_wrong_checksum_is_an_error(compression: Compression) -> None:
    blob = bytearray(packed(SMALL, compression))
    blob[-5 if compression is Compression.GZIP else -1] ^= 1
    with pytest.raises(Integrity, match=f"it is not valid {compression}"):
        unpacked(bytes(blob), compression)


@pytest.mark.parametrize("compression", PACKED)
@given(garbage=st.binary(min_size=20))
def test_garbage_is_an_error(compression: Compression, garbage: bytes) -> None:
    with pytest.raises(Integrity, match=f"it is not valid {compression}"):
        unpacked(b"garbage" + garbage, compression)


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("tail", [b"garbage", b"\0" * 512])
def test_garbage_at_the_end_is_an_error(compression: Compression, tail: bytes) -> None:
    with pytest.raises(Integrity, match=f"it is not valid {compression}"):
        unpacked(packed(SMALL, compression) + tail, compression)


@pytest.mark.parametrize("compression", PACKED)
def test_nothing_is_an_error(compression: Compression) -> None:
    with pytest.raises(Integrity, match="it is truncated"):
        unpacked(b"", compression)


def test_a_zstd_window_that_is_too_large_is_refused() -> None:
    header = b"\x28\xb5\x2f\xfd\x00" + bytes([30 - 10 << 3])  # 1 GiB
    with pytest.raises(Integrity, match="too much memory"):
        unpacked(header + b"\x01\0\0", Compression.ZSTD)
