"""Parsing and formatting of RFC 3339 timestamps."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segmentation.timestamps import MAX_MS, MIN_MS, format_timestamp, is_rfc3339, parse_timestamp
from tests.segmentation.folding import examples

NOON_MS = 1_769_860_800_000
"""2026-01-31T12:00:00.000Z."""

instants = st.integers(MIN_MS, MAX_MS)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-31T12:00:00Z", NOON_MS),
        ("2026-01-31t12:00:00z", NOON_MS),
        ("2026-01-31T12:00:00.0Z", NOON_MS),
        ("2026-01-31T12:00:00.5Z", NOON_MS + 500),
        ("2026-01-31T12:00:00.05Z", NOON_MS + 50),
        ("2026-01-31T12:00:00.0009999999999999999999Z", NOON_MS),
        ("2026-01-31T12:00:00.999999Z", NOON_MS + 999),
        ("2026-01-31T12:00:00-00:00", NOON_MS),
        ("2026-01-31T14:00:00+02:00", NOON_MS),
        ("2026-01-31T06:30:00.001-05:30", NOON_MS + 1),
        ("2026-02-01T11:59:00+23:59", NOON_MS),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.9989Z", -2),
        ("0001-01-01T00:00:00Z", MIN_MS),
        ("0001-01-01T01:00:00+01:00", MIN_MS),
        ("9999-12-31T23:59:59.9999Z", MAX_MS),
        ("9999-12-31T22:59:59.999-01:00", MAX_MS),
        ("2026-01-31 12:00:00Z", NOON_MS),
        ("2026-01-31T12:00:00,5Z", NOON_MS + 500),
        ("2026-01-31T14:00:00+02", NOON_MS),
        ("2026-01-31T14:00:00+0200", NOON_MS),
        ("2026-01-31T14:00:00 +02:00", NOON_MS),
        ("2026-01-31T06:30:00\u221205:30", NOON_MS),
        ("2026-01-31 12:00:00.123 UTC", NOON_MS + 123),
        ("2026-01-31T12:00:00.000GMT", NOON_MS),
        ("2026-01-31 12:00:00.123 +0000 UTC", NOON_MS + 123),
        ("٢٠٢٦-٠١-٣١T١٢:٠٠:٠٠.٥Z", NOON_MS + 500),
        ("۲۰۲۶-۰۱-۳۱T۱۲:۰۰:۰۰Z", NOON_MS),
        ("２０２６-01-31T12:00:00Z", NOON_MS),
        (" 2026-01-31T12:00:00Z", NOON_MS),
        ("2026-01-31T12:00:00Z\n", NOON_MS),
    ],
)
def test_a_timestamp_is_truncated_to_the_millisecond(text, ms):
    assert parse_timestamp(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1769860800000",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+02:60",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-32T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "0001-01-01T00:59:59.999+01:00",
        "9999-12-31T23:00:00-01:00",
    ],
)
def test_what_is_no_instant_of_the_years_1_to_9999_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - what is wrong is the caller's to say
        parse_timestamp(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", "an empty text"),
        ("1769860800", "a number as text"),
        ('"2026-01-31T12:00:00Z"', "quoted twice"),
        ("2026-01-31 12:00:00 +0000 UTC m=+0.1", "Go's time.String()"),
        ("2026-01-31T12:00:00.000 AM", "a 12-hour clock"),
        ("2026-01-31", "a date without a time"),
        ("2026-01-31T12:00Z", "a time without seconds"),
        ("2026-01-31T12:00:00.000", "no offset"),
        ("2026-01-31T24:00:00Z", "hour 24"),
        ("2016-12-31T23:59:60Z", "second 60"),
        ("20260131T120000Z", "the basic form"),
        ("Sat, 31 Jan 2026 12:00:00 GMT", "RFC 1123"),
        ("Sat Jan 31 2026 12:00:00 GMT+0000 (Coordinated Universal Time)", "Date.toString()"),
        ("31/01/2026 12:00", "slashes or dots"),
        ("2026-01-31T12:00:00 Europe/Oslo", "a time zone by name"),
        ("soon!", "12:00:00.000Z"),
        ("a" * 100_000 + "!", "expected RFC 3339"),
        ("2026-02-30T12:00:00Z", "day is out of range"),
        ("0000-01-01T00:00:00Z", "year"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_refusal_names_the_form(text, form):
    with pytest.raises(ValueError, match=re.escape(form)):
        parse_timestamp(text)


def test_only_rfc_3339_is_called_so():
    assert is_rfc3339("2026-01-31T12:00:00+02:00")
    assert not is_rfc3339("2026-01-31T12:00:00+0200")


@examples(200)
@given(ms=instants)
def test_an_instant_is_written_at_one_width_and_read_again(ms):
    text = format_timestamp(ms)
    assert len(text) == 24
    assert parse_timestamp(text) == ms
    assert datetime.fromisoformat(text) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


@examples(200)
@given(ms=instants, minutes=st.integers(-1439, 1439))
def test_offsets_are_taken_off(ms, minutes):
    local_ms = ms + minutes * 60_000
    assume(MIN_MS <= local_ms <= MAX_MS)
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    assert parse_timestamp(format_timestamp(local_ms).replace("Z", offset)) == ms


@examples(200)
@given(one=instants, other=instants)
def test_texts_sort_like_instants(one, other):
    assert (format_timestamp(one) < format_timestamp(other)) == (one < other)
