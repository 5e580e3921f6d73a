from __future__ import annotations

import gzip
import io
import subprocess
import sys
from contextlib import closing

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from unit.content.layers.samples import CONTENT, Trickle, packed, unpacked

from cachexport.content.layers.blocks import BlockReader
from cachexport.content.layers.codecs import check_level, compress, decompress, detect
from cachexport.errors import InvalidAttr
from cachexport.oci.compression import Compression

LEVELS = [
    (Compression.UNCOMPRESSED, [None, 0, 99]),
    (Compression.GZIP, [None, *range(-1, 10)]),
    (Compression.ZSTD, [None, *range(23)]),
]
EACH_LEVEL = [(compression, level) for compression, levels in LEVELS for level in levels]


@pytest.mark.parametrize(
    ("first", "wanted"),
    [
        (b"", Compression.UNCOMPRESSED),
        (b"\x1f", Compression.UNCOMPRESSED),
        (b"\x1f\x8b", Compression.UNCOMPRESSED),
        (b"\x1f\x8b\x08", Compression.GZIP),
        (b"\x1f\x8b\x08\x00", Compression.GZIP),
        (b"\x1f\x8b\x09\x00", Compression.UNCOMPRESSED),
        (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
        (b"\x28\xb5\x2f", Compression.UNCOMPRESSED),
        (b"\x50\x2a\x4d\x18", Compression.ZSTD),
        (b"\x5f\x2a\x4d\x18", Compression.ZSTD),
        (b"\x60\x2a\x4d\x18", Compression.UNCOMPRESSED),
        (b"etc/passwd", Compression.UNCOMPRESSED),
    ],
)
def test_the_first_bytes_tell(first: bytes, wanted: Compression) -> None:
    assert detect(first) is wanted


@pytest.mark.parametrize(("compression", "level"), EACH_LEVEL)
def test_every_level_gives_the_content_back(compression: Compression, level: int | None) -> None:
    assert unpacked(packed(CONTENT, compression, level), compression) == CONTENT


@given(content=st.binary(max_size=2000), compression=st.sampled_from(Compression))
def test_any_content_comes_back(content: bytes, compression: Compression) -> None:
    blob = packed(content, compression)
    assert unpacked(blob, compression) == content
    if compression is not Compression.UNCOMPRESSED:
        assert detect(blob) is compression


@pytest.mark.parametrize(
    ("compression", "foreign"),
    [(Compression.GZIP, gzip.compress), (Compression.ZSTD, zstandard.compress)],
)
def test_others_are_understood_and_understand(compression, foreign) -> None:
    assert unpacked(foreign(CONTENT), compression) == CONTENT
    ours = packed(CONTENT, compression)
    read = {Compression.GZIP: gzip.decompress, Compression.ZSTD: _zstd_at_once}[compression]
    assert read(ours) == CONTENT


def _zstd_at_once(blob: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(blob, max_output_size=len(CONTENT))


@pytest.mark.parametrize(("compression", "level"), EACH_LEVEL)
def test_bytes_do_not_hang_on_the_pieces_they_come_in(
    compression: Compression, level: int | None
) -> None:
    content = CONTENT[:50_000]
    trickled = b"".join(compress(Trickle(content), compression, level))
    assert trickled == packed(content, compression, level)


@given(content=st.binary(max_size=2000), compression=st.sampled_from(Compression))
def test_decompressing_takes_input_in_any_pieces(content: bytes, compression: Compression) -> None:
    blob = packed(content, compression)
    reader = decompress(Trickle(blob + blob), compression)
    assert b"".join(iter(lambda: reader.read(3), b"")) == content + content


def test_a_gzip_header_tells_no_time_name_or_system() -> None:
    # Go's writer, and so BuildKit, begins with the same ten bytes.
    assert packed(b"", Compression.GZIP).hex() == "1f8b08000000000000ff" + "0300" + "00" * 8
    assert packed(b"", Compression.GZIP, 1)[8] == 4
    assert packed(b"", Compression.GZIP, 9)[8] == 2


def test_a_zstd_frame_has_a_checksum() -> None:
    assert zstandard.get_frame_parameters(packed(CONTENT, Compression.ZSTD)).has_checksum


def test_levels_matter() -> None:
    sizes = {level: len(packed(CONTENT, Compression.GZIP, level)) for level in (0, 1, 6, 9)}
    assert sizes[0] > len(CONTENT) > sizes[1] > sizes[6] >= sizes[9]
    assert packed(CONTENT, Compression.GZIP) == packed(CONTENT, Compression.GZIP, -1)
    assert packed(CONTENT, Compression.GZIP) == packed(CONTENT, Compression.GZIP, 6)


def test_zstd_has_the_four_efforts_of_buildkit() -> None:
    blobs = [packed(CONTENT, Compression.ZSTD, level) for level in range(23)]
    efforts = [blobs.index(blob) for blob in blobs]
    assert efforts == [0] * 3 + [3] * 3 + [6] * 4 + [10] * 13
    assert packed(CONTENT, Compression.ZSTD) == blobs[3]


@pytest.mark.parametrize(
    ("compression", "level"),
    [
        (Compression.GZIP, -2),
        (Compression.GZIP, 10),
        (Compression.ZSTD, -1),
        (Compression.ZSTD, 23),
    ],
)
def test_a_level_out_of_range_is_an_error_at_once(compression: Compression, level: int) -> None:
    with pytest.raises(InvalidAttr, match=f"{level} is not one of {compression}'s") as caught:
        compress(io.BytesIO(), compression, level)
    assert caught.value.name == "compression-level"


def test_the_error_about_a_level_lists_the_good_ones() -> None:
    with pytest.raises(InvalidAttr, match=r"\(-1 to 9\)"):
        check_level(Compression.GZIP, 10)
    with pytest.raises(InvalidAttr, match=r"\(0 to 22\)"):
        check_level(Compression.ZSTD, 23)


@pytest.mark.parametrize("compression", Compression)
def test_closing_closes_what_is_below(compression: Compression) -> None:
    below = io.BytesIO(packed(CONTENT, compression))
    with closing(decompress(below, compression)) as reader:
        assert reader.read(5) == CONTENT[:5]
        assert not below.closed
    assert below.closed
    reader.close()


def test_a_reader_gives_what_it_is_asked_for() -> None:
    below = io.BytesIO()
    reader = BlockReader(iter([b"abc", b"", b"defg"]), below)
    assert reader.read(0) == b""
    assert reader.read(2) == b"ab"
    assert reader.read() == b"cdefg"
    assert reader.read(1) == reader.read() == b""


def test_zstandard_is_not_imported_before_it_is_needed() -> None:
    check = "import sys, cachexport.content.layers.convert; sys.exit('zstandard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
