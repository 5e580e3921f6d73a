from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from unit.builder.rig import as_nobody, entry, folder, hardlink, named, put_layer, seen
from unit.store.rig import Clock, opened

from cachexport.builder import Policy, Rights, Snapshots, Way, diff_layer
from cachexport.content.memory import MemoryContent
from cachexport.errors import (
    FailedPrecondition,
    InvalidInputError,
    NotFound,
    TransferError,
    WireFormat,
)
from cachexport.files.mounts import mount, mounted, unmount_below
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachexport.oci.descriptor import Descriptor
    from cachexport.store import Lease, Store

IS_ROOT = os.geteuid() == 0
POLICY = Policy(latest=1_000_000)
CAPABILITY = {
    "SCHILY.xattr.security.capability": "\1\0\0\2" + "\0" * 16,
    "SCHILY.xattr.user.mine": "value",
}
WAYS = [Way.OVERLAY, Way.COPY]


@pytest.fixture
def store() -> Iterator[Store]:
    # Not in memory: some kernels have fewer kinds of attributes there.
    place = Path(tempfile.mkdtemp())
    with opened(place / "a store, with: signs", Clock()) as store:
        yield store
        for lease in store.leases.list():
            store.leases.delete(lease.id)
        store.collect_garbage()
        left = os.listdir(store.directories.place) if store.directories.place.exists() else []
    assert left == []
    assert not [each for each in mounted() if each.point.is_relative_to(place)]
    shutil.rmtree(place)


@pytest.fixture
def lease(store: Store) -> Lease:
    return store.leases.create(seconds=3600)


@pytest.fixture(params=WAYS)
def snapshots(store: Store, request: pytest.FixtureRequest) -> Snapshots:
    return way_of(store, request.param)


def way_of(store: Store, way: Way) -> Snapshots:
    try:
        return Snapshots.open(store, way=way)
    except FailedPrecondition as error:
        pytest.skip(str(error))


def two_layers(store: Store, lease: Lease) -> list[Descriptor]:
    content = store.content.under(lease)
    return [
        put_layer(
            content,
            folder("a"),
            entry("a/1", b"one"),
            hardlink("a/2", "a/1"),
            entry("b", b"b"),
            folder("c"),
            entry("c/x", b"x"),
            folder("moved"),
            entry("moved/1", b"linked"),
            hardlink("outside", "moved/1"),
            folder("full"),
            entry("full/x", b"x"),
            entry("full/y", b"y"),
        ),
        put_layer(content, entry(".wh.b"), hardlink("d", "a/1"), entry("c/y", b"y"), entry("e")),
    ]


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
        monkeypatch.setattr("cachexport.builder.changes.open", pytest.fail, raising=False)
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
            "mount": "cachexport.builder.overlay.mount",
            "publish": "cachexport.builder.snapshots.sync_file_system",
        }[fault]

        def fail(*_: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(where, fail)
        monkeypatch.setattr("cachexport.builder.snapshots.copy_tree", fail)
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
