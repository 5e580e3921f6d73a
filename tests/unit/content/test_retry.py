import pytest

from cachexport.content import retry
from cachexport.content.retry import Anew, persistently
from cachexport.errors import BackendError, TransferError

PASSING = BackendError("busy", op="write", temporary=True)


@pytest.fixture
def pauses(monkeypatch):
    waited = []
    monkeypatch.setattr(retry.time, "sleep", waited.append)
    return waited


def failing(*errors):
    """Make something that fails so, one error a call, and then gives how often it was called."""
    left = list(errors)

    def work():
        if left:
            raise left.pop(0)
        return len(errors) + 1

    return work


def caused_by(error):
    transfer = TransferError("cannot write", op="ingest", origin="destination")
    transfer.__cause__ = error
    return transfer


def test_what_passes_is_called_again(pauses):
    assert persistently(failing(PASSING, caused_by(PASSING))) == 3
    assert len(pauses) == 2
    assert pauses[1] > pauses[0]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_it_is_called_so_many_times_at_most(pauses, attempts):
    assert persistently(failing(*[PASSING] * (attempts - 1)), attempts) == attempts
    with pytest.raises(BackendError, match="busy"):
        persistently(failing(*[PASSING] * attempts), attempts)


def test_what_does_not_pass_is_raised_at_once(pauses):
    error = BackendError("full", op="write")
    with pytest.raises(BackendError, match="full"):
        persistently(failing(error))
    assert pauses == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_is_counted_elsewhere_is_not_counted(pauses, wrapped):
    anew = Anew("busy", op="write")
    error = caused_by(anew) if wrapped else anew
    assert persistently(failing(*[error] * 40), 2) == 41
    assert max(pauses) < 60


def test_both_kinds_may_mix(pauses):
    anew = Anew("busy", op="write")
    assert persistently(failing(anew, PASSING, anew), 2) == 4
    with pytest.raises(BackendError, match="busy"):
        persistently(failing(anew, PASSING, anew, PASSING), 2)
