from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachexport import Timestamp
from cachexport.insight.report.words import age, count_ages, instant, span

T = Timestamp.parse

moments = st.builds(Timestamp, st.integers(0, 10**10), st.integers(0, 10**9 - 1))


@given(st.lists(moments, min_size=1))
def test_every_result_is_counted_once(times: list[Timestamp]) -> None:
    ages = count_ages(times)
    assert ages is not None
    assert sum(ages.counts) == len(times)
    assert 1 <= len(ages.counts) <= 48
    assert ages.counts[0]
    assert ages.counts[-1]
    assert (ages.first, ages.last) == (min(times), max(times))
    assert ages.start(0) == ages.first
    assert ages.start(len(ages.counts) - 1) <= ages.last < ages.start(len(ages.counts))


def test_one_moment_is_one_bar() -> None:
    ages = count_ages([T("2026-11-22T01:00:00+01:00")] * 3)
    assert ages is not None
    assert (ages.counts, ages.tallest) == ((3,), 3)
    assert str(ages.first) == "2026-11-22T00:00:00Z"


def test_no_date_no_ages() -> None:
    assert count_ages([]) is None


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 seconds"),
        (7, "7 nanoseconds"),
        (1_500, "1 microsecond"),
        (24_000_000, "24 milliseconds"),
        (10**9, "1 second"),
        (119 * 10**9, "1 minute"),
        (5 * 3600 * 10**9, "5 hours"),
        (400 * 86_400 * 10**9, "400 days"),
    ],
)
def test_spans(nanoseconds: int, text: str) -> None:
    assert span(nanoseconds) == text


def test_ages_are_told_from_a_given_moment() -> None:
    then, now = T("2026-11-22T00:00:00.5Z"), T("2026-11-24T00:00:00.5Z")
    assert age(then, now) == "2 days ago"
    assert age(now, then) == "in 2 days"
    assert age(None, now) == age(then, None) == ""


def test_instants_are_utc() -> None:
    assert instant(T("2026-11-22T01:02:03.4567+01:00")) == "2026-11-22 00:02:03Z"
    assert instant(T("2026-11-22T01:02:03.4567+01:00"), fine=True) == "2026-11-22 00:02:03.456Z"
    assert instant(None) == "unknown"
