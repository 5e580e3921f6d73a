from __future__ import annotations

import errno
import io
import tempfile
from typing import IO, TYPE_CHECKING

import pytest
from unit.content.layers.samples import (
    CONTENT,
    Discarding,
    Watched,
    blob,
    bytes_of,
    layer,
    packed,
    packed_once,
)

from cachexport.content.layers.convert import convert_layer, diff_id
from cachexport.content.memory import MemoryContent
from cachexport.errors import (
    BackendError,
    Integrity,
    NotFound,
    TransferError,
    Unavailable,
    WireFormat,
)
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Too random to shrink, so that more than a block of it is written while it is converted.
NOISE = b"".join(bytes.fromhex(Digest.of(b"%d" % i).encoded) for i in range(36_000))
FAULTS = [OSError(errno.EIO, "broken"), Unavailable("away"), BackendError("no", op="x")]


@pytest.fixture
def spools(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[IO[bytes]]]:
    """The temporary files that the test made; checked to be closed at its end."""
    made: list[IO[bytes]] = []
    original = tempfile.TemporaryFile

    def remember() -> IO[bytes]:
        made.append(original())
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", remember)
    yield made
    assert all(file.closed for file in made)


class Broken(io.BytesIO):
    """A stream that fails when it is read to its end."""

    def __init__(self, content: bytes, error: Exception) -> None:
        super().__init__(content)
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        if self.tell() == len(self.getbuffer()):
            raise self._error
        return block


class BrokenSource(MemoryContent):
    def __init__(self, content: bytes, error: Exception, *, opens: bool) -> None:
        super().__init__([content])
        self._error = error
        self._opens = opens

    def open(self, desc, /):
        if not self._opens:
            raise self._error
        return Broken(bytes_of(MemoryContent(self._blobs.values()), desc), self._error)


class BrokenTarget(Discarding):
    def __init__(self, error: Exception, *, looks: bool) -> None:
        super().__init__()
        self._error = error
        self._looks = looks

    def missing(self, descs, /):
        if not self._looks:
            raise self._error
        return super().missing(descs)

    def ingest(self, desc, reader, /):
        reader.read(1)
        raise self._error


@pytest.mark.parametrize("new", [Compression.UNCOMPRESSED, Compression.ZSTD])
def test_a_wrong_diff_id_is_an_error_that_names_both(new: Compression, spools) -> None:
    wrong = Digest.of(b"something else")
    source, desc = layer(CONTENT, Compression.GZIP, **{UNCOMPRESSED: wrong})
    target = Discarding()
    with pytest.raises(Integrity) as caught:
        convert_layer(source, desc, target, new)
    for digest in (desc.digest, wrong, Digest.of(CONTENT)):
        assert digest in str(caught.value)
    assert target.size == 0
    assert len(spools) == 1


def test_a_diff_id_that_is_none_is_an_error_before_anything_is_read() -> None:
    content, desc = layer(CONTENT, Compression.GZIP, **{UNCOMPRESSED: "sha256:zz"})
    source = Watched(content)
    with pytest.raises(WireFormat, match=f"{desc.digest}: not a digest"):
        convert_layer(source, desc, Discarding(), Compression.ZSTD)
    assert not source.opened


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
@pytest.mark.parametrize("damage", ["garbage", "cut off", "nothing"])
def test_a_layer_that_does_not_decompress_is_an_error(compression, damage: str, spools) -> None:
    raw = {
        "garbage": b"garbage, and more than a few bytes",
        "cut off": packed(CONTENT, compression)[:-1],
        "nothing": b"",
    }[damage]
    content, desc = blob(raw, compression.media_type)
    source, target = Watched(content), Discarding()
    with pytest.raises(Integrity, match=f"layer {desc.digest} is "):
        convert_layer(source, desc, target, Compression.UNCOMPRESSED)
    with pytest.raises(Integrity, match=f"layer {desc.digest} is "):
        diff_id(source, desc)
    assert target.size == 0
    assert all(reader.closed for reader in source.opened)
    assert len(spools) == 1


