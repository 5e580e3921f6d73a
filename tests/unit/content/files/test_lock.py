from __future__ import annotations

import errno
import fcntl
import os
import threading
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import expect, process, tell

from cachexport.content.files import lock
from cachexport.errors import Conflict

if TYPE_CHECKING:
    from pathlib import Path

# What gofrs/flock's TryLock and Unlock and BuildKit's RemoveAll do: no look at the inode, and
# the file is removed after it was unlocked.
HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDONLY, 0o600)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.readline()
fcntl.flock(fd, fcntl.LOCK_UN)
os.close(fd)
os.unlink(sys.argv[1])
print("removed", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.json.lock"


def test_a_lock_keeps_others_out_until_it_is_closed(path: Path) -> None:
    with lock.held(path), pytest.raises(Conflict), lock.held(path, timeout=0):
        pass
    with lock.held(path, timeout=0):
        pass


def test_shared_locks_go_together_but_not_with_an_exclusive_one(path: Path) -> None:
    first = lock.acquire(path, shared=True, timeout=0)
    second = lock.acquire(path, shared=True, timeout=0)
    with pytest.raises(Conflict):
        lock.acquire(path, timeout=0)
    first.close()
    second.close()
    lock.acquire(path, timeout=0).close()


def test_the_file_is_removed_afterwards(path: Path) -> None:
    with lock.held_and_removed(path):
        assert path.exists()
    assert not path.exists()


def test_the_last_of_several_readers_removes_the_file(path: Path) -> None:
    with lock.held_and_removed(path, shared=True):
        with lock.held_and_removed(path, shared=True):
            pass
        assert path.exists()
        inode = path.stat().st_ino
        with pytest.raises(Conflict), lock.held(path, timeout=0):
            pass
        assert path.stat().st_ino == inode
    assert not path.exists()


def test_a_file_of_another_holder_is_not_removed(path: Path) -> None:
    with lock.held_and_removed(path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


def test_one_who_waited_for_a_removed_file_starts_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waiter opened the first file; it gets that one's lock only after it was replaced."""
    holders = [lock.acquire(path)]
    flock = fcntl.flock

    def replace_before_the_lock_is_had(fd: int, kind: int) -> None:
        if len(holders) == 1:
            path.unlink()
            holders[0].close()
            holders.append(lock.FileLock(path, os.open(path, os.O_RDWR | os.O_CREAT)))
            flock(holders[1].fd, fcntl.LOCK_EX)
        flock(fd, kind)

    def pause() -> None:
        assert len(holders) == 2
        holders[1].close()

    monkeypatch.setattr(lock.fcntl, "flock", replace_before_the_lock_is_had)
    monkeypatch.setattr(lock, "pause", pause)
    taken = lock.acquire(path)
    assert taken.is_current()
    taken.close()


def test_a_lock_is_waited_for_and_buildkits_removal_does_no_harm(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()
    pause = lock.pause

    def noted() -> None:
        waiting.set()
        pause()

    monkeypatch.setattr(lock, "pause", noted)
    taken: list[bool] = []

    def wait() -> None:
        with lock.held_and_removed(path) as held:
            taken.append(held.is_current())

    with process(HOLD, path) as child:
        expect(child, "held")
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(20)
        assert not taken
        tell(child)
        expect(child, "removed")
        thread.join(20)
    # BuildKit may have removed the file when we had it already; whoever uses it looks again.
    assert len(taken) == 1


def test_a_lock_that_is_never_given_up_names_its_holder(path: Path) -> None:
    with process(HOLD, path) as child:
        expect(child, "held")
        with pytest.raises(Conflict) as caught:
            lock.acquire(path, timeout=0)
        assert str(path) in str(caught.value)
        assert f"process {child.pid}" in str(caught.value) or "another" in str(caught.value)


def test_a_lock_of_a_killed_process_is_free(path: Path) -> None:
    with process(HOLD, path) as child:
        expect(child, "held")
        child.kill()
        child.wait()
        with lock.held_and_removed(path, timeout=0):
            pass
    assert not path.exists()


def test_nothing_stays_open_when_locking_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No locks"):
        lock.acquire(path)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_holder_that_cannot_be_told_is_another_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        lock, "open", lambda *_, **__: (_ for _ in ()).throw(OSError), raising=False
    )
    with lock.held(path), pytest.raises(Conflict, match="another process"):
        lock.acquire(path, timeout=0)
