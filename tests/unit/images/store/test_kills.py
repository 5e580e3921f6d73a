"""Killed before and after each single call to the system, and others' turn at each."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from unit.images.store.mortal import FATE, Killed, mortal
from unit.images.store.rig import Clock, described, manifest_of, opened, put, put_image, read

from cachexport.errors import AlreadyExists, Conflict, TransferError
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachexport.images.store import Store

BLOB = described(b"blob")
REFUSED = suppress(AlreadyExists, Conflict, TransferError)


@pytest.fixture(autouse=True)
def mortality() -> Iterator[None]:
    with mortal():
        yield
    FATE.left = FATE.pause = None


@pytest.fixture
def folder() -> Iterator[Path]:
    # Where there is no disk below, a test that waits for the disk all the time is quick.
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield place
    shutil.rmtree(place)


def put_blob(store: Store) -> None:
    put(store.content, b"blob")


def write_blob(store: Store) -> None:
    with store.content.writer("pull", BLOB) as writer:
        writer.write(b"blob"[writer.offset :])
        writer.commit()


def collect(store: Store) -> None:
    store.collect_garbage()


def name(store: Store) -> None:
    store.images.create("second", store.images.get("first").target)


def push(store: Store) -> None:
    with store.leases.held(seconds=60) as lease:
        image = put_image(store.content.under(lease), 7)
        store.images.create("pushed", image.manifest)


def check(store: Store) -> None:
    for info in store.content.list():
        content = read(store.content, Descriptor(digest=info.digest, size=info.size))
        assert described(content).digest == info.digest
    there = {info.digest for info in store.content.list()}
    for image in store.images.list():
        labels = store.content.labels(image.target.digest)
        assert {image.target.digest, *labels.values()} <= there


def prepared(directory: Path) -> None:
    with opened(directory) as store:
        store.images.create("first", put_image(store.content).manifest)
        put(store.content, b"garbage")
        put(store.content, manifest_of(BLOB), mediatype.OCI_MANIFEST)
        store.content.writer("left").close()


@pytest.mark.parametrize("work", [put_blob, write_blob, collect, name, push])
def test_a_kill_anywhere_leaves_all_whole_and_the_work_can_be_done_again(
    folder: Path, work: Callable[[Store], None]
) -> None:
    for calls in itertools.count():
        directory = folder / str(calls)
        prepared(directory)
        store = opened(directory)
        FATE.left = calls
        try:
            work(store)
        except Killed:
            FATE.left = None
            store.close()
        else:
            break
        with opened(directory, timeout=0.0) as after:
            check(after)
            after.collect_garbage()
            check(after)
            if not after.images.list("second") and not after.images.list("pushed"):
                work(after)
            check(after)
            assert [image.name for image in after.images.list("first")] == ["first"]
    FATE.left = None
    store.close()
    assert calls > 3


@pytest.mark.parametrize("interruption", [put_blob, write_blob, push, collect])
@pytest.mark.parametrize("work", [put_blob, collect, push])
def test_others_turn_at_any_call_does_no_harm(
    folder: Path, work: Callable[[Store], None], interruption: Callable[[Store], None]
) -> None:
    """Where the work holds the index, the others are told to wait."""
    for calls in itertools.count():
        directory = folder / str(calls)
        prepared(directory)
        with opened(directory) as store, opened(directory, Clock(), timeout=0.0) as other:
            # What is garbage now is put in anew by the other one.
            put(store.content, b"blob")

            def others(other: Store = other) -> None:
                with REFUSED:
                    interruption(other)

            FATE.pause, FATE.others = calls, others
            with REFUSED:
                work(store)
            over = FATE.pause is not None
            FATE.pause = None
            check(store)
            store.collect_garbage()
            check(store)
        if over:
            break
    assert calls > 3
