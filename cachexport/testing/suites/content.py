"""Blobs: written whole or not at all, read as they were written."""

from __future__ import annotations

import io
from contextlib import closing, contextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest

from cachexport.content.copy import copy_blob, ingest_bytes
from cachexport.content.memory import MemoryContent
from cachexport.content.parallel import map_parallel
from cachexport.content.protocols import InfoProvider, SizeProvider
from cachexport.content.verify import VerifyingReader, read_blob
from cachexport.errors import CachexportError, Integrity, NotFound, TransferError
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.mediatype import OCI_LAYER
from cachexport.testing.faults import Fault, Faults, FaultyProvider
from cachexport.testing.harness import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.contract.backend import Source, Target
    from cachexport.testing.harness import Harness

_LARGE = 20 << 20
_PARTS = ["one byte", "one block", "many blocks"]
_SIZES = {"nothing": 0, "one byte": 1, "one block": 256 << 10, "many blocks": _LARGE}


def _noise(size: int, seed: int = 1) -> tuple[bytes, Descriptor]:
    raw = Random(seed).randbytes(size)  # noqa: S311 - no secret
    return raw, Descriptor.of(raw, OCI_LAYER)


@contextmanager
def _both(harness: Harness) -> Iterator[tuple[Target, Source]]:
    """Open a name for reading and writing, in a place that exists."""
    harness.put("first", 8)
    with harness.target("main") as target, harness.source("main") as source:
        yield target, source


class _Watched(io.BytesIO):
    """A Reader that calls a function after its first bytes."""

    def __init__(self, raw: bytes, look: object) -> None:
        super().__init__(raw)
        self.look = look

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() and callable(self.look):
            look, self.look = self.look, None
            look()
        return super().read(size)


