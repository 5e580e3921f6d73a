"""Whatever a file system raises is one of ours, and tells no secret."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from cachexport_fsspec.errors import MEANINGS, STATUSES, Meaning, translated

from cachexport.errors import Auth, BackendError, CachexportError, NotFound

WHERE = "sftp://host/team/blobs/one"
SECRET = "CONFIDENTIAL, as file systems repeat what they were given"


def raised(name: str, base: type[Exception] = Exception) -> Exception:
    """Make an error of a class with this name, as the package that has it would."""
    module, _, last = name.rpartition(".")
    kind = type(last, (base,), {"__module__": module, "__qualname__": last})
    error: Exception = kind(SECRET)
    return error


def told(error: Exception, *, retried: bool = False) -> CachexportError:
    with pytest.raises(CachexportError) as found, translated("write", WHERE, retried=retried):
        raise error
    assert found.value.__cause__ is error
    assert WHERE in str(found.value)
    assert "CONFIDENTIAL" not in str(found.value)
    return found.value


def check(error: CachexportError, meaning: Meaning) -> None:
    assert type(error) is meaning.kind
    assert meaning.text in str(error)
    assert getattr(error, "temporary", False) is meaning.temporary


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_a_class_has_a_meaning_and_so_have_those_below(name: str) -> None:
    error = raised(name)
    check(told(error), MEANINGS[name])
    check(told(raised("some.package.Special", type(error))), MEANINGS[name])


@pytest.mark.parametrize("status", sorted(STATUSES))
@pytest.mark.parametrize("where", ["code", "status", "response"])
def test_a_status_has_a_meaning(status: int, where: str) -> None:
    error: Any = raised("gcsfs.retry.HttpError")
    if where == "response":
        error.response = type("Answer", (), {"status_code": status})()
    else:
        setattr(error, where, status)
    check(told(error), STATUSES[status])


def test_the_classes_are_named_as_they_are() -> None:
    """Those that are installed here; a package that moved one would have it unknown."""
    from importlib import import_module

    found = 0
    for name in MEANINGS:
        module, _, last = name.rpartition(".")
        try:
            kind = getattr(import_module(module), last)
        except ImportError:
            continue
        assert (kind.__module__, kind.__qualname__) == (module, last), name
        found += 1
    assert found > 25


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.ENOSPC, SECRET), BackendError, "No space left"),
        (OSError(f"Forbidden: {SECRET}"), Auth, "permission denied"),
        (OSError(SECRET), BackendError, "OSError"),
        (ValueError(SECRET), BackendError, "ValueError"),
        (FileNotFoundError(SECRET), NotFound, "is not there"),
    ],
)
def test_the_rest(error: Exception, kind: type[CachexportError], said: str) -> None:
    ours = told(error)
    assert type(ours) is kind
    assert said in str(ours)


def test_what_was_tried_often_enough_is_not_temporary() -> None:
    busy: Any = raised("gcsfs.retry.HttpError")
    busy.code = 503
    for retried in (False, True):
        ours = told(busy, retried=retried)
        assert isinstance(ours, BackendError)
        assert ours.temporary is not retried


def test_errors_of_ours_stay_what_they_are() -> None:
    ours = NotFound("mine")
    with pytest.raises(NotFound) as found, translated("read", WHERE):
        raise ours
    assert found.value is ours