def test_a_blob_that_is_not_what_its_descriptor_names_is_an_error(spools) -> None:
    _, desc = layer(CONTENT, Compression.GZIP)
    other = packed(CONTENT, Compression.GZIP, 1)
    source = BrokenSource(other, AssertionError(), opens=True)
    source.open = lambda desc: io.BytesIO(other)
    with pytest.raises(Integrity, match=f"blob {desc.digest} is corrupt"):
        convert_layer(source, desc, Discarding(), Compression.ZSTD)


@pytest.mark.parametrize("compression", Compression)
def test_a_layer_that_is_not_there_is_not_found(compression: Compression) -> None:
    _, desc = layer(CONTENT, Compression.GZIP)
    with pytest.raises(NotFound, match=desc.digest):
        convert_layer(MemoryContent(), desc, Discarding(), compression)
    with pytest.raises(NotFound, match=desc.digest):
        diff_id(MemoryContent(), desc)


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("opens", [True, False], ids=["read", "open"])
@pytest.mark.parametrize("new", Compression)
def test_a_failing_source_is_the_sources_fault(error, opens: bool, new, spools) -> None:
    _, desc = layer(NOISE, Compression.GZIP)
    source = BrokenSource(packed_once(NOISE, Compression.GZIP), error, opens=opens)
    with pytest.raises(TransferError, match=f"blob {desc.digest} in the source") as caught:
        convert_layer(source, desc, Discarding(), new)
    assert (caught.value.origin, caught.value.op) == ("source", "read" if opens else "open")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("looks", [True, False], ids=["ingest", "missing"])
@pytest.mark.parametrize("new", Compression)
def test_a_failing_target_is_the_destinations_fault(error, looks: bool, new, spools) -> None:
    source, desc = layer(CONTENT, Compression.GZIP)
    target = BrokenTarget(error, looks=looks)
    with pytest.raises(TransferError, match="the target") as caught:
        convert_layer(source, desc, target, new)
    op = "ingest" if looks else "missing"
    assert (caught.value.origin, caught.value.op) == ("destination", op)
    assert caught.value.__cause__ is error


def test_an_error_that_names_its_side_goes_up_as_it_is() -> None:
    source, desc = layer(CONTENT, Compression.GZIP)
    error = TransferError("no", op="x", origin="destination")
    for looks in (True, False):
        with pytest.raises(TransferError) as caught:
            convert_layer(source, desc, BrokenTarget(error, looks=looks), Compression.ZSTD)
        assert caught.value is error


@pytest.mark.parametrize("content", [b"small", NOISE], ids=["at the end", "on the way"])
def test_a_full_disk_is_the_destinations_fault(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    full: list[IO[bytes]] = []

    def open_full() -> IO[bytes]:
        full.append(open("/dev/full", "w+b"))  # noqa: SIM115 - the code under test closes it
        return full[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", open_full)
    source, desc = layer(content, Compression.GZIP)
    target = Discarding()
    with pytest.raises(TransferError, match=f"{desc.digest} in a temporary file") as caught:
        convert_layer(source, desc, target, Compression.ZSTD)
    assert target.asked == 0
    assert (caught.value.origin, caught.value.op) == ("destination", "convert")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert [file.closed for file in full] == [True]


def test_no_place_for_temporary_files_is_the_destinations_fault(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    source, desc = layer(CONTENT, Compression.GZIP)
    with pytest.raises(TransferError) as caught:
        convert_layer(source, desc, Discarding(), Compression.ZSTD)
    assert (caught.value.origin, caught.value.op) == ("destination", "convert")


def test_no_temporary_file_is_left(spools, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source, desc = layer(NOISE, Compression.GZIP)
    convert_layer(source, desc, MemoryContent(), Compression.ZSTD)
    assert len(spools) == 1
    assert not list(tmp_path.iterdir())
