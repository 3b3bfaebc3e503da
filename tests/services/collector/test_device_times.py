import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.timestamps import parse_timestamp
from services.collector.device_times import read_device_time


def read(value):
    return read_device_time(msgspec.Raw(value if isinstance(value, bytes) else json.dumps(value).encode()))


@pytest.mark.parametrize(
    "written",
    [
        "0001-01-01T00:00:00Z",  # Go, .NET
        "0001-01-01T00:00:00",
        "0001-01-01 00:00:00 +0000 UTC",
        "0001-01-01T00:00:00.0000000+01:00",  # a year before the first in UTC
        "0001-01-01T00:53:28+00:53",
        "0000-12-31T19:03:58-04:56",
        "0001-01-01",
        "00010101T000000Z",
        "٠٠٠١-٠١-٠١T٠٠:٠٠:٠٠Z",
        "0000-00-00 00:00:00",  # MySQL
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000Z",
        "1970-01-01t00:00:00.000000000z",
        "1970-01-01T01:00:00+01:00",
        "1969-12-31T19:00:00-0500",
        "1970-01-01 00:00:00 UTC",
        "1970-01-01T00:00:00",
        " 1970-01-01 00:00:00 ",
        "1970-01-01T00:00Z",
        "1970-01-01",
        "19700101T000000Z",
        "١٩٧٠-٠١-٠١T٠٠:٠٠:٠٠Z",
        "0",
        "0.0",
        0,
        0.0,
        b"-0",
        b"0e7",
    ],
    ids=repr,
)
def test_what_programs_write_for_no_time(written):
    assert read(written).is_zero


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T12:00:00Z",
        "1970-01-01T00:00:00.001Z",
        "1970-01-01T00:00:00+01:00",
        "1970-01-01T01:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-02T00:00:00Z",
        "0001-01-03T00:00:00Z",
        "yesterday",
        "0001",
        "0" * 100,
        1,
        -1,
        0.5,
        True,
        False,
        [],
        {"$date": 0},
        b'"\xff"',
        b'"\\ud800"',
    ],
    ids=lambda written: repr(written)[:30],
)
def test_what_is_another_time_or_none_at_all(written):
    assert not read(written).is_zero


@pytest.mark.parametrize(
    "written, is_plain",
    [
        ("2026-03-02T12:00:00.000Z", True),
        ("2026-03-02t13:00:00.000000000+01:00", True),
        ("2026-03-02T12:00:00.0000000000Z", True),
        ("2026-03-02T13:00:00.0000000000+01:00", False),
        ("2026-03-02T12:00:00." + "0" * 1000 + "Z", False),
        ("2026-03-02T12:00:00+0000", False),
        ("2026-03-02 12:00:00,000Z", False),
        ("٢٠٢٦-٠٣-٠٢T١٢:٠٠:٠٠Z", False),
        ("2026-03-02T12:00:00Z ", False),
    ],
    ids=lambda written: str(written)[:40],
)
def test_a_time_is_read_in_every_certain_spelling(written, is_plain):
    assert read(written)[1:] == (parse_timestamp("2026-03-02T12:00:00Z"), is_plain, False)


@pytest.mark.parametrize("written", ["", "noon", "2026-03-02", "2026-03-02T12:00:00", 1772452800, {}, b"[0"])
def test_what_names_no_instant(written):
    assert read(written)[1:] == (None, False, False)


@given(st.text(max_size=70) | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_anything_can_be_asked(value):
    assert read(value).is_zero in (True, False)