class ContentSuite(Suite):
    """An Ingester and a Provider over the same place."""

    @pytest.mark.parametrize("amount", _SIZES)
    def test_a_blob_comes_back_as_it_was(self, harness: Harness, amount: str) -> None:
        raw, desc = _noise(_SIZES[amount])
        with _both(harness) as (target, source):
            assert target.ingester.missing([desc]) == {desc.digest}
            ingest_bytes(target.ingester, desc, raw)
            assert target.ingester.missing([desc]) == set()
            assert read_blob(source.provider, desc) == raw

    def test_only_what_is_not_there_is_missing(self, harness: Harness) -> None:
        here, there = _noise(100, 1), _noise(200, 2)
        with harness.target("main") as target:
            ingest_bytes(target.ingester, here[1], here[0])
            assert target.ingester.missing([here[1], there[1]]) == {there[1].digest}
            assert target.ingester.missing([]) == set()

    def test_what_is_not_there_is_not_found(self, harness: Harness) -> None:
        raw, desc = _noise(100)
        with _both(harness) as (target, source):
            provider = source.provider
            with pytest.raises(NotFound), closing(provider.open(desc)) as reader:
                reader.read(1)
            ingest_bytes(target.ingester, *_noise(10, 2)[::-1])
            with pytest.raises(NotFound), closing(provider.open(desc)) as reader:
                reader.read(1)
            ingest_bytes(target.ingester, desc, raw)
            assert read_blob(provider, desc) == raw

    def test_looking_tells_sizes_without_reading(self, harness: Harness) -> None:
        (raw, desc), (_, other) = _noise(1234, 1), _noise(1, 2)
        with _both(harness) as (target, source):
            ingest_bytes(target.ingester, desc, raw)
            if isinstance(source.provider, InfoProvider):
                assert source.provider.info(desc.digest).size == len(raw)
                with pytest.raises(NotFound):
                    source.provider.info(other.digest)
            if isinstance(source.provider, SizeProvider):
                found = source.provider.sizes([desc.digest, other.digest])
                assert found == {desc.digest: len(raw)}

    def test_twice_is_fine(self, harness: Harness) -> None:
        raw, desc = _noise(1000)
        with _both(harness) as (target, source):
            for _ in range(2):
                ingest_bytes(target.ingester, desc, raw)
            for _ in range(2):
                assert read_blob(source.provider, desc) == raw
            reader = source.provider.open(desc)
            reader.close()
            reader.close()

    @pytest.mark.parametrize("amount", _PARTS)
    @pytest.mark.parametrize("how", ["corrupt", "cut", "broken"])
    def test_what_fails_on_the_way_leaves_nothing(
        self, harness: Harness, amount: str, how: str
    ) -> None:
        raw, desc = _noise(_SIZES[amount])
        last = len(raw) - 1
        fault = {
            "corrupt": Fault(op="open", flip=last),
            "cut": Fault(op="open", cut=last),
            "broken": Fault(op="open", cut=last, error=OSError("the line is dead")),
        }[how]
        faulty = FaultyProvider(MemoryContent([raw]), Faults([fault]))
        with _both(harness) as (target, source):
            with pytest.raises((Integrity, TransferError)) as raised:
                copy_blob(faulty, target.ingester, desc)
            if isinstance(raised.value, TransferError):
                assert raised.value.origin == "source"
            assert target.ingester.missing([desc]) == {desc.digest}
            with pytest.raises(NotFound), closing(source.provider.open(desc)) as reader:
                reader.read(1)
            copy_blob(faulty, target.ingester, desc)  # the second try meets no fault
            assert read_blob(source.provider, desc) == raw

    def test_nothing_is_seen_before_it_is_whole(self, harness: Harness) -> None:
        raw, desc = _noise(_LARGE)
        seen = []

        def look() -> None:
            seen.append(target.ingester.missing([desc]))
            with pytest.raises(NotFound), closing(source.provider.open(desc)) as reader:
                reader.read(1)

        with _both(harness) as (target, source):
            target.ingester.ingest(desc, VerifyingReader(_Watched(raw, look), desc))
            assert seen == [{desc.digest}]
            assert read_blob(source.provider, desc) == raw

    def test_many_threads_share_one(self, harness: Harness) -> None:
        blobs = [_noise(1000 * number, number) for number in range(1, 13)]
        with _both(harness) as (target, source):
            ingester, provider = target.ingester, source.provider
            map_parallel(lambda it: ingest_bytes(ingester, it[1], it[0]), blobs * 2, 8)
            assert ingester.missing(desc for _, desc in blobs) == set()
            read = map_parallel(lambda it: read_blob(provider, it[1]), blobs * 2, 8)
            assert read == [raw for raw, _ in blobs * 2]

    def test_a_blob_that_several_write_at_once_is_whole(self, harness: Harness) -> None:
        raw, desc = _noise(_LARGE)
        with _both(harness) as (target, source):
            ingester = target.ingester
            map_parallel(lambda _: ingest_bytes(ingester, desc, raw), range(3), 3)
            assert read_blob(source.provider, desc) == raw

    def test_many_blobs_are_looked_for_at_once(self, harness: Harness) -> None:
        with harness.target("main") as target:
            there = [_noise(10, number) for number in range(5)]
            for raw, desc in there:
                ingest_bytes(target.ingester, desc, raw)
            wanted = [_noise(10, number)[1] for number in range(40)]
            gone = {desc.digest for desc in wanted[len(there) :]}
            assert target.ingester.missing(wanted) == gone

    def test_closing_twice_is_fine(self, harness: Harness) -> None:
        with _both(harness) as (target, source):
            target.close()
            source.close()

    def test_errors_of_a_reader_that_are_ours_stay_what_they_are(self, harness: Harness) -> None:
        raw, desc = _noise(1000)
        fault = Fault(op="open", cut=500, error=NotFound("it went away"))
        faulty = FaultyProvider(MemoryContent([raw]), Faults([fault]))
        with harness.target("main") as target, pytest.raises(CachexportError, match="went away"):
            copy_blob(faulty, target.ingester, desc)
