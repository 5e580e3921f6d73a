from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import described, reader

from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout
from cachexport.content.files.errors import MEANINGS, from_os_error, translated
from cachexport.errors import BackendError, CachexportError, FailedPrecondition, NotFound

if TYPE_CHECKING:
    from pathlib import Path

BLOB = described(b"blob")

TABLE: dict[int, tuple[type[CachexportError], type[CachexportError], bool, str]] = {
    # number: what reading, and what writing raises, whether it is temporary, what it says
    errno.EACCES: (BackendError, BackendError, False, "permission denied"),
    errno.EPERM: (BackendError, BackendError, False, "not permitted"),
    errno.EROFS: (BackendError, BackendError, False, "read-only"),
    errno.ENOSPC: (BackendError, BackendError, False, "disk full"),
    errno.EDQUOT: (BackendError, BackendError, False, "disk full"),
    errno.EFBIG: (BackendError, BackendError, False, "too large"),
    errno.ENOENT: (NotFound, FailedPrecondition, False, "no such file"),
    errno.ENOTDIR: (FailedPrecondition, FailedPrecondition, False, "not a directory"),
    errno.EISDIR: (FailedPrecondition, FailedPrecondition, False, "a directory is"),
    errno.EEXIST: (FailedPrecondition, FailedPrecondition, False, "a file is"),
    errno.ENOTEMPTY: (FailedPrecondition, FailedPrecondition, False, "a directory is"),
    errno.ELOOP: (FailedPrecondition, FailedPrecondition, False, "circle"),
    errno.ENAMETOOLONG: (FailedPrecondition, FailedPrecondition, False, "too long"),
    errno.EMFILE: (BackendError, BackendError, True, "ulimit -n"),
    errno.ENFILE: (BackendError, BackendError, True, "too many open files"),
    errno.ENOMEM: (BackendError, BackendError, True, "memory"),
    errno.EBUSY: (BackendError, BackendError, True, "in use"),
    errno.ESTALE: (BackendError, BackendError, True, "mounted anew"),
    errno.ETIMEDOUT: (BackendError, BackendError, True, "does not answer"),
    errno.EIO: (BackendError, BackendError, False, "input/output"),
    errno.ENOLCK: (BackendError, BackendError, False, "locks"),
    errno.EOPNOTSUPP: (BackendError, BackendError, False, "cannot"),
    errno.ENOSYS: (BackendError, BackendError, False, "cannot"),
    # one that the table does not know
    errno.EXDEV: (BackendError, BackendError, False, os.strerror(errno.EXDEV)),
}


def fault(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_the_table_is_walked_as_a_whole() -> None:
    assert set(MEANINGS) == set(TABLE) - {errno.EXDEV}


@pytest.mark.parametrize("number", TABLE, ids=errno.errorcode.get)
def test_each_errno_becomes_its_error(number: int) -> None:
    reading, writing, temporary, words = TABLE[number]
    for op, kind, phrase in (
        ("read", reading, "cannot read /some/where: "),
        ("write", writing, "cannot write to /some/where: "),
        ("lock", writing, "cannot lock /some/where: "),
    ):
        error = from_os_error(fault(number), op, "/some/where")  # type: ignore[arg-type]
        assert type(error) is kind
        assert str(error).startswith(phrase)
        assert words in str(error)
        if isinstance(error, BackendError):
            assert (error.op, error.temporary) == (op, temporary)


def test_the_cause_is_kept() -> None:
    cause = fault(errno.ENOSPC)
    with pytest.raises(BackendError) as caught, translated("write", "/some/where"):
        raise cause
    assert caught.value.__cause__ is cause


def test_an_error_without_number_says_what_it_says() -> None:
    assert "odd" in str(from_os_error(OSError("odd"), "read", "x"))


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "makedirs"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EMFILE])
def test_no_os_error_gets_out_of_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    ingester = LayoutIngester(Layout(tmp_path))
    ingester.begin()
    before = sorted(tmp_path.rglob("*"))

    def fail(*_: object, **__: object) -> None:
        raise fault(number)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(BackendError) as caught:
            ingester.ingest(BLOB, reader(b"blob"))
    assert isinstance(caught.value.__cause__, OSError)
    assert str(tmp_path) in str(caught.value)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path not in before]
    assert left == []
    ingester.ingest(BLOB, reader(b"blob"))
    assert ingester.missing([BLOB]) == set()
    ingester.close()
