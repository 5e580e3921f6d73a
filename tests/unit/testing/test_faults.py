"""The wrappers do what they are told, and the suites see it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from support import caches

from cachexport import Descriptor, MemoryContent
from cachexport.errors import BackendError
from cachexport.oci import mediatype
from cachexport.testing import (
    CACHES,
    Fault,
    Faults,
    FaultyIngester,
    FaultyObjects,
    FaultyProvider,
    MemoryObjects,
    ObjectClientSuite,
    layout_files,
    real_cache,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cachexport.backends.objects.client import Page, Stored
    from cachexport.content.protocols import Reader

RAW = b"0123456789"
DESC = Descriptor.of(RAW, mediatype.OCI_LAYER)


def read(reader: Reader) -> bytes:
    return b"".join(iter(lambda: reader.read(4), b""))


@pytest.mark.parametrize(
    ("fault", "read_then"),
    [
        (Fault(op="open", cut=5), b"01234"),
        (Fault(op="open", flip=5), b"01234467" + b"89"),
        (Fault(op="open", cut=0), b""),
        (Fault(op="open", call=2, cut=5), RAW),
    ],
)
def test_a_body_is_cut_or_changed_once(fault: Fault, read_then: bytes) -> None:
    provider = FaultyProvider(MemoryContent([RAW]), Faults([fault]))
    assert read(provider.open(DESC)) == read_then
    if fault.call == 1:
        assert read(provider.open(DESC)) == RAW


def test_an_error_comes_when_it_is_due() -> None:
    broken = BackendError("broken", op="read")
    faults = Faults([Fault(op="open", cut=6, error=broken), Fault(op="open", call=2, error=broken)])
    provider = FaultyProvider(MemoryContent([RAW]), faults)
    reader = provider.open(DESC)
    assert reader.read(4) + reader.read(4) == RAW[:6]
    with pytest.raises(BackendError, match="broken"):
        reader.read(4)
    with pytest.raises(BackendError, match="broken"):
        provider.open(DESC)
    assert len(faults.happened) == 2


def test_a_slow_answer_takes_its_time() -> None:
    waited: list[float] = []
    faults = Faults([Fault(op="ingest", delay=3.0)], sleep=waited.append)
    content = MemoryContent()
    for _ in range(2):
        FaultyIngester(content, faults).ingest(DESC, io.BytesIO(RAW))
    assert waited == [3.0]
    assert faults.calls == {"ingest": 2}


@pytest.mark.parametrize("name", CACHES)
def test_the_caches_that_are_shipped_are_buildkits(name: str, tmp_path: Path) -> None:
    caches.unpack(caches.FOLDER.parents[2] / real_cache(name).partition("src=")[2], tmp_path)
    assert layout_files(tmp_path) == caches.files(caches.FOLDER / name)


class Careless(MemoryObjects):
    """Keeps no conditions."""

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        return super().replace(key, raw, metadata, version=None)


class Forgetful(MemoryObjects):
    """Lists half."""

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        page = super().list_page(prefix, after=after, following=following)
        return type(page)(page.objects[::2], page.following)


class Sloppy(MemoryObjects):
    """Loses what is beside an object that is touched."""

    def touch(self, stored: Stored, /) -> str:
        self.time += 1
        return self._put(stored.key, self.objects[stored.key][0], {})


@pytest.mark.parametrize(
    ("client", "test"),
    [
        (Careless(), ObjectClientSuite.test_a_condition_is_kept),
        (Careless(), ObjectClientSuite.test_one_of_many_wins),
        (Forgetful(), ObjectClientSuite.test_listings_have_all_and_nothing_else),
        (Sloppy(), ObjectClientSuite.test_touching_makes_young_and_keeps_the_rest),
    ],
)
def test_a_suite_tells_a_bad_store(client: MemoryObjects, test: object) -> None:
    assert callable(test)
    arguments = ["there"] if test is ObjectClientSuite.test_one_of_many_wins else []
    with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
        test(ObjectClientSuite(), client, "x/", *arguments)


def test_faults_of_a_store_meet_its_methods() -> None:
    client = MemoryObjects()
    client.replace("a", RAW, {}, version=None)
    refused = BackendError("refused", op="any")
    ops = ["head", "list_page", "read", "load", "replace", "touch", "delete", "delete_all", "now"]
    faulty = FaultyObjects(client, Faults([Fault(op=op, error=refused) for op in ops]))
    stored = client.head("a")
    calls = {
        "head": lambda: faulty.head("a"),
        "list_page": lambda: faulty.list_page(""),
        "read": lambda: faulty.read("a"),
        "load": lambda: faulty.load("a"),
        "replace": lambda: faulty.replace("a", b"", {}, version=None),
        "touch": lambda: faulty.touch(stored),
        "delete": lambda: faulty.delete("a"),
        "delete_all": lambda: faulty.delete_all(["a"]),
        "now": faulty.now,
    }
    for op in ops:
        with pytest.raises(BackendError, match="refused"):
            calls[op]()
    assert client.load("a")[0] == RAW
