from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from unit.images.store.rig import described, opened, put

from cachexport.content.clock import Clock, using_clock
from cachexport.errors import (
    BackendError,
    CachexportError,
    Conflict,
    FailedPrecondition,
    Integrity,
)
from cachexport.images.store import Store
from cachexport.images.store.database import MEANINGS, from_sqlite

if TYPE_CHECKING:
    from pathlib import Path

TABLE: dict[int, tuple[type[CachexportError], bool, str]] = {
    # code: what it becomes, whether it is temporary, what it says
    sqlite3.SQLITE_BUSY: (Conflict, False, "other processes"),
    sqlite3.SQLITE_LOCKED: (Conflict, False, "other processes"),
    sqlite3.SQLITE_PROTOCOL: (Conflict, False, "other processes"),
    sqlite3.SQLITE_FULL: (BackendError, False, "disk full"),
    sqlite3.SQLITE_TOOBIG: (BackendError, False, "too large"),
    sqlite3.SQLITE_NOMEM: (BackendError, True, "memory"),
    sqlite3.SQLITE_IOERR: (BackendError, False, "input/output"),
    sqlite3.SQLITE_PERM: (BackendError, False, "permission denied"),
    sqlite3.SQLITE_AUTH: (BackendError, False, "permission denied"),
    sqlite3.SQLITE_READONLY: (BackendError, False, "read-only"),
    sqlite3.SQLITE_CANTOPEN: (BackendError, False, "opened"),
    sqlite3.SQLITE_NOLFS: (BackendError, False, "file system"),
    sqlite3.SQLITE_CORRUPT: (Integrity, False, "damaged"),
    sqlite3.SQLITE_NOTADB: (FailedPrecondition, False, "no database"),
    sqlite3.SQLITE_SCHEMA: (FailedPrecondition, False, "changed its tables"),
    # one that the table does not know
    sqlite3.SQLITE_MISMATCH: (BackendError, False, "odd"),
}


def test_the_table_is_walked_as_a_whole() -> None:
    assert set(MEANINGS) == set(TABLE) - {sqlite3.SQLITE_MISMATCH}


@pytest.mark.parametrize("code", TABLE)
@pytest.mark.parametrize("extension", [0, 1 << 8, 7 << 8])
def test_each_code_becomes_its_error(code: int, extension: int) -> None:
    fault = sqlite3.OperationalError("odd")
    fault.sqlite_errorcode = code | extension
    kind, temporary, words = TABLE[code]
    error = from_sqlite(fault, "/some/where")
    assert type(error) is kind
    assert str(error).startswith("cannot use /some/where: ")
    assert words in str(error)
    if isinstance(error, BackendError):
        assert (error.op, error.temporary) == ("index", temporary)


def test_an_error_without_code_says_what_it_says() -> None:
    assert "odd" in str(from_sqlite(sqlite3.ProgrammingError("odd"), "x"))


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(FailedPrecondition, match="is closed"):
        store.content.list()


def test_others_that_write_are_waited_for_and_then_named(store: Store, tmp_path: Path) -> None:
    with opened(tmp_path / "store", timeout=0.01) as hasty:
        with store._context.database.writing():
            assert hasty.content.list() == []
            with pytest.raises(Conflict, match="other processes write"):
                hasty.leases.create()
        hasty.leases.create()


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FailedPrecondition, match=r"thesis|not empty and no store"):
        opened(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_is_no_place_for_a_store(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(FailedPrecondition, match="file is where a directory should be"):
        opened(path)


def test_something_else_under_the_name_of_the_index_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(b"thesis" * 1000)
    with pytest.raises(FailedPrecondition, match="no database"):
        opened(tmp_path)
    assert (tmp_path / "index.db").read_bytes() == b"thesis" * 1000


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    other = sqlite3.connect(tmp_path / "index.db")
    other.execute("PRAGMA user_version = 3")
    other.close()
    with pytest.raises(FailedPrecondition, match="newer"):
        opened(tmp_path)


def test_a_store_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        kept = put(store.content, b"kept")
        store.images.create("kept", kept)
    other = sqlite3.connect(tmp_path / "index.db")
    other.executescript(
        "DROP TRIGGER user_gone; DROP TABLE uses; DROP TABLE origins; DROP TABLE directories;"
        "PRAGMA user_version = 1;"
    )
    other.close()
    with opened(tmp_path) as store:
        store.directories.make(store.leases.create().id).remove()
        store.collect_garbage()
        assert store.images.get("kept").target == kept


def test_a_store_can_be_made_after_a_kill_in_the_middle(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "opening.lock").touch()
    with opened(tmp_path) as store:
        put(store.content, b"blob")
    with opened(tmp_path) as store:
        assert store.content.missing([described(b"blob")]) == set()


def test_many_may_make_one_store_at_once(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom cachexport.images.store import Store\n"
        "sys.stdin.readline()\n"
        "store = Store.open(Path(sys.argv[1]), clock=time.time)\n"
        "store.leases.create()\nstore.close()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store")]
    makers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write(b"\n")
        maker.stdin.flush()
    assert [maker.wait() for maker in makers] == [0] * 4
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.close()
    with opened(tmp_path / "store") as store:
        assert len(store.leases.list()) == 4


def test_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> None:
        with store.leases.held() as lease:
            content = store.content.under(lease)
            for each in range(5):
                put(content, b"%d-%d" % (number, each))
                put(content, b"shared %d" % each)
                store.collect_garbage()
            assert content.missing([described(b"%d-4" % number), described(b"shared 4")]) == set()

    failures = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "makedirs"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EMFILE])
def test_no_os_error_gets_out_of_writing(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    blob = described(b"blob")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(CachexportError) as caught:
            put(store.content, b"blob")
    assert str(store.content.place) in str(caught.value)
    assert store.content.missing([blob]) == {blob.digest}
    store.collect_garbage()
    assert store._context.paths.ingest_files() == []
    put(store.content, b"blob")
    assert store.content.missing([blob]) == set()


def test_patience_is_the_old_name_of_timeout(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="patience is called timeout now") as warned:
        store = Store.open(tmp_path / "store", patience=0.0)
    assert warned[0].filename == __file__
    other = sqlite3.connect(tmp_path / "store" / "index.db", isolation_level=None)
    with store, closing(other):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Conflict, match="other processes"):
            store.leases.create()


def test_a_store_goes_by_the_clock_of_the_context(tmp_path: Path) -> None:
    with using_clock(Clock(now=lambda: 7.0)), Store.open(tmp_path / "store") as store:
        assert store.leases.create(seconds=3.0).expires == 10.0
