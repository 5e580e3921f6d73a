import pytest

from cachexport.content.clock import Clock, using_clock
from cachexport.content.retry import Retry, retry
from cachexport.errors import BackendError, Outdated, RegistryError, TransferError

PASSING = BackendError("busy", op="write", temporary=True)


@pytest.fixture
def pauses():
    waited = []
    with using_clock(Clock(sleep=waited.append)):
        yield waited


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
    assert retry(failing(PASSING, caused_by(PASSING))) == 3
    assert len(pauses) == 2
    assert pauses[1] > pauses[0]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_it_is_called_so_many_times_at_most(pauses, attempts):
    assert retry(failing(*[PASSING] * (attempts - 1)), attempts) == attempts
    with pytest.raises(BackendError, match="busy"):
        retry(failing(*[PASSING] * attempts), attempts)


def test_what_does_not_pass_is_raised_at_once(pauses):
    error = BackendError("full", op="write")
    with pytest.raises(BackendError, match="full"):
        retry(failing(error))
    assert pauses == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_used_up_retries_are_not_multiplied(pauses, wrapped):
    error = caused_by(PASSING) if wrapped else PASSING
    inner = Retry(attempts=3)
    with pytest.raises(type(error), match=r"; tried 3 times$") as raised:
        Retry(attempts=4).call(lambda: inner.call(failing(*[error] * 12)))
    assert not raised.value.temporary
    assert len(pauses) == 2
    assert error.temporary, "the error that was raised first stays as it was"


def test_an_exhausted_error_is_what_it_was_else():
    error = RegistryError("busy", op="write", status=503, diagnostics=("A",), temporary=True)
    error.__cause__ = OSError("reset")
    error.add_note("a note")
    with pytest.raises(RegistryError) as raised:
        Retry(attempts=1).call(failing(error))
    given = raised.value
    assert (given.status, given.diagnostics, given.op) == (503, ("A",), "write")
    assert (given.exhausted, given.temporary, str(given)) == (True, False, "busy")
    assert (given.__cause__, given.__notes__) == (error.__cause__, ["a note"])


@pytest.mark.parametrize(("asked", "waited"), [(3.0, 3.0), (0.0, 0.0), (1e9, 60.0)])
def test_the_other_side_says_when(pauses, asked, waited):
    error = BackendError("busy", op="write", temporary=True, retry_after=asked)
    assert Retry(jitter=(1.0, 1.0)).call(failing(error, caused_by(error))) == 3
    assert pauses == [waited, waited]


def test_pauses_grow_up_to_the_longest(pauses):
    policy = Retry(attempts=None, first_pause=1.0, longest_pause=5.0, jitter=(1.0, 1.0))
    assert policy.call(failing(*[PASSING] * 5)) == 6
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_timeout_ends_it_without_a_count():
    seconds = [0.0]

    def sleep(pause):
        seconds[0] += pause

    policy = Retry(attempts=None, timeout=10.0, first_pause=1.0, jitter=(1.0, 1.0))
    with using_clock(Clock(monotonic=lambda: seconds[0], sleep=sleep)), pytest.raises(Outdated):
        policy.call(failing(*[Outdated("changed")] * 9), is_temporary=lambda error: True)
    assert seconds == [15.0]


def test_before_each_further_try_something_may_stop_it(pauses):
    stops = failing(Outdated("changed"))
    with pytest.raises(Outdated):
        Retry().call(failing(PASSING), before_retry=stops)
    assert len(pauses) == 1


def test_the_old_name_is_there_with_a_warning(pauses):
    with pytest.warns(DeprecationWarning, match="called cachexport.plugin.retry now"):
        from cachexport.plugin import persistently
    assert persistently(failing(PASSING), 2) == 2
