import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachexport import Timestamp
from cachexport.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2023-11-18T05:10:33.658079118Z", None),
        ("2023-11-18T05:10:33Z", None),
        ("2023-11-18T05:10:33.500Z", "2023-11-18T05:10:33.5Z"),
        ("2023-11-18T05:10:33.000Z", "2023-11-18T05:10:33Z"),
        ("2023-11-18T05:10:33.1234567899Z", "2023-11-18T05:10:33.123456789Z"),
        ("2023-11-18T05:10:33+00:00", "2023-11-18T05:10:33Z"),
        ("2023-11-18T05:10:33-00:00", "2023-11-18T05:10:33Z"),
        ("2023-11-18T05:10:33+05:30", None),
        ("2023-11-18T05:10:33.25-23:59", None),
        ("0001-01-01T00:00:00Z", None),
        ("0000-02-29T00:00:00Z", None),
        ("0000-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59.999999999Z", None),
        ("2024-02-29T00:00:00Z", None),
        ("2024-01-01T5:00:00Z", "2024-01-01T05:00:00Z"),
        ("2024-01-01T00:00:00,50Z", "2024-01-01T00:00:00.5Z"),
        ("2024-01-01T00:00:00+01:60", "2024-01-01T00:00:00+02:00"),
    ],
)
def test_it_is_written_as_go_writes_it(text, written):
    assert str(Timestamp.parse(text)) == (written or text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2023-11-18",
        "2023-11-18T05:10:33",
        "2023-11-18 05:10:33Z",
        "2023-11-18t05:10:33Z",
        "2023-11-18T05:10:33z",
        "2023-11-18T05:10:33.Z",
        "2023-11-18T24:00:00Z",
        "2023-11-18T05:60:00Z",
        "2023-11-18T05:10:60Z",
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-11-00T00:00:00Z",
        "2023-11-18T05:10:33+24:00",
        "2023-11-18T05:10:33+23:60",
        "2023-11-18T05:10:33+00:61",
        "2023-11-18T05:10:33+0000",
        "٢٠٢٣-11-18T05:10:33Z",
        "2023-11-18T05:10:33Z\n",
    ],
)
def test_what_go_refuses(text):
    with pytest.raises(InvalidInputError, match="not a time"):
        Timestamp.parse(text)


def test_equal_instants_are_equal_whatever_the_zone():
    east = Timestamp.parse("2023-11-18T06:10:33.5+01:00")
    utc = Timestamp.parse("2023-11-18T05:10:33.5Z")
    assert east == utc
    assert hash(east) == hash(utc)
    assert str(east.utc()) == str(utc)


def test_a_nanosecond_orders():
    early = Timestamp.parse("2023-11-18T05:10:33.658079118Z")
    late = Timestamp.parse("2023-11-18T05:10:33.658079119Z")
    assert early < late


@given(st.datetimes(timezones=st.timezones().filter(lambda zone: zone is not None)))
def test_a_datetime_keeps_its_instant(value):
    stamp = Timestamp.of(value)
    since = value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert (stamp.seconds, stamp.nanos // 1000) == (
        since.days * 86400 + since.seconds,
        since.microseconds,
    )


@given(st.integers(-62_000_000_000, 250_000_000_000), st.integers(0, 999_999_999))
def test_writing_and_reading_gives_the_same(seconds, nanos):
    stamp = Timestamp(seconds, nanos)
    assert Timestamp.parse(str(stamp)) == stamp


def test_a_datetime_without_zone_is_no_instant():
    with pytest.raises(InvalidInputError, match="zone"):
        Timestamp.of(dt.datetime(2023, 1, 1))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("9999-12-31T23:59:59-23:59", "10000-01-01T23:58:59Z"),
        ("0000-01-01T00:00:00+23:59", "-001-12-31T00:01:00Z"),
    ],
)
def test_a_zone_may_lead_out_of_the_calendar(text, utc):
    assert str(Timestamp.parse(text).utc()) == utc
    assert str(Timestamp.parse(text)) == text


def test_the_zero_time_is_gos():
    assert str(Timestamp.ZERO) == "0001-01-01T00:00:00Z"
