from __future__ import annotations

import dataclasses
import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import copied, described, tree

from cachexport.backends.local import names
from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names
from cachexport.content.files import lock
from cachexport.content.files.blobs import read_regular
from cachexport.content.files.staged import StagedFile
from cachexport.errors import BackendError, Conflict, NotFound, WireFormat
from cachexport.oci.index import IMAGE_NAME, REF_NAME, Index

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.oci.descriptor import Descriptor

DESC = described(b"manifest", "application/vnd.oci.image.manifest.v1+json")
OTHER = described(b"other", "application/vnd.oci.image.manifest.v1+json")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    directory = tmp_path / "cache"
    directory.mkdir()
    return Layout(directory)


def buildkit_put(layout: Layout, tag: str, desc: Descriptor) -> None:
    """Write as BuildKit does: into the file that is there."""
    old = layout.index.read_bytes() if layout.index.exists() else b"{}"
    raw = Index.decode(old).with_tag(tag, desc).encode()
    fd = os.open(layout.index, os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, raw, 0)
    os.ftruncate(fd, len(raw))
    os.close(fd)


def test_a_name_is_published_resolved_listed_and_withdrawn(layout: Layout) -> None:
    api = Names(layout)
    api.publish("a", DESC)
    api.publish("b", OTHER)
    assert api.list() == ("a", "b")
    assert api.resolve("a") == dataclasses.replace(DESC, annotations={REF_NAME: "a"})
    api.withdraw("a")
    assert api.list() == ("b",)
    with pytest.raises(NotFound, match=r"no 'a' in .*there is b"):
        api.resolve("a")
    with pytest.raises(NotFound):
        api.withdraw("a")


def test_nothing_is_left_beside_the_index(layout: Layout) -> None:
    Names(layout).publish("a", DESC)
    Names(layout).list()
    assert set(tree(layout.directory)) == {"index.json"}
    assert not layout.index_lock.exists()


def test_without_an_index_reading_fails_and_leaves_nothing(layout: Layout) -> None:
    with pytest.raises(NotFound):
        Names(layout).list()
    with pytest.raises(NotFound):
        Names(layout).withdraw("a")
    assert list(layout.directory.iterdir()) == []


def test_publishing_the_same_again_does_not_touch_the_file(layout: Layout) -> None:
    Names(layout).publish("a", DESC)
    before = layout.index.stat()
    Names(layout).publish("a", DESC)
    after = layout.index.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_an_empty_index_is_filled(layout: Layout) -> None:
    layout.index.touch()
    Names(layout).publish("a", DESC)
    assert Names(layout).list() == ("a",)


def test_owner_and_mode_of_the_index_stay(layout: Layout) -> None:
    layout.index.write_bytes(b"{}")
    layout.index.chmod(0o664)
    if os.getuid() == 0:
        os.chown(layout.index, 1234, 4321)
    before = layout.index.stat()
    Names(layout).publish("a", DESC)
    after = layout.index.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (
        after.st_mode,
        after.st_uid,
        after.st_gid,
    )


def test_a_hidden_tag_is_a_warning(layout: Layout, caplog: pytest.LogCaptureFixture) -> None:
    image = dataclasses.replace(
        OTHER, annotations={IMAGE_NAME: "docker.io/a:latest", REF_NAME: "latest"}
    )
    layout.index.write_bytes(Index(manifests=(image,)).encode())
    Names(layout).publish("latest", DESC)
    assert "hides the cache with the tag latest" in caplog.text
    assert Names(layout).list() == ("docker.io/a:latest", "latest")


def test_an_entry_that_buildkit_writes_meanwhile_is_kept(layout: Layout) -> None:
    calls: list[Index] = []

    def edit(index: Index) -> Index:
        if not calls:
            buildkit_put(layout, "theirs", OTHER)
        calls.append(index)
        return index.with_tag("ours", DESC)

    Names(layout).change(edit)
    assert len(calls) == 2
    assert Names(layout).list() == ("theirs", "ours")


