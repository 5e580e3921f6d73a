"""Writable directories: what ends them, what is held, and what gets into no layer."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from unit.images.builder.rig import entry, put_layer
from unit.images.builder.stacks import two_layers, way_of

from cachexport.content.files.mounts import mount, mounted, unmount_below
from cachexport.content.memory import MemoryContent
from cachexport.errors import (
    FailedPrecondition,
    InvalidInputError,
    NotFound,
    TransferError,
    WireFormat,
)
from cachexport.images.builder import Policy, Rights, Snapshots, Way

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.images.store import Lease, Store

IS_ROOT = os.geteuid() == 0
POLICY = Policy(latest=1_000_000)


def test_a_release_removes_and_unmounts_all(
    snapshots: Snapshots, store: Store, lease: Lease
) -> None:
    writable = snapshots.writable(two_layers(store, lease), lease.id)
    before = set(os.listdir(store.directories.place))
    deep = writable.root / "closed" / "deep"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    if IS_ROOT:
        subprocess.run(["chattr", "+i", deep / "file"], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["mount", "-t", "tmpfs", "none", writable.root / "c"], check=True)
    deep.chmod(0o555)
    writable.release()
    writable.release()
    assert len(before - set(os.listdir(store.directories.place))) == 1
    with pytest.raises(FailedPrecondition, match="is released; commit it before"):
        writable.commit()


def test_what_is_mounted_is_not_emptied(
    snapshots: Snapshots, store: Store, lease: Lease, tmp_path: Path
) -> None:
    if not IS_ROOT:
        pytest.skip("only root mounts")
    (tmp_path / "mine").write_text("mine")
    writable = snapshots.writable(two_layers(store, lease), lease.id)
    subprocess.run(["mount", "--bind", tmp_path, writable.root / "c"], check=True)
    writable.release()
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("fault", ["unpack", "mount", "publish"])
def test_a_failure_leaves_nothing(
    snapshots: Snapshots,
    store: Store,
    lease: Lease,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    layers = two_layers(store, lease)
    if fault == "unpack":
        layers.append(put_layer(store.content.under(lease), entry("../out")))
        with pytest.raises(WireFormat, match="leads upwards"):
            snapshots.writable(layers, lease.id)
    else:
        where = {
            "mount": "cachexport.images.builder.overlay.mount",
            "publish": "cachexport.images.builder.snapshots.sync_file_system",
        }[fault]

        def fail(*_: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(where, fail)
        monkeypatch.setattr("cachexport.images.builder.snapshots.copy_tree", fail)
        with pytest.raises(RuntimeError):
            snapshots.writable(layers, lease.id)
    with store._context.database.reading() as index:
        rows = index.execute("SELECT number FROM directories WHERE chain IS NULL").fetchall()
    assert rows == []


def test_a_commit_that_fails_leaves_no_view(store: Store, lease: Lease) -> None:
    with way_of(store, Way.OVERLAY).writable(two_layers(store, lease), lease.id) as writable:
        (writable.root / ".wh.bad").touch()
        with pytest.raises(InvalidInputError, match="no layer can have the name"):
            writable.commit()
        own = writable.root.parent
        assert [each.point for each in mounted() if each.point.is_relative_to(own)] == [
            writable.root
        ]


def test_wrong_calls(snapshots: Snapshots, store: Store, lease: Lease) -> None:
    layers = two_layers(store, lease)
    elsewhere = put_layer(MemoryContent(), entry("x"))
    with pytest.raises(NotFound, match="put it in first"):
        snapshots.writable([elsewhere], lease.id)
    with pytest.raises(FailedPrecondition, match="lease 'none' is gone"):
        snapshots.writable(layers, "none")
    with pytest.raises(FailedPrecondition, match="lease 'none' is gone"):
        snapshots.writable([], "none")


def test_a_lease_that_ended_keeps_no_layer(
    snapshots: Snapshots, store: Store, lease: Lease
) -> None:
    with snapshots.writable(two_layers(store, lease), lease.id) as writable:
        (writable.root / "x").touch()
        store.leases.delete(lease.id)
        store.collect_garbage()
        # What a writable is on stays, whatever its lease.
        assert (writable.root / "d").read_text() == "one"
        with pytest.raises((FailedPrecondition, TransferError), match="is gone"):
            writable.commit()


def test_images_hold_what_is_unpacked(snapshots: Snapshots, store: Store, lease: Lease) -> None:
    layers = two_layers(store, lease)
    snapshots.unpack(layers, lease.id)
    store.images.create("bottom", layers[0])
    store.images.create("top", layers[1])
    store.leases.delete(lease.id)
    assert store.collect_garbage().snapshots == 0
    unpacked = len(os.listdir(store.directories.place))
    store.images.delete("bottom")
    # The directory of both layers goes, and of overlays the one that it is on.
    assert store.collect_garbage().snapshots == unpacked


@pytest.mark.skipif(not IS_ROOT, reason="root alone may do that")
def test_what_is_mounted_gets_into_no_layer(
    snapshots: Snapshots, store: Store, lease: Lease
) -> None:
    with snapshots.writable(two_layers(store, lease), lease.id) as writable:
        (writable.root / "here").mkdir()
        mount("tmpfs", writable.root / "here", "")
        with pytest.raises(FailedPrecondition, match=r"is mounted at .*/here; unmount it"):
            writable.commit()
        unmount_below(writable.root / "here")
        assert writable.commit() is not None


def test_a_root_that_is_none_any_more_makes_no_layer(store: Store, lease: Lease) -> None:
    copies = way_of(store, Way.COPY)
    with copies.writable(two_layers(store, lease), lease.id) as writable:
        shutil.rmtree(writable.root)
        writable.root.symlink_to("/etc")
        with pytest.raises(FailedPrecondition, match="is no directory any more"):
            writable.commit()


def test_unpacked_layers_that_somebody_removed_are_unpacked_again(
    snapshots: Snapshots, store: Store, lease: Lease
) -> None:
    layers = two_layers(store, lease)
    snapshots.writable(layers, lease.id).release()
    shutil.rmtree(store.directories.place)
    with snapshots.writable(layers, lease.id) as writable:
        assert (writable.root / "a" / "1").read_bytes() == b"one"


@pytest.mark.skipif(not IS_ROOT, reason="root alone may do that")
def test_what_was_unpacked_without_owners_is_not_taken_for_all(store: Store, lease: Lease) -> None:
    layer = put_layer(store.content.under(lease), entry("x", b"x", uid=7, gid=7))
    mine = Snapshots.open(store, rights=Rights(owners=False, devices=False))
    with mine.writable([layer], lease.id) as writable:
        assert (writable.root / "x").stat().st_uid == os.geteuid()
    with Snapshots.open(store, rights=Rights()).writable([layer], lease.id) as writable:
        assert (writable.root / "x").stat().st_uid == 7
