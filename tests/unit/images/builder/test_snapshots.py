from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from unit.images.builder.rig import as_nobody, entry, folder, named, put_layer, seen
from unit.images.builder.stacks import WAYS, two_layers, way_of
from unit.images.store.rig import Clock, opened

from cachexport.content.files.mounts import mounted
from cachexport.content.memory import MemoryContent
from cachexport.errors import (
    FailedPrecondition,
)
from cachexport.images.builder import Policy, Snapshots, Way, diff_layer
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.images.store import Lease, Store

IS_ROOT = os.geteuid() == 0
POLICY = Policy(latest=1_000_000)
CAPABILITY = {
    "SCHILY.xattr.security.capability": "\1\0\0\2" + "\0" * 16,
    "SCHILY.xattr.user.mine": "value",
}


def rename_folder(root: Path) -> None:
    (root / "moved").rename(root / "there")


def write_linked(root: Path) -> None:
    (root / "d").write_text("written")


def remove_linked(root: Path) -> None:
    (root / "a/2").unlink()


def replace_linked(root: Path) -> None:
    (root / "new").write_text("new")
    (root / "new").rename(root / "a/1")


def remove_and_make_again(root: Path) -> None:
    shutil.rmtree(root / "full")
    (root / "full").mkdir()
    (root / "full/x").write_text("x")


def replace_kinds(root: Path) -> None:
    shutil.rmtree(root / "c")
    (root / "c").write_text("a file")
    (root / "e").unlink()
    (root / "e").mkdir()
    (root / "e/inside").symlink_to("../a")