def test_a_lock_file_that_is_removed_from_under_us_makes_us_start_over(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[bool] = []
    is_current = lock.FileLock.is_current

    def removed_once(held: lock.FileLock) -> bool:
        # The first look is right after the lock was had, the second before the index is replaced.
        if held.path == layout.index_lock:
            attempts.append(True)
            if len(attempts) == 2:
                layout.index_lock.unlink()
                buildkit_put(layout, "theirs", OTHER)
        return is_current(held)

    monkeypatch.setattr(lock.FileLock, "is_current", removed_once)
    Names(layout).publish("ours", DESC)
    assert Names(layout).list() == ("theirs", "ours")


def test_ours_take_turns_even_when_buildkit_removes_the_lock_at_the_worst_moment(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last look at the lock, before the index is replaced."""
    commit, pause = StagedFile.commit, lock.pause
    second = threading.Thread(target=Names(layout).publish, args=("second", OTHER))
    second_waits_or_has_ended = threading.Event()

    def noted_pause() -> None:
        second_waits_or_has_ended.set()
        pause()

    def remove_lock_first(file: StagedFile, to: Path) -> None:
        if threading.current_thread() is second:
            commit(file, to)
            second_waits_or_has_ended.set()
            return
        layout.index_lock.unlink()
        second.start()
        assert second_waits_or_has_ended.wait(20)
        commit(file, to)

    monkeypatch.setattr(lock, "pause", noted_pause)
    monkeypatch.setattr(StagedFile, "commit", remove_lock_first)
    Names(layout).publish("first", DESC)
    second.join()
    assert Names(layout).list() == ("first", "second")


def test_a_change_that_changes_nothing_makes_no_index(layout: Layout) -> None:
    assert Names(layout).change(lambda index: index) == Index()
    assert not layout.index.exists()


def test_an_index_that_changes_all_the_time_is_a_conflict(layout: Layout) -> None:
    counted = iter(range(10**6))

    def edit(index: Index) -> Index:
        buildkit_put(layout, f"theirs-{next(counted)}", OTHER)
        return index.with_tag("ours", DESC)

    with pytest.raises(Conflict, match="all the time"):
        Names(layout, timeout=0).change(edit)
    assert "ours" not in Names(layout).list()


def test_an_error_of_the_edit_changes_nothing(layout: Layout) -> None:
    Names(layout).publish("a", DESC)
    before = tree(layout.directory)

    def edit(index: Index) -> Index:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        Names(layout).change(edit)
    assert tree(layout.directory) == before


@pytest.mark.parametrize("torn", [b"", b'{"manifests":[', b'{"manifests":[]}]}'])
def test_a_torn_index_is_read_again(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, torn: bytes
) -> None:
    layout.index.write_bytes(torn)
    monkeypatch.setattr(lock, "pause", lambda: buildkit_put_whole(layout))
    assert Names(layout).list() == ("whole",)


def buildkit_put_whole(layout: Layout) -> None:
    layout.index.write_bytes(Index().with_tag("whole", DESC).encode())


def test_a_torn_index_is_read_again_before_it_is_changed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.index.write_bytes(b'{"manifests":[')
    monkeypatch.setattr(lock, "pause", lambda: buildkit_put_whole(layout))
    Names(layout).publish("ours", DESC)
    assert Names(layout).list() == ("whole", "ours")


def test_an_index_that_stays_torn_is_an_error_that_names_it(layout: Layout) -> None:
    layout.index.write_bytes(b'{"manifests":[')
    api = Names(layout, torn_timeout=0)
    for call in (api.list, lambda: api.publish("a", DESC)):
        with pytest.raises(WireFormat, match=str(layout.index)):
            call()
    assert layout.index.read_bytes() == b'{"manifests":['
    assert not layout.index_lock.exists()


def test_a_locked_index_is_a_conflict_for_readers_and_writers(layout: Layout) -> None:
    Names(layout).publish("a", DESC)
    before = tree(layout.directory)
    with lock.held(layout.index_lock):
        with pytest.raises(Conflict):
            Names(layout, timeout=0).list()
        with pytest.raises(Conflict):
            Names(layout, timeout=0).publish("b", DESC)
    assert tree(layout.directory) == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK])
def test_where_no_lock_can_be_made_reading_goes_on(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    Names(layout).publish("a", DESC)
    layout.index_lock.touch()
    refuse_lock(monkeypatch, number)
    assert Names(layout).list() == ("a",)
    with pytest.raises(BackendError) as caught:
        Names(layout).publish("b", DESC)
    assert isinstance(caught.value.__cause__, OSError)


def test_other_errors_of_the_lock_stop_a_reader(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names(layout).publish("a", DESC)
    layout.index_lock.touch()
    refuse_lock(monkeypatch, errno.EMFILE)
    with pytest.raises(BackendError, match="too many open files"):
        Names(layout).list()


def test_an_index_at_rest_is_read_without_the_lock(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds it, even shared, makes an export of BuildKit's client fail."""
    Names(layout).publish("a", DESC)
    before = layout.directory.stat().st_mtime_ns
    refuse_lock(monkeypatch, errno.EMFILE)
    assert Names(layout).list() == ("a",)
    assert layout.directory.stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["locked", "written"])
def test_an_index_that_is_used_while_it_is_read_is_read_again_under_the_lock(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    Names(layout).publish("a", DESC)
    reads: list[bool] = []

    def read_while_others_write(path: Path, limit: int) -> bytes:
        # What was read first may be a mixture of old and new that happens to be JSON.
        reads.append(layout.index_lock.exists())
        if len(reads) > 1:
            return read_regular(path, limit)
        if change == "locked":
            layout.index_lock.touch()
        else:
            buildkit_put(layout, "theirs", OTHER)
        return b"{}"

    monkeypatch.setattr("cachexport.backends.local.names.read_regular", read_while_others_write)
    assert Names(layout).list()[0] == "a"
    assert (reads[0], reads[-1]) == (False, True)
    assert not layout.index_lock.exists()


def test_a_lock_file_that_a_killed_process_left_is_removed(layout: Layout) -> None:
    Names(layout).publish("a", DESC)
    layout.index_lock.touch()
    assert Names(layout).list() == ("a",)
    assert not layout.index_lock.exists()


def refuse_lock(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> lock.FileLock:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(names.lock, "acquire", refuse)


def test_real_indexes_are_read_and_kept(tmp_path: Path) -> None:
    layout = Layout(copied("max", tmp_path / "max"))
    api = Names(layout)
    before = layout.index.read_bytes()
    api.publish("second", DESC)
    api.withdraw("second")
    assert layout.index.read_bytes() == before
