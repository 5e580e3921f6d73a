"""For any two directories, the layer that makes one of the other does."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from unit.images.builder.rig import seen
from unit.images.builder.trees import FOLDERS, LINKS, Below, make

from cachexport.content.memory import MemoryContent
from cachexport.errors import CachexportError
from cachexport.images.builder import Limits, diff_layer, unpack_layer
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and owners")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not in memory: some kernels have fewer kinds of attributes there.
    place = Path(tempfile.mkdtemp())
    yield place
    shutil.rmtree(place)


def emptied(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


def mixed(
    one: Below,
    two: Below,
    chance: random.Random,
) -> Below:
    """Give what has things of both, so that much stays and something changes."""
    found = dict(two) | {name: thing for name, thing in one if chance.random() < 0.7}
    return tuple(found.items())


@settings(max_examples=150, deadline=None)
@given(FOLDERS, FOLDERS, LINKS, LINKS, st.booleans(), st.randoms(use_true_random=False))
def test_unpacking_what_changed_makes_one_of_the_other(
    folder: Path,
    old: Below,
    new: Below,
    old_links: list[tuple[int, int, bytes]],
    new_links: list[tuple[int, int, bytes]],
    is_mixed: bool,
    chance: random.Random,
) -> None:
    place = emptied(folder / "case")
    make(place / "old", old, old_links)
    make(place / "new", mixed(old, new, chance) if is_mixed else new, new_links)
    content = MemoryContent()
    desc = diff_layer(content, place / "old", place / "new")
    assert unpack_layer(content, desc, place / "old") == desc.diff_id
    assert seen(place / "old") == seen(place / "new")
    # And nothing is left to do.
    empty = diff_layer(content, place / "old", place / "new", compression=Compression.UNCOMPRESSED)
    assert empty.size == 1024


@settings(max_examples=50, deadline=None)
@given(FOLDERS, LINKS, st.randoms(use_true_random=False))
def test_the_order_of_listing_makes_no_difference(
    folder: Path,
    below: Below,
    links: list[tuple[int, int, bytes]],
    chance: random.Random,
) -> None:
    place = emptied(folder / "case")
    make(place / "new", below, links)
    content = MemoryContent()
    plain = diff_layer(content, None, place / "new")
    with shuffled(chance):
        assert diff_layer(content, None, place / "new") == plain
    root = emptied(folder / "root")
    unpack_layer(content, plain, root)
    unpacked = {name: what for name, what in seen(root).items() if name != "."}
    assert unpacked == {name: what for name, what in seen(place / "new").items() if name != "."}


@contextmanager
def shuffled(chance: random.Random) -> Iterator[None]:
    """Have the system list directories in any order."""
    listed = os.scandir

    @contextmanager
    def shuffling(path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with listed(path) as found:
            entries = list(found)
        chance.shuffle(entries)
        yield iter(entries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", shuffling)
        yield


@settings(max_examples=200, deadline=None)
@given(FOLDERS, LINKS, st.data())
def test_whatever_is_changed_in_a_layer_is_unpacked_or_refused(
    folder: Path, below: Below, links: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    place = emptied(folder / "case")
    make(place / "new", below, links)
    content = MemoryContent()
    desc = diff_layer(content, None, place / "new", compression=Compression.UNCOMPRESSED)
    raw = bytearray(content.open(desc).read(1 << 30))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.sampled_from([0, 0x80, 0xFF, *b"/.0179gxLKS"]))
        _mend(raw, at - at % 512)
    changed = Descriptor.of(bytes(raw), mediatype.OCI_LAYER)
    root = emptied(place / "root")
    before = {name: what for name, what in seen(place).items() if not name.startswith("root")}
    with suppress(CachexportError):
        unpack_layer(MemoryContent([bytes(raw)]), changed, root, limits=Limits(bytes=1 << 30))
    after = {name: what for name, what in seen(place).items() if not name.startswith("root")}
    assert after == before


def _mend(raw: bytearray, block: int) -> None:
    """Give a header its checksum, so that what was changed in it counts."""
    header = raw[block : block + 512]
    if header[257:262] == b"ustar":
        header[148:156] = b" " * 8
        raw[block + 148 : block + 156] = b"%06o\0 " % sum(header)
