import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachexport import Descriptor, MemoryContent
from cachexport.content.copy import copy_blob, ingest_bytes
from cachexport.content.verify import VerifyingReader, read_blob
from cachexport.errors import BackendError, Integrity, NotFound, TransferError


def describe(raw):
    return Descriptor.of(raw, "application/octet-stream")


class Lying(MemoryContent):
    """Gives other bytes than it was asked for."""

    def __init__(self, given):
        super().__init__()
        self.given = given

    def open(self, desc, /):
        return io.BytesIO(self.given)


class Failing(MemoryContent):
    """Fails at one operation."""

    def __init__(self, op, error, blobs=()):
        super().__init__(blobs)
        self.op, self.error = op, error

    def open(self, desc, /):
        if self.op == "open":
            raise self.error
        return FailingReader(self.error) if self.op == "read" else super().open(desc)

    def ingest(self, desc, reader, /):
        if self.op == "ingest":
            raise self.error
        super().ingest(desc, reader)


class FailingReader(io.BytesIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def read(self, size=-1, /):
        raise self.error


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), min_size=1))
def test_right_content_comes_through_in_any_blocks(raw, sizes):
    reader = VerifyingReader(io.BytesIO(raw), describe(raw))
    got = b""
    turn = 0
    while block := reader.read(sizes[turn % len(sizes)]):
        got += block
        turn += 1
    assert got == raw


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(1, 60))
def test_wrong_content_never_comes_through_whole(raw, given, size):
    if raw == given:
        return
    reader = VerifyingReader(io.BytesIO(given), describe(raw))
    got = b""
    with pytest.raises(Integrity, match="corrupt"):
        while block := reader.read(size):
            got += block
    assert len(got) < max(len(raw), 1)


def test_moved_hears_of_every_byte():
    raw = os.urandom(1000)
    heard = []
    copy_blob(MemoryContent([raw]), target := MemoryContent(), describe(raw), heard.append)
    assert sum(heard) == 1000
    assert read_blob(target, describe(raw)) == raw


@pytest.mark.parametrize("given", [b"", b"shor", b"longer", b"other"])
def test_a_corrupt_source_is_blamed_and_leaves_nothing(given):
    desc = describe(b"right")
    target = MemoryContent()
    with pytest.raises(Integrity, match=str(desc.digest)):
        copy_blob(Lying(given), target, desc)
    assert target.missing([desc]) == {desc.digest}


@pytest.mark.parametrize("op", ["open", "read"])
@pytest.mark.parametrize("error", [OSError("gone"), BackendError("gone", op="get")])
def test_errors_of_the_source_are_the_sources(op, error):
    with pytest.raises(TransferError, match="in the source: gone") as raised:
        copy_blob(Failing(op, error, [b"x"]), MemoryContent(), describe(b"x"))
    assert (raised.value.origin, raised.value.op) == ("source", op)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [OSError("full"), BackendError("full", op="put")])
def test_errors_of_the_target_are_the_targets(error):
    with pytest.raises(TransferError, match="to the target: full") as raised:
        copy_blob(MemoryContent([b"x"]), Failing("ingest", error), describe(b"x"))
    assert raised.value.origin == "destination"
    with pytest.raises(TransferError) as raised:
        ingest_bytes(Failing("ingest", error), describe(b"x"), b"x")
    assert raised.value.origin == "destination"


def test_what_is_not_there_is_not_found():
    with pytest.raises(NotFound):
        copy_blob(MemoryContent(), MemoryContent(), describe(b"x"))


def test_something_too_large_is_not_read():
    with pytest.raises(Integrity, match=r"too large \(5 > 4\)"):
        read_blob(MemoryContent([b"12345"]), describe(b"12345"), limit=4)


def test_a_corrupt_blob_is_told_with_where_it_was_read():
    source = Lying(b"wrong")
    source.place = "/caches/a"
    with pytest.raises(Integrity, match=r"is corrupt: it has .* \(read from /caches/a\)"):
        copy_blob(source, MemoryContent(), describe(b"right"))