def make_odd_kinds(root: Path) -> None:
    os.mkfifo(root / "fifo")
    fd = os.open(root, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{fd}/socket")
    os.close(fd)
    (root / ("n" * 255)).write_text("long")
    (root / "a" / os.fsdecode(b"\xff\n")).write_text("odd")
    with open(root / "sparse", "wb") as file:
        file.truncate(1 << 20)
    (root / "set").write_text("uid")
    (root / "set").chmod(0o6755)
    (root / "empty").mkdir(mode=0o555)
    if IS_ROOT:
        os.mknod(root / "char", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.mknod(root / "block", stat.S_IFBLK | 0o600, os.makedev(7, 0))
        os.setxattr(root / "set", "trusted.mine", b"value")


def write_linked_secretly(root: Path) -> None:
    status = (root / "d").stat()
    (root / "d").write_text("ONE")
    os.utime(root / "d", ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[Callable[[Path], None], list[str]] = {
    rename_folder: [".", ".wh.moved", "outside", "there", "there/1"],
    write_linked: ["a/1", "a/2", "d"],
    write_linked_secretly: ["a/1", "a/2", "d"],
    remove_linked: ["a", "a/1", "a/.wh.2", "d"],
    replace_linked: [".", "a", "a/1", "a/2", "d"],
    remove_and_make_again: [".", "full", "full/x", "full/.wh.y"],
    replace_kinds: [".", "c", "e", "e/inside"],
    make_odd_kinds: [],
}


@pytest.mark.parametrize("change", CHANGES)
def test_all_ways_say_the_same_of_a_change(
    store: Store, lease: Lease, change: Callable[[Path], None]
) -> None:
    layers = two_layers(store, lease)
    found, shown = [], []
    for way in WAYS:
        snapshots = way_of(store, way)
        with snapshots.writable(layers, lease.id) as writable:
            assert not (writable.root / "b").exists()
            assert writable.commit() is None
            change(writable.root)
            layer = writable.commit(policy=POLICY)
            assert layer is not None
            found.append(layer)
            shown.append(_untimed(writable.root))
        with snapshots.writable([*layers, layer], lease.id) as again:
            assert again.commit() is None
            shown.append(_untimed(again.root))
    assert found[0] == found[1]
    assert shown == [shown[0]] * 4
    if CHANGES[change]:
        assert named(store.content, found[0]) == CHANGES[change]


def _untimed(root: Path) -> dict[str, object]:
    return {
        name: (*what[:3], *what[4:])
        for name, what in seen(root).items()
        if not str(what[0]).startswith("0o14")
    }


def test_a_change_that_shows_in_nothing_is_seen(
    snapshots: Snapshots, store: Store, lease: Lease
) -> None:
    with snapshots.writable(two_layers(store, lease), lease.id) as writable:
        path = writable.root / "c/x"
        status = path.stat()
        path.write_text("X")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        layer = writable.commit()
        assert layer is not None
        assert named(store.content, layer) == ["c/x"]
        path.write_text("x")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert writable.commit() is None


def test_what_was_not_touched_is_not_read(
    snapshots: Snapshots, store: Store, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    with snapshots.writable(two_layers(store, lease), lease.id) as writable:
        (writable.root / "a/new").write_text("new")
        monkeypatch.setattr("cachexport.images.builder.changes.open", pytest.fail, raising=False)
        layer = writable.commit()
    assert layer is not None
    assert named(store.content, layer) == ["a", "a/new"]


def test_a_directory_on_nothing(snapshots: Snapshots, store: Store, lease: Lease) -> None:
    with snapshots.writable([], lease.id) as writable:
        assert writable.commit() is None
        (writable.root / "x").write_text("x")
        layer = writable.commit(policy=POLICY, compression=Compression.UNCOMPRESSED)
        assert layer is not None
        assert named(store.content, layer) == ["x"]
        assert layer == diff_layer(
            MemoryContent(),
            None,
            writable.root,
            policy=POLICY,
            compression=Compression.UNCOMPRESSED,
        )
    with snapshots.writable([layer], lease.id) as writable:
        assert writable.root.joinpath("x").read_text() == "x"
        assert writable.root.stat().st_mtime_ns == 0


def test_as_many_layers_as_docker_allows_and_more(store: Store, lease: Lease) -> None:
    content = store.content.under(lease)
    layers = [put_layer(content, entry(f"f{number}", b"x")) for number in range(140)]
    snapshots = way_of(store, Way.OVERLAY)
    with snapshots.writable(layers[:127], lease.id) as writable:
        assert len(os.listdir(writable.root)) == 127
        assert str(writable.root) in {str(each.point) for each in mounted()}
        (writable.root / "new").touch()
        assert writable.commit() is not None
    with snapshots.writable(layers, lease.id) as writable:
        assert len(os.listdir(writable.root)) == 140
        assert str(writable.root) not in {str(each.point) for each in mounted()}
        assert writable.commit() is None


def test_a_user_who_may_nothing() -> None:
    """Directories that forbid writing can be written to by layers, and removed."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    with as_nobody(place), opened(place / "store", Clock()) as store:
        lease = store.leases.create()
        content = store.content.under(lease)
        layers = [
            put_layer(
                content,
                folder("shut", mode=0o555),
                entry("shut/in", b"x", mode=0),
                entry("shut/ping", mode=0o444, pax_headers=CAPABILITY),
            ),
            put_layer(content, entry("shut/more", b"y"), folder("shut/deep", mode=0o555)),
        ]
        snapshots = Snapshots.open(store)
        with snapshots.writable(layers, lease.id) as writable:
            shut = writable.root / "shut"
            assert sorted(os.listdir(shut)) == ["deep", "in", "more", "ping"]
            assert os.listxattr(shut / "ping") in ([], ["user.mine"])
            assert stat.S_IMODE(shut.stat().st_mode) == 0o555
            assert stat.S_IMODE((shut / "in").stat().st_mode) == 0
            assert writable.commit() is None
            (writable.root / "mine").write_text("mine")
            os.utime(writable.root, (0, 0))
            layer = writable.commit(policy=Policy(owner=(0, 0)))
            assert layer is not None
            assert named(store.content, layer) == ["mine"]
        if IS_ROOT:
            with pytest.raises(FailedPrecondition, match="no overlay can be mounted"):
                Snapshots.open(store, way=Way.OVERLAY)
        store.leases.delete(lease.id)
        store.collect_garbage()
        assert os.listdir(store.directories.place) == []
    shutil.rmtree(place)


def test_layers_are_unpacked_once(snapshots: Snapshots, store: Store, lease: Lease) -> None:
    layers = two_layers(store, lease)
    snapshots.unpack(layers, lease.id)
    unpacked = os.listdir(store.directories.place)
    snapshots.unpack(layers, lease.id)
    assert os.listdir(store.directories.place) == unpacked
    with snapshots.writable(layers, lease.id):
        assert len(os.listdir(store.directories.place)) == len(unpacked) + 1


def test_several_at_once_unpack_the_same(snapshots: Snapshots, store: Store, lease: Lease) -> None:
    layers = two_layers(store, lease)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with snapshots.writable(layers, lease.id) as writable:
                assert (writable.root / "d").read_text() == "one"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    once = os.listdir(store.directories.place)
    snapshots.unpack(layers, lease.id)
    assert os.listdir(store.directories.place) == once
